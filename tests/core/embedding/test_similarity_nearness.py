"""How near pixels are to prompts, computed fast and remembered."""

import numpy as np
import pytest
import torch

from napari_localdisc.core.embedding import similarity as module
from napari_localdisc.core.embedding.similarity import RememberedNearness, nearness


def unit_columns(dim, pixels, seed=0):
    values = torch.randn(dim, pixels, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=0)


@pytest.mark.parametrize("pixels", [1, 4095, 4096, 3 * 4096 + 17, 80_000])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_every_pixel_is_compared_with_every_vector(pixels, count):
    matrix, vectors = unit_columns(8, pixels), unit_columns(8, count, 1).T.contiguous()
    expected = ((vectors.double() @ matrix.double() - 1) / 0.2).exp()
    found = nearness(matrix, vectors)
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


@pytest.fixture
def counted(monkeypatch):
    """Numbers of vectors that were compared with the pixels, in order."""
    counts = []

    def count(matrix, vectors):
        counts.append(len(vectors))
        return nearness(matrix, vectors)

    monkeypatch.setattr(module, "nearness", count)
    return counts


def test_only_what_is_new_is_computed(counted):
    matrix, vectors = unit_columns(6, 500), unit_columns(6, 9, 1).T.numpy()
    find = RememberedNearness(matrix)

    def check(*chosen):
        found = find(np.ascontiguousarray(vectors[list(chosen)]))
        cosines = vectors[list(chosen)] @ matrix.numpy()
        expected = np.exp((cosines - 1) / 0.2)
        np.testing.assert_allclose(np.stack(found), expected, atol=1e-6)

    check(0, 1)
    check(0, 1, 2)
    check(2, 1, 0, 2)
    for pointer in (3, 4, 5, 6, 7):
        check(0, 1, 2, pointer)
    check(3, 0)
    assert counted == [2, 1, 1, 1, 1, 1, 1]


def test_what_was_not_asked_for_lately_is_forgotten(counted):
    matrix, vectors = unit_columns(6, 50), unit_columns(6, 40, 1).T.numpy()
    find = RememberedNearness(matrix)
    for row in range(40):
        find(vectors[[0, row]])
    assert len(counted) == 40
    find(vectors[[0, 39]])
    find(vectors[[1]])
    assert counted[40:] == [1]


def test_what_was_returned_stays_as_it_was():
    matrix, vectors = unit_columns(6, 500), unit_columns(6, 3, 1).T.numpy()
    find = RememberedNearness(matrix)
    (first,) = find(vectors[:1])
    kept = first.clone()
    find(vectors)
    assert torch.equal(first, kept)
