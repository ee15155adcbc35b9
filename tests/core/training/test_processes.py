"""A training on two processes, started as a user's script starts it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_localdisc.core.models import load_model
from napari_localdisc.core.training.report import read_log

SCRIPT = """
import dataclasses
import sys
import numpy as np
import torch

import napari_localdisc as ld
from napari_localdisc.core.training import LossWeights, TrainingSettings

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
    steps=4, stage1_share=0.5, working_diameter=160, crop_size=160, clusters=4,
    embedding_dim=8, width=2, rendered_per_step=2, pixel_pairs=32, patch_grid=4,
    drawings=4, held_out=0, validate_every=2, patience=9,
)
guided = dataclasses.replace(
    plain, priors=("vessel-tree", "disc"), weights=LossWeights(adversarial=1.0)
)
for name, settings in {"plain": plain, "guided": guided}.items():
    out = f"{sys.argv[1]}/{name}"
    ld.train(images, out, settings=settings, device="cpu", devices=2, cache=out + "-c")
"""


@pytest.mark.slow
def test_two_trainings_with_both_stages_on_two_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "terminate" not in done.stderr
    for name in ("plain", "guided"):
        model = load_model(tmp_path / f"{name}.safetensors", "cpu")
        assert model.card.details["steps"] == 4
        rows = read_log(tmp_path / f"{name}.csv")
        assert [row["step"] for row in rows] == ["2", "4"]
        assert not rows[0]["region"]
        assert rows[-1]["region"]
    assert rows[-1]["adversarial"]
