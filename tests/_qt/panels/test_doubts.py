"""What is shown otherwise than it is meant: the sentence and its buttons."""

import numpy as np
from PIL import Image

import napari_localdisc as ld


def test_a_photograph_is_turned_by_its_button(
    viewer, open_widget, picture, tmp_path, qtbot
):
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path, exif=exif)
    (layer,) = viewer.open(path, plugin="napari")
    widget = open_widget(viewer)
    notice = widget.doubt_notice
    assert not notice.isHidden()
    assert "not upright" in notice.text.text()
    assert [button.text() for button in notice.buttons] == ["Turn upright", "Leave"]
    notice.buttons[0].click()
    qtbot.waitUntil(lambda: notice.isHidden(), timeout=20_000)
    np.testing.assert_array_equal(layer.data, ld.read_image(path))


def test_an_upright_picture_has_no_notice(viewer, open_widget, picture, qtbot):
    layer = viewer.add_image(picture[..., 0] * 1000)
    widget = open_widget(viewer)
    notice = widget.doubt_notice
    assert notice.isHidden()
    layer.colormap = "gray_r"
    assert not notice.isHidden()
    assert "inverted" in notice.text.text()
    notice.buttons[0].click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert viewer.layers[1].name == f"{layer.name} as shown"
