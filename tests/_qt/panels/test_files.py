"""The export section and the folder widget, in a real window."""

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtWidgets import QFileDialog

import napari_localdisc as ld
from napari_localdisc.io.labels import read_labels
from napari_localdisc.layers.plane import METADATA_KEY

PLUGIN = "napari-localdisc"


@pytest.fixture
def section(viewer, open_widget):
    return open_widget(viewer).export_section


def test_labels_are_exported_and_opened(viewer, section, qtbot, tmp_path, monkeypatch):
    assert not section.save_button.isEnabled()
    layer = Labels(
        np.eye(20, dtype=np.uint8),
        name="eye",
        scale=(2, 2),
        metadata={METADATA_KEY: {"classes": {1: "diagonal"}}},
    )
    viewer.add_layer(layer)
    assert section.layers.value is layer
    path = tmp_path / "eye"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    for key in section.formats.choices:
        section.formats.value = key
        section.save_button.click()
        qtbot.waitUntil(lambda: not section.control.is_busy, timeout=20_000)
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == [
        "eye.json",
        "eye.ome.tif",
        "eye.ome.zarr",
        "eye.png",
        "eye.tif",
        "eye_diagonal.png",
    ]
    png = str(tmp_path / "eye.png")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (png, ""))
    section.open_button.click()
    zarr = str(tmp_path / "eye.ome.zarr")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: zarr)
    section.zarr_button.click()
    for opened in (viewer.layers[-2], viewer.layers[-1]):
        np.testing.assert_array_equal(np.asarray(opened.data), layer.data)
        np.testing.assert_array_equal(opened.scale, layer.scale)
    viewer.layers.remove(layer)
    assert section.layers.value is not layer


def test_a_folder_is_worked_on_and_a_row_opens(viewer, qtbot, tmp_path, picture):
    for name in ("a", "b"):
        Image.fromarray((picture * 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Work on a folder")
    assert widget.number.value == 8
    widget.models.value = "other"
    assert widget.number.value == widget.number.max == 6
    widget.models.value = "tiny"
    assert widget.number.value == min(8, widget.control.models.most_structures)
    widget.source.value = tmp_path
    widget.number.value = 3
    widget.start_button.click()
    qtbot.waitUntil(lambda: not widget.control.work.is_busy, timeout=30_000)
    assert widget.output.value == tmp_path / "localdisc"
    rows = [
        [widget.table.item(line, column).text() for column in range(6)]
        for line in range(widget.table.rowCount())
    ]
    of_a = [row for row in rows if row[0] == "a.png"]
    assert sum(int(row[2].replace(",", "")) for row in of_a) == 48 * 40
    assert sum(float(row[3]) for row in of_a) == pytest.approx(100, abs=0.1)
    assert {row[4] for row in rows} == {"tiny: 3 clusters"}
    widget.table.cellDoubleClicked.emit(len(rows) - 1, 0)
    assert [layer.name for layer in viewer.layers] == ["b", "b_clusters"]
    # A second run joins the first
    widget.clusters.value = False
    widget.structures["vessel"].value = True
    widget.start_button.click()
    qtbot.waitUntil(lambda: not widget.control.work.is_busy, timeout=30_000)
    assert widget.table.rowCount() == len(rows) + 2
    assert widget.table.item(len(rows), 4).text() == "tiny: vessel"
    lines = widget.table.rowHeight(0) * 8
    assert widget.table.minimumHeight() > lines
    # A structure is tuned, and the row says how
    tune = widget.tuning["vessel"]
    assert tune.toolTip().endswith("as by default")
    tune.threshold.value, tune.largest_only.value = 0.45, True
    assert tune.toolTip().endswith("threshold 0.45, largest only")
    widget.overwrite.value = True
    widget.start_button.click()
    qtbot.waitUntil(lambda: not widget.control.work.is_busy, timeout=30_000)
    last = widget.table.item(widget.table.rowCount() - 1, 4).text()
    assert last == "tiny: vessel (threshold 0.45, largest only)"
    embedding = ld.embed(ld.read_image(tmp_path / "b.png"), ld.load_model("tiny"))
    mask = read_labels(tmp_path / "localdisc" / "b_vessel.tif")[0].labels
    wanted = embedding.structure_mask("vessel", 0.45, largest_only=True)
    np.testing.assert_array_equal(np.asarray(mask) > 0, wanted)
    widget.overwrite.value = False
    widget.structures["vessel"].value = False
    widget.start_button.click()
    assert "Tick what to find" in notification_manager.records[-1].message
    assert "Tick what to find" in widget.progress_row.status.text()
    widget.clusters.value = True
    widget.scheduler.line_edit.value = "gone.json"
    widget.start_button.click()
    assert "no scheduler file" in notification_manager.records[-1].message
    widget.scheduler.value = None
    widget.start_button.click()
    widget.progress_row.cancel_button.click()
    assert not widget.control.work.is_busy
