"""Training through its public face, on small photographs with a small network."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from napari_localdisc.core.errors import Cancelled, TrainingError
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.training.adapt import adapt, adaptation_settings
from napari_localdisc.core.training.augment import Augmentation
from napari_localdisc.core.training.log import read_log
from napari_localdisc.core.training.settings import TrainingSettings
from napari_localdisc.core.training.train import train

SMALL = TrainingSettings(
    steps=6,
    priors=("vessel-tree", "disc"),
    working_diameter=96,
    clusters=4,
    embedding_dim=8,
    width=2,
    crop_size=48,
    rendered_per_step=2,
    pixel_pairs=32,
    patch_grid=4,
    drawings=4,
    held_out=1,
    validate_every=3,
    self_training_from=0.5,
    augmentation=Augmentation(0.9, 1.1),
)


OPTIONS = ("resume", "cancel", "progress", "keep_best", "watch")


def fundus_like(seed: int, size: int = 120) -> np.ndarray:
    """A lit disc with a bright spot and a few dark lines, (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = np.full((size, size, 3), (150, 80, 40), float)
    image += rng.normal(0, 4, image.shape)
    spot = np.hypot(y, x - rng.uniform(-20, 20)) < 9
    image[spot] += (70, 90, 60)
    image[np.abs(y - 0.4 * x - rng.uniform(-9, 9)) < 1.5] -= (30, 45, 15)
    image[np.hypot(y, x) > 0.47 * size] = 0
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four photographs of three sizes, one text file that claims to be an image."""
    folder = tmp_path_factory.mktemp("photographs")
    for k, size in enumerate((120, 130, 140, 120)):
        Image.fromarray(fundus_like(k, size)).save(folder / f"{k}.png")
    (folder / "broken.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(folder, out, cache, **changes):
    options = {k: changes.pop(k) for k in OPTIONS if k in changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(
            folder,
            out,
            settings=dataclasses.replace(SMALL, **changes),
            device="cpu",
            cache=cache,
            **options,
        )


@pytest.fixture(scope="module")
def trained(folder, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "small.safetensors"
    return run(folder, out, cache), out


def test_leaves_model_card_log_and_pictures(trained):
    model, out = trained
    again = load_model(out, "cpu")
    assert again.hash == model.hash
    assert again.card.structures == {"vessel": 0, "optic disc": 1}
    assert again.card.details["labels_used"] == "none"
    assert again.card.details["steps"] == SMALL.steps
    assert again.card.details["photographs_skipped"] == 1
    assert out.with_suffix(".md").read_text().startswith("# small")
    rows = read_log(out.with_suffix(".csv"))
    assert float(rows[-1]["total"]) > 0
    assert 0 <= float(rows[-1]["validation_score"]) <= 1
    for ending in ("_losses.png", "_clusters.png"):
        with Image.open(out.with_name(out.stem + ending)) as picture:
            assert min(picture.size) > 90


def test_stage_2_adds_the_cluster_terms(trained):
    _, out = trained
    columns = {k for row in read_log(out.with_suffix(".csv")) for k in row if row[k]}
    paper = {"patch", "mixup", "region", "entropy"}
    assert paper | {"drawn", "fitted", "self_training"} <= columns


def test_resumes_bit_for_bit(folder, cache, tmp_path):
    whole = run(folder, tmp_path / "whole", cache, steps=20)
    done = []
    with pytest.raises(Cancelled):
        run(
            folder,
            tmp_path / "halves",
            cache,
            steps=20,
            progress=done.append,
            cancel=lambda: len(done) == 10,
        )
    halves = run(folder, tmp_path / "halves", cache, steps=20, resume=True)
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, halves.network.state_dict()[name]), name
    assert np.array_equal(whole.centres, halves.centres)
    steps = [row["step"] for row in read_log(tmp_path / "halves.csv")]
    assert steps == sorted(steps, key=int)


def test_stopping_can_keep_the_best_so_far_and_still_resume(folder, cache, tmp_path):
    settings = {"steps": 4, "priors": ("disc",)}
    whole = run(folder, tmp_path / "whole", cache, **settings)
    asked, seen = iter(range(100)), []
    half = run(
        folder,
        tmp_path / "halves",
        cache,
        cancel=lambda: next(asked) == 7,  # each of the five files is asked about too
        keep_best=True,
        watch=lambda trainer: seen.append((trainer.step, trainer.snapshot().hash)),
        **settings,
    )
    assert [step for step, _ in seen] == [1, 2]
    assert seen[0][1] != seen[1][1]
    assert half.card.details["steps"] == 2
    assert load_model(tmp_path / "halves.safetensors", "cpu").hash == half.hash
    resumed = run(folder, tmp_path / "halves", cache, resume=True, **settings)
    assert resumed.card.details["steps"] == 4
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name


def test_stopping_before_the_first_step_leaves_no_model(folder, cache, tmp_path):
    with pytest.raises(Cancelled):
        run(folder, tmp_path / "m", cache, cancel=lambda: True, keep_best=True)
    assert not (tmp_path / "m.safetensors").exists()


def test_the_seed_decides(folder, cache, tmp_path, trained):
    same = run(folder, tmp_path / "same", cache)
    other = run(folder, tmp_path / "other", cache, seed=1)
    assert same.hash == trained[0].hash != other.hash


def test_learns_the_fitted_shape(folder, cache, tmp_path):
    changes = {"width": 8, "learning_rate": 5e-3, "priors": ("disc",)}
    run(folder, tmp_path / "longer", cache, steps=60, validate_every=10, **changes)
    rows = read_log(tmp_path / "longer.csv")
    fitted = [float(row["fitted"]) for row in rows if row["fitted"]]
    assert fitted[-1] < 0.75 * fitted[0]


def test_the_adversarial_prior_plays_and_resumes(folder, cache, tmp_path):
    changes = {
        "working_diameter": 160,
        "crop_size": 160,
        "priors": ("vessel-tree",),
        "weights": dataclasses.replace(SMALL.weights, adversarial=1.0),
    }
    whole = run(folder, tmp_path / "whole", cache, steps=4, **changes)
    rows = read_log(tmp_path / "whole.csv")
    assert float(rows[-1]["adversarial"]) > 0
    done = []
    with pytest.raises(Cancelled):
        run(
            folder,
            tmp_path / "half",
            cache,
            steps=4,
            progress=done.append,
            cancel=lambda: len(done) == 2,
            **changes,
        )
    half = run(folder, tmp_path / "half", cache, steps=4, resume=True, **changes)
    assert half.hash == whole.hash


def test_one_image_is_too_few(cache, tmp_path):
    with pytest.raises(TrainingError, match="at least 2 images and got 1"):
        run([fundus_like(0)], tmp_path / "m", cache)
    assert not list(tmp_path.iterdir())


def test_a_time_budget_ends_the_training(folder, cache, tmp_path):
    model = run(folder, tmp_path / "m", cache, steps=100_000, minutes=0.02)
    assert 0 < model.card.details["steps"] < 1000


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "at least 1 step"),
        ({"crop_size": 50}, "multiple of 16"),
        ({"crop_size": 112}, "do not fit"),
        ({"clusters": 1}, "2 priors need as many clusters"),
        ({"images_per_step": 1}, "at least 2 images a step"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, sentence):
    with pytest.raises(TrainingError, match=sentence):
        dataclasses.replace(SMALL, **changes)


def test_unknown_prior_folder_device_and_checkpoint(folder, cache, tmp_path):
    with pytest.raises(TrainingError, match="no prior 'nonsense'"):
        run(folder, tmp_path / "m", cache, priors=("nonsense",))
    with pytest.raises(TrainingError, match="no folder"):
        run(tmp_path / "nowhere", tmp_path / "m", cache)
    for content in (None, b"", b"no checkpoint", b"PK\x05\x06" + bytes(18)):
        if content is not None:
            (tmp_path / "m.checkpoint").write_bytes(content)
        with pytest.raises(TrainingError, match="train without --resume first"):
            run(folder, tmp_path / "m", cache, resume=True)
    with pytest.raises(TrainingError, match="device"):
        train(folder, tmp_path / "m", settings=SMALL, device="abacus", cache=cache)


def test_masks_of_a_folder_are_a_prior(folder, cache, tmp_path):
    masks = tmp_path / "rings"
    masks.mkdir()
    y, x = np.mgrid[:64, :64] - 32
    ring = np.abs(np.hypot(y, x) - 20) < 3
    Image.fromarray(ring.astype(np.uint8) * 255).save(masks / "ring.png")
    model = run(folder, tmp_path / "m", cache, steps=2, priors=(str(masks),))
    assert model.card.structures == {"rings": 0}


def test_adapts_to_a_single_image(trained, cache, tmp_path):
    _, out = trained
    adapted = adapt(
        out, [fundus_like(7)], tmp_path / "mine", steps=3, device="cpu", cache=cache
    )
    assert adapted.hash != load_model(out, "cpu").hash
    assert adapted.card.structures == {"vessel": 0, "optic disc": 1}
    # What batch norm knows of many photographs is not what one photograph says
    kept = load_model(out, "cpu").network.state_dict()
    for name, value in adapted.network.state_dict().items():
        assert torch.equal(value, kept[name]) or "running" not in name
    assert "small" in adapted.card.details["adapted_from"]


def test_adapting_never_overwrites_its_model(trained):
    _, out = trained
    before = out.read_bytes()
    with pytest.raises(TrainingError, match="file of its own"):
        adapt(out, [fundus_like(7)], out, steps=1)
    assert out.read_bytes() == before


def test_a_model_without_settings_cannot_be_adapted():
    with pytest.raises(TrainingError, match="does not say how it was trained"):
        adaptation_settings(Model.random(width=1), minutes=1)


def test_a_model_keeps_how_far_around_it_sees_and_old_settings_see_no_further(
    tmp_path,
):
    settings = dataclasses.replace(SMALL, steps=2, surround=0.06)
    images = [fundus_like(seed) for seed in range(3)]
    model = train(
        images, tmp_path / "a", settings=settings, device="cpu", cache=tmp_path
    )
    assert load_model(tmp_path / "a.safetensors", "cpu").card.surround == 0.06
    assert adaptation_settings(model, 1.0).surround == 0.06
    kept = settings.as_dict()
    del kept["surround"]
    assert TrainingSettings.from_dict(kept).surround == 0
    assert TrainingSettings.for_modality("fundus").surround > 0
    assert TrainingSettings.for_modality("frame").surround == 0
