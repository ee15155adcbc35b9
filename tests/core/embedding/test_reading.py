"""One question per click: map, threshold, mask and meaning, each made once."""

from collections import Counter

import numpy as np
import pytest
from tests.core.tissue import BACKGROUND, ON_BAR, ON_LEFT, make_embedding

import napari_localdisc as ld
from napari_localdisc.core.embedding import correction, similarity
from napari_localdisc.core.embedding.prompts import MaskOptions, Prompts
from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.io.samples import sample_path

PROMPTS = Prompts([ON_BAR, ON_LEFT], [BACKGROUND])
OPTIONS = {
    "as it is": {},
    "threshold": {"threshold": 0.3},
    "all": {"connected": True, "smooth": True, "minimum_size": 9},
}


@pytest.fixture(scope="module")
def eye():
    image = ld.read_image(sample_path())[::4, ::4]
    return ld.embed(image, ld.load_model("fundus", "cpu"))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_reading_is_the_single_questions(embedding, options):
    asked = PROMPTS.positive, PROMPTS.negative
    reading = embedding.read(PROMPTS, MaskOptions(**options))
    np.testing.assert_array_equal(reading.map, embedding.similarity(*asked))
    on_grid = embedding.similarity_on_grid(*asked)
    np.testing.assert_array_equal(reading.map_on_grid, on_grid)
    np.testing.assert_array_equal(reading.mask, embedding.mask(*asked, **options))
    automatic = embedding.automatic_threshold(*asked)
    assert reading.threshold == options.get("threshold", automatic)
    assert (reading.weights, reading.meaning) == ({}, "")


def test_to_get_ready_changes_nothing_and_makes_what_readings_share(eye):
    asked = Prompts([(160, 54)])
    mask, ready = eye.read(asked).mask, eye.with_presence({})
    assert "_structures" not in vars(ready)
    ready.get_ready()
    assert "_structures" in vars(ready)
    np.testing.assert_array_equal(ready.read(asked).mask, mask)


def test_a_click_on_a_named_structure_means_it(eye):
    disc = Prompts([(160, 54)])
    reading = eye.read(disc)
    assert reading.meaning == "optic disc"
    assert reading.weights == eye.meaning(disc.positive)
    assert reading.threshold <= 0.5
    np.testing.assert_array_equal(reading.mask, eye.mask(disc.positive))


@pytest.mark.parametrize("named", [False, True])
def test_each_step_is_taken_once(embedding, eye, named, monkeypatch):
    calls = Counter()

    def count(owner, name):
        step = getattr(owner, name)

        def counted(*given, **options):
            calls[name] += 1
            return step(*given, **options)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in (
        (correction, "mix"),
        (similarity, "otsu_threshold"),
        (WorkingGrid, "spread"),
    ):
        count(owner, name)
    known = eye if named else embedding
    points = [(160, 54), (100, 150)] if named else PROMPTS.positive
    reading = known.read(Prompts(points))
    assert not (calls.keys() & {"mix", "spread"})
    calls.clear()  # what is alike may have told what is meant
    for _ in range(2):
        assert reading.map.any()
        assert reading.map_on_grid.any()
        assert reading.mask.any()
        assert 0 < reading.threshold < 1
    assert calls["spread"] == 1
    assert calls["mix"] == named
    assert calls["otsu_threshold"] <= 1


def test_a_fresh_embedding_remembers_nothing_and_finds_the_same(embedding):
    used = embedding.fresh()  # other tests leave more behind, and other last bits
    empty = used.nbytes
    found = used.read(PROMPTS).map
    assert used.nbytes > used.fresh().nbytes == empty
    np.testing.assert_array_equal(used.fresh().read(PROMPTS).map, found)


def test_vectors_of_prompts_find_what_the_prompts_find(embedding):
    options = MaskOptions(threshold=0.4)
    vectors = embedding.vectors_at([ON_BAR]), embedding.vectors_at([BACKGROUND])
    there = embedding.read_vectors(*vectors, options=options)
    here = embedding.read(Prompts([ON_BAR], [BACKGROUND]), options)
    np.testing.assert_array_equal(there.mask, here.mask)
    assert there.mask.any()


def test_a_reading_refuses_what_cannot_be_asked(embedding):
    for bad in (Prompts([]), Prompts([(-4, 2)]), Prompts([ON_BAR], [(0, 0)])):
        with pytest.raises(PromptError):
            embedding.read(bad)
    reading = embedding.read(PROMPTS, MaskOptions(minimum_size=-1))
    with pytest.raises(PromptError, match="-1 pixels"):
        reading.mask  # noqa: B018


def test_prompts_that_were_read_are_not_computed_again():
    embedding = make_embedding()
    reading = embedding.read(PROMPTS)
    first = reading.map
    assert reading.map is first
    assert reading.mask is reading.mask
