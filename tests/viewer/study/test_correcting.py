"""Clicks that correct what is proposed, without Qt."""

import numpy as np
import pytest

from napari_localdisc.core.errors import PromptError
from napari_localdisc.io.study import Study
from napari_localdisc.viewer.controller import Controller


@pytest.fixture
def control(open_study):
    control = open_study()
    control.viewer.layers.selection.active = control.layers["vessel"]
    control.correcting.set_on(True)
    return control


def place_where(found):
    """Return a point of the middle, where a mask is true."""
    points = np.argwhere(found)
    middle = np.square(points - np.array(found.shape) / 2).sum(1).argmin()
    return tuple(map(float, points[middle]))


def test_a_click_is_obeyed_and_undone_in_one_step(control, folder):
    layer = control.layers["vessel"]
    before = layer.data.copy()
    missed = place_where(before == 0)
    control.correcting.click(missed, True)
    row, column = map(int, missed)
    assert layer.data[row, column] == 1
    assert "pixels changed" in control.status.text
    assert Study(folder).image(1, "anna").state == "corrected"
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    extra = place_where(before == 1)
    control.correcting.click(extra, False)
    assert layer.data[tuple(map(int, extra))] == 0


def test_what_was_painted_stays(control):
    layer = control.layers["vessel"]
    layer.data[60:64, 60:64] = 1  # where no click is near
    control.correcting.click((30.0, 60.0), True)
    control.correcting.click((90.0, 60.0), False)
    assert (layer.data[60:64, 60:64] == 1).all()


def test_what_nobody_knows_is_said(control):
    control.viewer.layers.selection.active = control.layers["drusen"]
    with pytest.raises(PromptError, match="accept the image"):
        control.correcting.click((60.0, 60.0), True)
    assert not control.layers["drusen"].data.any()


def test_what_was_taught_can_be_corrected(control):
    control.layers["drusen"].data_setitem(
        tuple(np.mgrid[30:60, 30:60].reshape(2, -1)), 2
    )
    control.accept()
    control.next()
    drusen = control.layers["drusen"]
    control.viewer.layers.selection.active = drusen
    control.correcting.click((60.0, 62.0), True)
    assert drusen.data[60, 62] == 2


def test_each_image_begins_anew(control):
    control.correcting.click((60.0, 60.0), True)
    control.next()
    drawn = control.layers["vessel"].data.copy()
    control.previous()
    control.next()
    np.testing.assert_array_equal(control.layers["vessel"].data, drawn)
    control.correcting.click((300.0, 60.0), True)  # beside the image
    np.testing.assert_array_equal(control.layers["vessel"].data, drawn)


def test_only_one_takes_clicks(control):
    main = Controller(control.viewer)
    try:
        main.set_model("tiny")
        main.prompts.set_finding(True)
        assert not control.correcting.is_on
        control.correcting.toggle()
        assert control.correcting.is_on
        assert not main.prompts.is_finding
    finally:
        main.close()
