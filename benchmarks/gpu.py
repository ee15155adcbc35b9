"""On a CUDA or MPS device: embedding, a click and a training step, as absolute figures.

The embedding is kept on the device, clicks are answered there, and only what is shown
is copied.  Where there is no such device, the table says so.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import napari_localdisc as ld

from .machine import interleaved, retina, table

NEEDS_DATA = False


def run() -> str:
    """Measure on the device that `load_model` chooses."""
    kind = "cuda" if torch.cuda.is_available() else "mps"
    if kind == "mps" and not torch.backends.mps.is_available():
        return "There is no CUDA or MPS device on this machine: nothing was measured."
    from napari_localdisc.core.model.inference import FastNetwork

    image, model = retina(), ld.load_model("fundus", kind)
    wait = torch.cuda.synchronize if kind == "cuda" else torch.mps.synchronize
    embedding = ld.embed(image, model)
    assert embedding.matrix.device.type == kind
    fast = FastNetwork(model.network)
    x = torch.randn(4, model.card.in_channels, 640, 640, device=kind)
    a = torch.randn(8192, 8192, device=kind, dtype=fast.dtype)

    def waiting(work: object) -> object:
        def call() -> None:
            work()  # type: ignore[operator]
            wait()

        return call

    with tempfile.TemporaryDirectory() as folder:
        steps = _trainer(Path(folder), kind).run()
        seconds = interleaved(
            {
                "embed": waiting(lambda: ld.embed(image, model)),
                "network": waiting(lambda: fast(x)),
                "click": waiting(lambda: embedding.similarity_on_grid([(700, 500)])),
                "training": waiting(lambda: next(steps)),
                "peak": waiting(lambda: a @ a),
            }  # type: ignore[arg-type]
        )
    with FlopCounterMode(display=False) as counter:
        fast(x)
    peak = 2 * 8192**3 / seconds["peak"]
    share = counter.get_total_flops() / seconds["network"] / peak
    name = torch.cuda.get_device_name() if kind == "cuda" else "MPS"
    return table(
        f"{name} | value",
        [
            ("`embed`, retina", f"{seconds['embed']:.3f} s"),
            ("network", f"{x[:, 0].numel() / seconds['network'] / 1e6:.0f} Mpixel/s"),
            ("share of the matrix peak", f"{share:.0%} of {peak / 1e12:.0f} TFLOP/s"),
            ("click, working grid", f"{1000 * seconds['click']:.2f} ms"),
            ("training", f"{10 / seconds['training']:.1f} images/s"),
        ],
    )


def _trainer(cache: Path, kind: str) -> object:
    from lightning_fabric import Fabric

    from napari_localdisc.core.training.trainer import Trainer

    from .training_step import our_trainer

    on_cpu = our_trainer(cache)
    fabric = Fabric(accelerator=kind, precision="bf16-mixed")
    return Trainer(on_cpu.settings, on_cpu.training, [], fabric)
