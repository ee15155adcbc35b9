"""A closer look at small lesions: taken when one is asked for, and only then."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_localdisc.core.embedding import closer, embedding
from napari_localdisc.core.embedding.embed import embed, map_clusters
from napari_localdisc.core.embedding.prompts import Prompts
from napari_localdisc.core.model.card import LABELLED
from napari_localdisc.core.model.model import Model
from napari_localdisc.io.cache import EmbeddingCache

STRUCTURES = {
    "vessel": 0,
    "hard exudate": 1,
    "cotton wool spot": 2,
    "haemorrhage": 3,
    "microaneurysm": 4,
}


@pytest.fixture(scope="module")
def model():
    return Model.random(working_diameter=144, width=4, structures=STRUCTURES)


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:200, :220]
    texture = rng.integers(60, 200, (200, 220, 3))
    inside = np.hypot(rows - 100, columns - 110) < 90
    return np.where(inside[..., None], texture, 0).astype(np.uint8)


@pytest.fixture
def looks(monkeypatch):
    """Sizes at which an image is looked at closer."""
    taken: list[int] = []
    whole = closer.run_tiles

    def counted(colour, inside, model, how, *, embeds=True):
        taken.append(max(colour.shape[:2]))
        return whole(colour, inside, model, how, embeds=embeds)

    monkeypatch.setattr(closer, "run_tiles", counted)
    return taken


def test_one_look_when_a_small_lesion_is_first_asked_for(model, image, looks):
    seen = embed(image, model, magnification=1)
    seen.clusters(8)
    seen.structure("vessel")
    seen.structure("haemorrhage")
    seen.structure("cotton wool spot")
    assert not looks
    assert not seen.is_looked_at("hard exudate")
    first = seen.structure("hard exudate")
    seen.structure("microaneurysm")
    seen.structure("bright lesion")
    assert looks == [288]
    assert seen.is_looked_at("dark lesion")
    assert np.array_equal(seen.structure("hard exudate"), first)


def test_what_either_look_finds_is_found(model, image):
    own = embed(image, model, magnification=1)
    own.colour = None  # as the network alone shows them
    twice = map_clusters(image, model, magnification=2)
    pooled = F.adaptive_max_pool2d(
        twice.presence["microaneurysm"][None], own.grid.shape
    )[0]
    wanted = torch.maximum(own.presence["microaneurysm"], pooled)
    told = own.with_presence({"microaneurysm": wanted})
    np.testing.assert_array_equal(
        own.structure("microaneurysm"), told.structure("microaneurysm")
    )


def test_exudates_are_those_of_the_closer_look_on_its_own_grid(model, image):
    own = embed(image, model, magnification=1)
    own.colour = None
    twice = map_clusters(image, model, magnification=2)
    wanted = twice.on_image(twice.presence["hard exudate"], own.interior)
    np.testing.assert_array_equal(own.structure("hard exudate"), wanted)


def test_exudates_of_labelled_models_are_completed_as_before(model, image):
    """A user's masks make presence mean something else than the rule knows."""
    taught = dataclasses.replace(model.card, details={LABELLED: 4})
    labelled = Model(taught, model.network, model.centres)
    seen = embed(image, labelled, magnification=1)
    own = torch.maximum(
        seen.presence["hard exudate"], seen.closer.maps().on_first_grid("hard exudate")
    )
    told = seen.with_presence({"hard exudate": own})
    np.testing.assert_array_equal(
        seen.structure("hard exudate"), told.structure("hard exudate")
    )


def test_a_click_on_an_exudate_is_read_on_the_grid_of_the_look(
    model, image, monkeypatch
):
    meant = list(STRUCTURES).index("hard exudate")
    monkeypatch.setattr(embedding, "choose", lambda *_: meant)
    seen = embed(image, model, magnification=1)
    seen.presence["cotton wool spot"] = torch.zeros(seen.grid.shape)
    reading = seen.read(Prompts([(100, 110)], [(60, 90)]))
    assert reading.map.shape == image.shape[:2]
    assert reading.map_on_grid.shape == seen.grid.shape
    assert reading.mask[100, 110]
    assert not reading.mask[60, 90]
    assert not reading.mask[~seen.field_of_view].any()


@pytest.mark.parametrize("union", ["bright lesion", "dark lesion"])
def test_a_union_holds_what_its_parts_do(model, image, union):
    seen = map_clusters(image, model, magnification=1)
    assert not seen.is_looked_at(union)
    seen.colour = None  # as the network alone shows them
    parts = seen.structure("hard exudate"), seen.structure("cotton wool spot")
    if union == "dark lesion":
        parts = seen.structure("haemorrhage"), seen.structure("microaneurysm")
    more = seen.structure(union) - np.maximum(*parts)
    assert more.min() > -1e-6
    assert more.max() < 0.05  # the larger is brought to the image's pixels, not each


def test_clicks_on_small_lesions_begin_with_the_look(model, image, looks, monkeypatch):
    meant = list(STRUCTURES).index("cotton wool spot")
    monkeypatch.setattr(embedding, "choose", lambda *_: meant)
    seen = embed(image, model, magnification=1)
    at_once = Prompts([(100, 110)])
    first = seen.read(at_once, closer=False)
    assert first.waits_for == ""
    assert first.map.shape == image.shape[:2]
    assert not looks
    seen.presence["hard exudate"] = torch.full(seen.grid.shape, 0.2)
    seen.presence["cotton wool spot"] = torch.ones(seen.grid.shape)
    assert seen.read(at_once).waits_for == ""  # a large kind, by what is seen there
    seen.presence["cotton wool spot"] = torch.zeros(seen.grid.shape)
    reading = seen.read(at_once)
    assert reading.waits_for == "hard exudate"
    assert not looks
    assert reading.mask[100, 110]
    assert looks == [288]
    assert seen.read(at_once).waits_for == ""


def test_what_the_look_shows_counts_as_memory(model, image):
    seen = embed(image, model, magnification=1)
    before = seen.nbytes
    for _ in seen.closer_steps():
        pass
    side = max(seen.closer.maps().inside.shape)
    # Two maps and three colours at least
    assert seen.nbytes - before > 2 * 4 * side * side * 0.7


def test_what_was_taught_is_not_looked_at_again(model, image, looks):
    seen = embed(image, model, magnification=1)
    taught = torch.zeros(seen.grid.shape)
    told = seen.with_presence({"hard exudate": taught, "microaneurysm": taught})
    assert told.is_looked_at("hard exudate")
    assert not told.structure("hard exudate").any()
    assert not looks


def test_an_embedding_of_the_cache_is_looked_at_as_a_new_one(
    model, image, looks, tmp_path
):
    cache = EmbeddingCache(tmp_path)
    made = embed(image, model)
    cache.store(image, made)
    kept = cache.load(image, model)
    assert kept is not None
    for name in ("hard exudate", "dark lesion"):
        np.testing.assert_array_equal(kept.structure(name), made.structure(name))
    assert len(looks) == 2


def test_models_without_small_lesions_take_one_look(image):
    plain = Model.random(working_diameter=144, width=4, structures={"haemorrhage": 1})
    seen = embed(image, plain)
    assert seen.closer is None
    assert seen.is_looked_at("haemorrhage")


def test_a_closer_look_is_never_beyond_what_a_model_can(model, image):
    seen = embed(image, model, magnification=3)
    assert seen.structure("hard exudate").shape == image.shape[:2]
