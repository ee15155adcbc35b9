"""Embeddings in memory: those not used for longest leave when it is full."""

import numpy as np
import pytest
from napari.layers import Image

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.model import load_model
from napari_localdisc.layers.plane import Plane, fingerprint
from napari_localdisc.viewer.embeddings import Embedded, EmbeddingStore


@pytest.fixture
def three(models):
    """Layers with their planes and embeddings."""
    model = load_model("tiny", "cpu")
    made = []
    for seed in range(3):
        pixels = np.random.default_rng(seed).random((40, 48, 3), np.float32)
        plane = Plane(pixels, (None, None))
        embedded = Embedded(model, embed(pixels, model), fingerprint(pixels))
        made.append((Image(pixels, rgb=True), plane, embedded))
    return made


def test_those_not_used_for_longest_leave(three):
    one = three[0][2].embedding.nbytes
    store = EmbeddingStore(int(2.5 * one))
    for layer, plane, embedded in three[:2]:
        store.put(layer, plane, "tiny", embedded)
    assert store.find(*three[0][:2], "tiny") is three[0][2]
    store.put(*three[2][:2], "tiny", three[2][2])
    assert store.find(*three[1][:2], "tiny") is None
    assert store.find(*three[0][:2], "tiny") is three[0][2]
    assert len(store) == 2


def test_what_prompts_left_behind_takes_room_too(three):
    first = three[0][2].embedding
    store = EmbeddingStore(int(2.5 * first.nbytes))
    for layer, plane, embedded in three[:2]:
        store.put(layer, plane, "tiny", embedded)
    rows, columns = np.nonzero(first.field_of_view)
    points = np.stack([rows, columns], 1)[:12]
    before = first.nbytes
    first.similarity(points)
    assert first.nbytes > 1.2 * before
    store.put(*three[2][:2], "tiny", three[2][2])
    assert store.find(*three[0][:2], "tiny") is None


def test_the_newest_stays_however_large(three):
    layer, plane, embedded = three[0]
    store = EmbeddingStore(1)
    store.put(layer, plane, "tiny", embedded)
    assert store.find(layer, plane, "tiny") is embedded


def test_pixels_that_changed_are_another_image(three):
    layer, plane, embedded = three[0]
    store = EmbeddingStore()
    store.put(layer, plane, "tiny", embedded)
    assert store.find(layer, plane, "tiny") is embedded
    plane.data[5] = 0
    store.suspect(layer)
    assert store.find(layer, plane, "tiny") is None
