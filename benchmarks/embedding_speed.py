"""Claim: embedding is at least 5 times as fast as the released code's formulation.

From array to embedding, on the 1411 × 1411 retina; the network runs at 30 % of the
processor's matrix peak in the dtype in use, and 99.5 % of the labels are as in float32.

What is compared: the released formulation puts the image at its own size through the
network in one piece, float32 and contiguous.  Ours brings the field of view to the
model's working diameter of 576 pixels first, which is part of its time.  The two rows
of the same size say how much is due to the network alone: both see the same tensor.
The first look, which finds how large the image is to be seen, is held against one that
is told; of the retina, and of it as a camera of 60° would see it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import napari_localdisc as ld
from napari_localdisc.core.embedding.magnification import WIDE_ANGLE
from napari_localdisc.core.model.inference import FastNetwork, Precision

from . import released
from .cameras import wide
from .machine import Row, interleaved, matrix_product, retina, table, verdict

NEEDS_DATA = False
SIDE = 640
HALF: Precision = "bfloat16"


def run() -> str:
    """Measure whole embeddings, then the networks on one tensor, then agreement."""
    image, model = retina(), ld.load_model("fundus")
    card = model.card
    network = released.ReleasedNet(
        card.in_channels, card.embedding_dim, card.clusters, card.width
    )
    network.load_state_dict(model.network.state_dict())
    network.eval().requires_grad_(False)
    seen = ld.embed(image, model).field_of_view
    wider, *_ = wide(image, seen, seen)
    whole = torch.randn(1, card.in_channels, *image.shape[:2])
    small = torch.randn(1, card.in_channels, SIDE, SIDE)
    fast = FastNetwork(model.network)
    quick = small.contiguous(memory_format=torch.channels_last)
    seconds = interleaved(
        {
            "released": lambda: released.embed(network, whole),
            "ours": lambda: ld.embed(image, model),
            "told": lambda: ld.embed(image, model, magnification=1),
            "wide": lambda: ld.embed(wider, model),
            "wide, told": lambda: ld.embed(wider, model, magnification=WIDE_ANGLE),
            "released small": lambda: released.embed(network, small),
            "ours small": lambda: fast(quick),
            "peak": matrix_product(fast.dtype),
        }
    )
    with FlopCounterMode(display=False) as counter:
        fast(quick)
    operations = counter.get_total_flops()
    peak = 2 * 2048**3 / seconds["peak"]
    share = operations / seconds["ours small"] / peak
    ratio = seconds["released"] / seconds["ours"]
    same = seconds["released small"] / seconds["ours small"]
    used = ld.embed(image, model).clusters(8)
    exact = ld.embed(image, model, precision="float32", tile_size=4096).clusters(8)
    half = ld.embed(image, model, precision=HALF).clusters(8)
    inside = exact > 0
    agree, forced_agree = (float(np.mean((v == exact)[inside])) for v in (used, half))
    kind = str(fast.dtype).removeprefix("torch.")

    def claim(name: str, text: str, value: float, limit: float, wanted: str) -> Row:
        return name, text, f"≥ {wanted}", verdict(value, limit, at_least=True)

    def first(name: str, found: str, told: str) -> Row:
        times = seconds[found] / seconds[told]
        return name, f"{times:.2f}", "≤ 1.3", verdict(times, 1.3)

    forced = "labels as in float32, bfloat16 by choice"
    return table(
        "what | value | claim | holds",
        [
            ("released, 1411 × 1411", f"{seconds['released']:.2f} s", "–", "–"),
            ("`embed`, array to embedding", f"{seconds['ours']:.2f} s", "–", "–"),
            claim("times as fast", f"{ratio:.1f}", ratio, 5, "5"),
            first("first look, by one that is told its size", "ours", "told"),
            first("the same of a wide angle", "wide", "wide, told"),
            (f"networks alone, same {SIDE} × {SIDE} tensor", f"{same:.1f}", "–", "–"),
            (f"matrix peak, {kind}", f"{peak / 1e9:.0f} GFLOP/s", "–", "–"),
            claim("network's share of it", f"{share:.0%}", share, 0.3, "30 %"),
            claim(
                f"labels as in float32, {kind} (in use)",
                f"{agree:.2%}",
                agree,
                0.995,
                "99.5 %",
            ),
            claim(forced, f"{forced_agree:.2%}", forced_agree, 0.995, "99.5 %"),
        ],
    )
