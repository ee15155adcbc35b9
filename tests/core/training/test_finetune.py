from __future__ import annotations

import numpy as np
import pytest

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import Cancelled, TrainingError
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.training.finetune import FinetuneSettings, finetune

SETTINGS = FinetuneSettings(steps=30, crop_size=64, learning_rate=5e-3)


@pytest.fixture(scope="module")
def model():
    return Model.random(
        working_diameter=96, width=4, clusters=4, embedding_dim=8, modality="frame"
    )


@pytest.fixture(scope="module")
def labelled():
    """An image with a bright square, and the square's mask."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 90, (96, 96, 3)).astype(np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[30:60, 20:65] = True
    image[mask] += 110
    return image, mask


@pytest.mark.parametrize("from_scratch", [False, True])
def test_learns_a_structure_that_segment_can_show(
    model, labelled, tmp_path, from_scratch
):
    image, mask = labelled
    settings = FinetuneSettings(
        steps=120, crop_size=64, learning_rate=5e-3, from_scratch=from_scratch
    )
    tuned = finetune(
        model, [image], [mask], "square", tmp_path / "tuned", settings=settings
    )
    assert tuned.card.structures == {"square": 0}
    again = load_model(tmp_path / "tuned.safetensors", "cpu")
    assert again.hash == tuned.hash
    found = embed(image, again).structure("square") > 0.5
    dice = 2 * (found & mask).sum() / (found.sum() + mask.sum())
    assert dice > 0.7


@pytest.mark.parametrize(("structure", "single"), [("disc", ["disc"]), ("cell", [])])
def test_a_model_of_structures_that_an_image_shows_once(labelled, structure, single):
    image, mask = labelled
    known = Model.random(
        working_diameter=96,
        width=4,
        clusters=4,
        embedding_dim=8,
        modality="frame",
        structures={"disc": 1},
        single=["disc"],
    )
    settings = FinetuneSettings(steps=1, crop_size=64)
    tuned = finetune(known, [image], [mask], structure, settings=settings)
    assert tuned.card.single == single


def test_a_transfer_keeps_the_statistics_of_the_model(model, labelled):
    image, mask = labelled
    settings = FinetuneSettings(steps=3, crop_size=64)
    tuned = finetune(model, [image], [mask], "square", settings=settings)
    known = model.network.state_dict()
    for name, value in tuned.network.state_dict().items():
        assert (value == known[name]).all() or "running" not in name


def test_the_model_itself_stays(model, labelled):
    before = model.hash
    state = {k: v.clone() for k, v in model.network.state_dict().items()}
    finetune(model, [labelled[0]], [labelled[1]], "square", settings=SETTINGS)
    assert model.hash == before
    for name, value in model.network.state_dict().items():
        assert (value == state[name]).all()


def test_the_seed_decides(model, labelled):
    image, mask = labelled
    settings = FinetuneSettings(steps=3, crop_size=64)
    first, second = (
        finetune(model, [image], [mask], "square", settings=settings) for _ in "12"
    )
    assert first.hash == second.hash


def test_encoder_is_frozen_for_the_first_half(model, labelled):
    settings = FinetuneSettings(steps=2, crop_size=64)
    seen = []

    def watch(step, steps, loss):
        seen.append((step, steps))

    finetune(
        model, [labelled[0]], [labelled[1]], "s", settings=settings, progress=watch
    )
    assert seen == [(1, 2), (2, 2)]


def test_bad_labels_get_a_sentence(model, labelled):
    image, mask = labelled
    with pytest.raises(TrainingError, match="at least one image"):
        finetune(model, [], [], "square")
    with pytest.raises(TrainingError, match="does not fit"):
        finetune(model, [image], [mask[:50]], "square", settings=SETTINGS)
    with pytest.raises(TrainingError, match="empty"):
        finetune(model, [image], [np.zeros_like(mask)], "square", settings=SETTINGS)


def test_can_be_cancelled(model, labelled, tmp_path):
    with pytest.raises(Cancelled):
        finetune(
            model,
            [labelled[0]],
            [labelled[1]],
            "square",
            tmp_path / "never",
            settings=SETTINGS,
            cancel=lambda: True,
        )
    assert not list(tmp_path.iterdir())
