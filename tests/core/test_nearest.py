"""The largest cosine to any of some vectors, computed fast and remembered."""

import numpy as np
import pytest
import torch

from napari_localdisc.core import nearest
from napari_localdisc.core.nearest import NearestCosines, largest_cosine


def unit_columns(dim, pixels, seed=0):
    values = torch.randn(dim, pixels, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=0)


@pytest.mark.parametrize("pixels", [1, 4095, 4096, 3 * 4096 + 17, 80_000])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_every_pixel_gets_its_largest_cosine(pixels, count):
    matrix, vectors = unit_columns(8, pixels), unit_columns(8, count, 1).T.contiguous()
    out = largest_cosine(matrix, vectors, torch.empty(pixels))
    expected = (vectors.double() @ matrix.double()).amax(0)
    torch.testing.assert_close(out.double(), expected, atol=1e-6, rtol=0)


@pytest.fixture
def counted(monkeypatch):
    """Numbers of vectors that were compared with the pixels, in order."""
    counts = []

    def count(matrix, vectors, out):
        counts.append(len(vectors))
        return largest_cosine(matrix, vectors, out)

    monkeypatch.setattr(nearest, "largest_cosine", count)
    return counts


def test_only_what_is_new_is_computed(counted):
    matrix, vectors = unit_columns(6, 500), unit_columns(6, 9, 1).T.numpy()
    find = NearestCosines(matrix)

    def check(*chosen):
        found = find(np.ascontiguousarray(vectors[list(chosen)]))
        expected = (vectors[list(chosen)] @ matrix.numpy()).max(0)
        np.testing.assert_allclose(found, expected, atol=1e-6)

    check(0, 1)
    check(0, 1, 2)
    check(2, 1, 0)
    for pointer in (3, 4, 5, 6, 7):
        check(0, 1, 2, pointer)
    assert counted == [2, 1, 1, 1, 1, 1, 1]
    check(8)
    check(0)
    assert counted[-2:] == [1, 1]


def test_what_was_returned_stays_as_it_was():
    matrix, vectors = unit_columns(6, 500), unit_columns(6, 3, 1).T.numpy()
    find = NearestCosines(matrix)
    first = find(vectors[:1])
    kept = first.clone()
    find(vectors)
    assert torch.equal(first, kept)
