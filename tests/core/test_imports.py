"""Garbage is not looked for while libraries are imported, and afterwards again."""

import gc

import pytest

from napari_localdisc.core.work import without_collections


@pytest.fixture(autouse=True)
def as_it_was():
    """Leave the collector of the other tests alone."""
    enabled = gc.isenabled()
    yield
    (gc.enable if enabled else gc.disable)()


def test_collections_wait_and_come_back():
    gc.enable()
    with without_collections():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_they_come_back_after_an_error():
    gc.enable()
    with pytest.raises(ImportError), without_collections():
        raise ImportError
    assert gc.isenabled()


def test_who_has_switched_them_off_finds_them_off():
    gc.disable()
    with without_collections():
        pass
    assert not gc.isenabled()


def test_within_another_one_the_outer_decides():
    gc.enable()
    with without_collections():
        with without_collections():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
