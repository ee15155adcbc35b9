"""Classes that may overlap, with real widgets, on two images that differ."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_localdisc.io.labels import read_labels

LYING = {"scale": (1.5, 2), "translate": (-7, 11), "rotate": 33, "shear": (0.4,)}
POINT, OTHER = (12, 30), (20, 40)


@pytest.fixture
def eye(viewer, picture):
    return viewer.add_image(picture, name="eye", **LYING)


@pytest.fixture
def other(viewer):
    noise = np.random.default_rng(3).random((44, 60, 3), dtype=np.float32)
    pixels = noise * np.float32(0.7) + np.float32(0.2)
    return viewer.add_image(pixels, name="other", scale=(3, 3), translate=(90, 0))


@pytest.fixture
def widget(viewer, eye, other, open_widget, wait):
    widget = open_widget(viewer)
    widget.controller.workspace.images.choose(eye)
    wait(widget)
    return widget


def add(widget, wait, name, point, threshold) -> int:
    """As a hand does it; return how many pixels the mask has."""
    controller, panel = widget.controller, widget.similar_panel
    controller.prompts.add(point)
    wait(widget)
    controller.prompts.set_options(threshold=threshold)
    controller.classes.add(name)
    widget.labels_panel.table.refresh()
    pixels = controller.mask.pixels
    panel.add_button.click()
    wait(widget)
    return pixels


def shown(table) -> dict[str, str]:
    """Name and area of each row."""
    rows = range(table.rowCount())
    return {table.item(row, 1).text(): table.item(row, 2).text() for row in rows}


def test_a_cup_in_a_disc_on_two_images(viewer, eye, other, widget, wait, tmp_path):
    controller, panel = widget.controller, widget.labels_panel
    panel.may_overlap.value = True
    assert controller.classes.may_overlap
    assert not panel.overwrite.enabled
    counts = {}
    for image, point in ((eye, POINT), (other, OTHER)):
        controller.workspace.images.choose(image)
        wait(widget)
        disc = add(widget, wait, "optic disc", point, 0.5)
        cup = add(widget, wait, "optic cup", point, 0.6)
        assert disc > cup > 0
        counts[image.name] = disc, cup
        table = panel.table
        table._show_areas()
        areas = {
            name: int(text.split(" px")[0].replace(",", ""))
            for name, text in shown(table).items()
        }
        assert areas == {"optic disc": disc, "optic cup": cup}
        assert not table.isColumnHidden(4)
        assert [table.item(row, 4).text() for row in (0, 1)] == ["1", "2"]
        for labels in controller.classes.layers.values():
            assert labels.data.shape == image.data.shape[:2]
            corner = np.array(labels.data.shape) - 1
            np.testing.assert_allclose(
                labels.data_to_world(corner), image.data_to_world(corner)
            )
    # Layers of the other image are out of the way, all of them
    seen = {layer.name for layer in viewer.layers if layer.visible}
    assert {"other labels", "other labels optic cup"} <= seen
    assert not {"eye labels", "eye labels optic cup"} & seen
    controller.workspace.images.choose(eye)
    seen = {layer.name for layer in viewer.layers if layer.visible}
    assert {"eye labels", "eye labels optic cup"} <= seen
    assert not {"other labels", "other labels optic cup"} & seen
    # Undo on this image alone
    panel.undo_button.click()
    assert panel.table.item(1, 2).text().startswith("0 px")
    panel.redo_button.click()
    # To a file: two maps, and back
    control = widget.export_section.control
    files = []
    control.saved.connect(files.append)
    control.save(controller.labels_layer, tmp_path / "eye.png")
    widget_waits(widget, files)
    assert [file.name for file in files[0]] == ["eye.png", "eye.map2.png"]
    (back,) = read_labels(files[0][0])
    assert [int((each.array > 0).sum()) for each in back.maps] == [*counts["eye"]]
    opened = control.open(files[0][0])
    assert len(opened) == 2
    assert all(isinstance(layer, Labels) for layer in opened)


def widget_waits(widget, files) -> None:
    from qtpy.QtTest import QTest

    for _ in range(400):
        if files:
            return
        QTest.qWait(50)


def test_the_table_says_what_a_class_may_overlap(eye, widget, wait):
    controller, table = widget.controller, widget.labels_panel.table
    add(widget, wait, "optic disc", POINT, 0.5)
    controller.classes.add("optic cup")
    disc, cup = (entry.value for entry in controller.classes.entries)
    assert table.isColumnHidden(4)
    texts = [(a.text(), a.isChecked()) for a in table.map_menu(cup).actions()]
    assert texts == [
        ("May overlap all others", False),
        ("Excludes “optic disc”", True),
    ]
    table.map_menu(cup).actions()[0].trigger()
    assert not table.isColumnHidden(4)
    assert controller.classes.find(cup).group == 1
    texts = [(a.text(), a.isChecked()) for a in table.map_menu(cup).actions()]
    assert texts == [
        ("May overlap all others", True),
        ("Excludes “optic disc”", False),
    ]
    table.map_menu(cup).actions()[1].trigger()
    assert controller.classes.find(cup).group == controller.classes.find(disc).group
