"""A training on two processes or nodes, started as a user's script starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tests.core.training.joint import fresh_network, joint_batch, total_loss

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.model.model import load_model
from napari_localdisc.core.training.devices import (
    gather_with_gradient,
    group_ended_after,
    make_fabric,
    process_count,
)
from napari_localdisc.core.training.log import read_log

SCRIPT = """
import dataclasses
import os
import sys
import numpy as np
import torch

import napari_localdisc as ld
from napari_localdisc.core.training.settings import LossWeights, TrainingSettings

torch.set_num_threads(1)
y, x = np.mgrid[:180, :180] - 89.5
rng = np.random.default_rng(0)
images = []
for spot in (-20, 0, 25):
    image = 90 + rng.normal(0, 4, (180, 180, 3))
    image[np.hypot(y, x - spot) < 14] += 90
    image[np.hypot(y, x) > 85] = 0
    images.append(image.clip(0, 255).astype(np.uint8))

plain = TrainingSettings(
    steps=2, stage1_share=0.5, working_diameter=160, crop_size=160, clusters=4,
    embedding_dim=8, width=2, rendered_per_step=2, pixel_pairs=32, patch_grid=4,
    drawings=4, held_out=0, validate_every=1, patience=9,
)
guided = dataclasses.replace(
    plain, priors=("vessel-tree", "disc"), weights=LossWeights(adversarial=1.0)
)
folder, shared, *names = sys.argv[1:]
for name in names:
    settings = {"plain": plain, "guided": guided, "stopped": plain}[name]
    out, cache = f"{folder}/{name}", f"{folder}/cache-{os.environ.get('NODE_RANK')}"
    done = []
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    ld.train(
        images, out, settings=settings, device="cpu", cache=cache, keep_best=True,
        progress=done.append,
        cancel=lambda: name == "stopped" and first and len(done) == 1,
        **{shared: 2},
    )
if shared == "devices":
    from pathlib import Path

    from lightning_fabric import Fabric
    from napari_localdisc.core.training.devices import group_ended_after
    from tests.core.training.joint import train_on_a_share

    fabric = Fabric(accelerator="cpu", devices=2)
    with group_ended_after(fabric):
        fabric.launch()
        train_on_a_share(fabric, Path(folder))
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes did one after the other, and what they said."""
    folder = tmp_path_factory.mktemp("together")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    names = ("plain", "guided", "stopped")
    done = subprocess.run(
        [sys.executable, script, folder, "devices", *names],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, done


@pytest.mark.slow
def test_two_trainings_with_both_stages_on_two_processes(together):
    folder, done = together
    check(folder, "plain", [done.stderr], [done.returncode])
    rows = check(folder, "guided", [done.stderr], [done.returncode])
    assert rows[-1]["adversarial"]


@pytest.mark.slow
def test_the_first_process_stops_them_all(together):
    folder, done = together
    assert not done.returncode, done.stderr
    model = load_model(folder / "stopped.safetensors", "cpu")
    assert model.card.details["steps"] == 1


@pytest.mark.slow
def test_two_processes_equal_one_with_the_joint_batch(together):
    folder, done = together
    assert not done.returncode, done.stderr
    net = fresh_network()
    loss = total_loss(net, *joint_batch())
    loss.backward()
    with np.load(folder / "rank0.npz") as found:
        np.testing.assert_allclose(found["loss"], loss.detach(), rtol=1e-4)
        for name, parameter in net.named_parameters():
            scale = max(1e-6, float(parameter.grad.abs().max()))
            difference = np.abs(found[name] - parameter.grad.numpy()).max()
            assert difference <= 1e-4 * scale + 1e-7, name


def test_alone_everything_is_as_it_was():
    x = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(x) is x
    with group_ended_after(Fabric(accelerator="cpu", devices=1)):
        assert process_count() == 1


@pytest.mark.slow
def test_a_training_on_two_nodes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, script, tmp_path, "nodes", "plain"]
    where = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    nodes = [
        subprocess.Popen(
            command, env=where | {"NODE_RANK": rank}, stderr=subprocess.PIPE, text=True
        )
        for rank in "01"
    ]
    said = [node.communicate(timeout=300)[1] for node in nodes]
    check(tmp_path, "plain", said, [node.returncode for node in nodes])


def check(folder, name, said, codes):
    """Hold what two processes wrote together against what one would have."""
    assert not any(codes), said
    # Of a machine that does not know its own name gloo warns, and takes the loopback
    lines = [line for line in "".join(said).splitlines() if "Gloo.cpp" not in line]
    assert "Warning" not in "".join(lines)
    assert "terminate" not in "".join(said)
    model = load_model(folder / f"{name}.safetensors", "cpu")
    assert model.card.details["steps"] == 2
    rows = read_log(folder / f"{name}.csv")
    assert [row["step"] for row in rows] == ["1", "2"]
    assert "region" not in rows[0]
    assert "region" in rows[-1]
    return rows


def test_a_node_that_cannot_find_the_others_is_told_how(monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError, match="MASTER_ADDR, MASTER_PORT, NODE_RANK"):
        make_fabric("cpu", nodes=2)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.setenv("NODE_RANK", "2")
    with pytest.raises(TrainingError, match="from 0 to 1"):
        make_fabric("cpu", nodes=2)
    with pytest.raises(TrainingError, match="at least 1 node"):
        make_fabric("cpu", nodes=0)
