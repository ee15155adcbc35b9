"""What training commands say while they work."""

import warnings

import pytest

from napari_localdisc.cli.training import training_progress


def say_what_is_left_out():
    with training_progress() as callbacks:
        warnings.simplefilter("default")
        warnings.warn("Left out: a[1].png is no image", stacklevel=1)
        return callbacks


def test_images_left_out_are_named_plainly(capsys):
    before = warnings.showwarning
    assert set(say_what_is_left_out()) == {"preparing", "progress"}
    assert capsys.readouterr().err == "note: Left out: a[1].png is no image\n"
    assert warnings.showwarning is before


@pytest.mark.parametrize("rank", ["LOCAL_RANK", "NODE_RANK", "GROUP_RANK"])
def test_the_first_process_of_the_first_node_speaks_for_all(monkeypatch, capsys, rank):
    monkeypatch.setenv(rank, "1")
    with training_progress() as callbacks:
        assert callbacks == {}
        warnings.warn("Left out: a.png", stacklevel=1)
    assert capsys.readouterr().err == ""
