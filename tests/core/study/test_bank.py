"""What accepted masks teach, on pictures whose structure has a colour of its own."""

import numpy as np
import pytest

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import ModelError, PromptError
from napari_localdisc.core.evaluation.agreement import dice
from napari_localdisc.core.model.model import load_model
from napari_localdisc.core.study.bank import (
    learn_bank,
    learn_banks,
    sharpened,
    take_lesson,
)

SHAPE = (110, 120)


def picture(seed, place, radius):
    """A dim round photograph with a bright green spot, and where that is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    view = np.hypot(rows - 55, columns - 60) < 52
    spot = np.hypot(rows - place[0], columns - place[1]) < radius
    image = rng.normal((120, 70, 50), 8, (*SHAPE, 3))
    image[spot] += (10, 90, 20)
    return np.clip(image * view[..., None], 0, 255).astype(np.uint8), spot


@pytest.fixture(scope="module")
def seen(saved_models):
    """Three embeddings with their spots."""
    model = load_model(saved_models / "tiny.safetensors")
    made = []
    for seed, place, radius in (
        (0, (50, 50), 14),
        (1, (70, 75), 10),
        (2, (40, 80), 16),
    ):
        image, spot = picture(seed, place, radius)
        made.append((embed(image, model), spot))
    return made


@pytest.fixture(scope="module")
def lessons(seen):
    return [
        take_lesson(known, {"spot": spot}, ["spot"])["spot"] for known, spot in seen
    ]


def test_a_structure_that_the_model_does_not_know_is_learned(seen, lessons):
    known, spot = seen[2]
    with pytest.raises(ModelError):
        known.structure("spot")
    taught = sharpened(known, {"spot": learn_bank(lessons[:2])})
    found = taught.structure("spot") >= 0.5
    assert dice(found, spot) > 0.8
    # The embedding that was there is as it was, and so is all that the model knows
    with pytest.raises(ModelError):
        known.structure("spot")
    np.testing.assert_array_equal(taught.structure("vessel"), known.structure("vessel"))
    np.testing.assert_array_equal(taught.clusters(4), known.clusters(4))


def test_lessons_are_small_and_stand_for_all_pixels(seen, lessons):
    known, spot = seen[0]
    lesson = lessons[0]
    assert len(lesson["labels"]) <= 1600
    assert lesson["weights"].sum() == pytest.approx(known.inside.sum())
    inside = lesson["weights"][lesson["labels"] == 1].sum()
    share = spot.sum() / known.field_of_view.sum()
    assert inside / known.inside.sum() == pytest.approx(share, rel=0.1)


def test_where_nothing_was_seen_nothing_is_learned(seen):
    known = seen[0][0]
    lesson = take_lesson(known, {}, ["spot"])["spot"]
    assert not lesson["labels"].any()
    assert learn_bank([lesson]) is None
    assert learn_bank([]) is None


def test_an_image_says_nothing_new_of_itself(lessons):
    banks = learn_banks({"spot": {1: lessons[0], 2: lessons[1]}})
    alone = learn_banks({"spot": {1: lessons[0], 2: lessons[1]}}, without=1)
    assert banks["spot"].images == 2
    assert alone["spot"].images == 1
    assert banks["spot"].mark != alone["spot"].mark
    assert learn_banks({"spot": {1: lessons[0]}}, without=1) == {}


def test_points_correct_what_is_proposed(seen, lessons):
    known = seen[2][0]
    taught = sharpened(known, {"spot": learn_bank(lessons[:2])})
    before = taught.corrected("spot")
    np.testing.assert_array_equal(before, taught.structure("spot") >= 0.5)
    away = (80, 40)
    assert not before[away]
    assert taught.corrected("spot", [away])[away]
    assert not taught.corrected("spot", negative=[(40, 80)])[40, 80]
    with pytest.raises(PromptError):
        taught.corrected("spot", [(0, 0)])  # outside the field of view
