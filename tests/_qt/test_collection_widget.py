"""The collection's dock: thumbnails, and a click that opens an image."""

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt

import napari_localdisc as ld
from napari_localdisc._qt import CollectionWidget, MainWidget
from napari_localdisc._qt.collection_widget import SIDE, thumbnail
from napari_localdisc._qt.help import page_of
from napari_localdisc.io.collection import Found


@pytest.fixture
def folder(tmp_path, picture, models):
    images = tmp_path / "images"
    images.mkdir()
    pixels = (picture * 255).astype(np.uint8)
    for name, part in (("a", pixels), ("b", pixels[::-1])):
        Image.fromarray(part).save(images / f"{name}.png")
    ld.index(images, model="tiny")
    return images


def test_a_click_on_a_thumbnail_opens_the_image_there(
    make_napari_viewer, qtbot, folder
):
    viewer = make_napari_viewer()
    viewer.add_image(ld.read_image(folder / "a.png"), rgb=True, name="mine")
    _, main = viewer.window.add_plugin_dock_widget(
        "napari-localdisc", "Local discrimination"
    )
    assert isinstance(main, MainWidget)
    main.controller.set_model("tiny")
    main.export_section.collection_button.click()
    _, widget = viewer.window.add_plugin_dock_widget(
        "napari-localdisc", "Search a collection"
    )
    assert isinstance(widget, CollectionWidget)
    assert page_of(widget.help_button.what).endswith("docs/collection.md")
    assert not widget.find_button.isEnabled()
    widget.folder.value = folder
    assert widget.find_button.isEnabled()
    main.controller.prompts.add((10, 20))
    qtbot.waitUntil(
        lambda: main.controller.prompts.similarity_layer is not None, timeout=30_000
    )
    widget.find_button.click()
    qtbot.waitUntil(lambda: widget.results.count() > 0, timeout=30_000)
    assert widget.results.count() == len(widget.control.found) == 6
    item = widget.results.item(0)
    assert not item.icon().isNull()
    place = widget.results.visualItemRect(item).center()
    qtbot.mouseClick(widget.results.viewport(), Qt.MouseButton.LeftButton, pos=place)
    found = widget.control.found[0]
    qtbot.waitUntil(
        lambda: main.controller.workspace.images.current.name != "mine", timeout=30_000
    )
    (prompt,) = main.controller.prompts.points
    assert (prompt.row, prompt.column) == found.point
    widget.leave()
    main.leave()


def test_a_thumbnail_shows_what_was_found_in_its_middle(qtbot, tmp_path):
    from qtpy.QtGui import QColor, QPixmap

    whole = QPixmap(200, 100)
    whole.fill(QColor("blue"))
    found = Found(tmp_path / "a.png", (0, 400), 0.9, 0)
    made = thumbnail(whole, found, (400, 800)).toImage()
    assert (made.width(), made.height()) == (SIDE, SIDE)
    below, above = made.pixelColor(SIDE // 2, 90), made.pixelColor(SIDE // 2, 5)
    assert below.name() == QColor("blue").name()
    assert above.name() == QColor("black").name()
    ring = [made.pixelColor(SIDE // 2 + 10, SIDE // 2 + d).name() for d in (-1, 0, 1)]
    assert any(QColor(name).yellow() > 100 for name in ring)
