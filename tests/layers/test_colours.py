"""Colours of labels are napari's own, and need no compiler."""

import builtins
import sys

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils import DirectLabelColormap

from napari_localdisc.layers.colours import PAINTED, LabelColours, label_colours

COLOURS = np.array([[0, 0, 0, 0], [1, 0, 0, 1], [0, 0.5, 1, 1]])


@pytest.fixture
def theirs():
    """Napari's own, with the same colours."""
    table = {None: PAINTED, **dict(enumerate(COLOURS))}
    return DirectLabelColormap(color_dict=table)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "int64"])
@pytest.mark.parametrize("selection", [None, 1, 2, 7])
def test_arrays_have_the_colours_that_napari_gives_them(theirs, dtype, selection):
    ours = label_colours(COLOURS)
    for colormap in (ours, theirs):
        colormap.use_selection = selection is not None
        colormap.selection = selection or 0
    values = np.array([[0, 1, 2], [7, 2, 100]], dtype)
    assert np.array_equal(ours.map(values), theirs.map(values))


@pytest.mark.parametrize("value", [0, 1, 7, np.uint8(2)])
def test_single_labels_have_the_colours_that_napari_gives_them(theirs, value):
    assert np.array_equal(label_colours(COLOURS).map(value), theirs.map(value))


def test_what_is_no_label_is_refused_as_by_napari():
    with pytest.raises(TypeError, match="int"):
        label_colours(COLOURS).map(np.array([0.5]))


def test_no_labels_have_no_colours():
    assert label_colours(COLOURS).map(np.zeros((0, 3), np.uint8)).shape == (0, 3, 4)


def test_a_layer_is_shown_without_numba(monkeypatch, make_napari_viewer):
    """Its tables would be compiled in the GUI thread, for seconds."""
    real = builtins.__import__

    def guarded(name, *args, **kwargs):
        assert name.partition(".")[0] != "numba", "napari asks for its compiled table"
        return real(name, *args, **kwargs)

    accelerated = sys.modules["napari.utils.colormaps._accelerated_cmap"]
    monkeypatch.setattr(
        accelerated,
        "labels_raw_to_texture_direct",
        accelerated._labels_raw_to_texture_direct_loop,
    )
    monkeypatch.setattr(builtins, "__import__", guarded)
    viewer = make_napari_viewer()
    data = np.arange(12, dtype=np.uint8).reshape(3, 4)
    layer = viewer.add_layer(Labels(data, colormap=label_colours(COLOURS)))
    assert isinstance(layer.colormap, LabelColours)
    assert np.allclose(layer.get_color(1), COLOURS[1])
    layer.selected_label = 2
    layer.show_selected_label = True
    layer.colormap = label_colours(COLOURS[::-1])
    assert layer.thumbnail.any()
