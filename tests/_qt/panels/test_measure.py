"""The page Measure in a real window."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog
from tests.core import phantoms

from napari_localdisc._qt import MainWidget
from napari_localdisc._qt.panels.measure_table import HEADINGS, VALUE

SHAPE = (160, 200)
CLASSES = {1: "vessel", 2: "optic disc", 3: "exudate"}


@pytest.fixture(autouse=True)
def notifications(notifications):
    yield notifications
    assert not [r for r in notifications if "Traceback" in r.message]


@pytest.fixture
def layer(viewer):
    labels = np.zeros(SHAPE, np.uint8)
    labels[phantoms.disc(SHAPE, (80, 130), 15)] = 2
    labels[phantoms.disc(SHAPE, (60, 40), 5)] = 3
    labels[phantoms.tube(SHAPE, [np.array([(20, 15), (24, 180)])], 5).mask] = 1
    grey = np.full((*SHAPE, 3), 120, np.uint8)
    grey[labels == 1] = 60
    viewer.add_image(grey, name="eye")
    metadata = {"napari-localdisc": {"classes": CLASSES}}
    return viewer.add_labels(labels, name="eye labels", metadata=metadata)


@pytest.fixture
def widget(layer, viewer, open_widget, told):
    made = open_widget(viewer)
    made.tabs.setCurrentWidget(made.measure_page)
    told(made)
    return made


@pytest.fixture
def told(qtbot):
    """Wait until all that is asked is measured."""

    def wait(widget, before=None):
        measuring = widget.measuring

        def done():
            result = measuring.result
            return (
                result is not None
                and result is not before
                and result.asked.options == measuring.options
                and not measuring.is_busy
            )

        qtbot.waitUntil(done, timeout=30_000)

    return wait


def line_of(table, **wanted):
    (line,) = [
        line
        for line, row in enumerate(table.rows)
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]
    return line


def shown_value(table, line):
    return table.model().index(line, VALUE).data()


def test_a_stroke_of_the_brush_changes_the_number(
    qtbot, viewer, layer, widget, mouse, told
):
    table = widget.measure_panel.table
    line = line_of(table, structure="exudate", measure="area")
    before, result = int(shown_value(table, line)), widget.measuring.result
    assert before == np.count_nonzero(layer.data == 3)
    viewer.layers.selection.active = layer
    layer.mode, layer.selected_label, layer.brush_size = "paint", 3, 9
    hand = mouse(viewer)
    hand.drag((120, 60), (30, 0))
    told(widget, result)
    painted = np.count_nonzero(layer.data == 3)
    assert painted > before + 50
    assert int(shown_value(table, line)) == painted
    columns = layer.features.set_index("index")
    assert columns.loc[3, "area (pixel²)"] == painted


def test_a_click_on_a_row_draws_it_and_escape_takes_it_away(
    qtbot, viewer, layer, widget, told
):
    table = widget.measure_panel.table
    line = line_of(table, structure="vessel", measure="calibre median")
    place = table.visualRect(table.model().index(line, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    drawn = {each.name for each in viewer.layers} - {"eye", "eye labels"}
    assert drawn == {"eye labels calibre", "eye labels skeleton"}
    widths = np.hypot(*viewer.layers["eye labels calibre"].data[:, 1].T)
    assert np.median(widths) == pytest.approx(float(shown_value(table, line)), abs=0.1)
    widget.measure_panel.pieces.value = True
    told(widget)
    assert widget.measure_shown.shown_row.measure == "calibre median"
    assert [row.measure for row in table.selected_rows] == ["calibre median"]
    qtbot.keyClick(table, Qt.Key.Key_Escape)
    assert {each.name for each in viewer.layers} == {"eye", "eye labels"}
    table.select(line_of(table, structure="vessel", measure="calibre median"))
    assert len(viewer.layers) == 4
    widget.tabs.setCurrentIndex(0)  # what would not follow is not drawn
    assert {each.name for each in viewer.layers} == {"eye", "eye labels"}


def test_regions_measures_and_units_are_chosen(qtbot, viewer, widget, told):
    panel = widget.measure_panel
    table = panel.table
    assert table.isColumnHidden(HEADINGS.index("Where"))
    assert {row.unit for row in table.rows if row.measure == "area"} == {"pixel²"}
    panel.disc.value = True
    panel.regions.actions_by_value["zones"].trigger()
    told(widget)
    assert not table.isColumnHidden(HEADINGS.index("Where"))
    assert {"field of view", "zone A", "zone B", "zone C"} <= {
        row.region for row in table.rows
    }
    assert {row.unit for row in table.rows if row.measure == "area"} == {"mm²"}
    assert "disc taken as 1.8 mm" in panel.sentence.text()
    panel.units.value = "disc diameter"
    assert {row.unit for row in table.rows if row.measure == "area"} == {
        "disc diameter²"
    }
    many = len(table.rows)
    panel.groups.actions_by_value["the main ones"].trigger()
    assert panel.groups.text() == "all"
    assert len(table.rows) > many
    panel.groups.actions_by_value["tortuosity"].trigger()
    assert {row.measure.split()[0] for row in table.rows} == {"tortuosity"}
    for value in ("field", "zones"):
        panel.regions.actions_by_value[value].trigger()
    assert panel.regions.chosen == ("field",)  # something is always measured


def test_plots_are_in_the_colours_of_both_themes(viewer, widget):
    plots = widget.measure_panel.plots
    offered = [plots.choice.native.itemText(at) for at in range(3)]
    assert offered == ["calibre", "density by ring", "lesions by distance"]
    backgrounds = []
    for theme in ("light", "dark"):
        viewer.theme = theme
        plots.choice.value = offered[1]
        backgrounds.append(sum(plots.canvas.figure.get_facecolor()[:3]))
    assert backgrounds[0] > 2 > 1 > backgrounds[1]
    (axes,) = plots.canvas.figure.axes
    assert "distance from" in axes.get_xlabel()
    assert len(axes.patches) > 2


def test_numbers_are_copied_and_saved(qtbot, viewer, widget, tmp_path, monkeypatch):
    panel = widget.measure_panel
    panel.copy_button.click()
    text = QApplication.clipboard().text()
    assert len(text.splitlines()) == len(panel.table.rows) + 1
    path = tmp_path / "eye"
    monkeypatch.setattr(
        QFileDialog,
        "getSaveFileName",
        lambda *asked: (str(path), "Report of one page (*.html)"),
    )
    panel.save_button.click()
    qtbot.waitUntil(path.with_suffix(".html").exists, timeout=30_000)
    page = path.with_suffix(".html").read_text("utf-8")
    assert "calibre median" in page


def test_without_labels_it_says_so(qtbot, viewer, open_widget):
    widget = open_widget(viewer)
    widget.tabs.setCurrentWidget(widget.measure_page)
    panel = widget.measure_panel
    qtbot.waitUntil(lambda: "no labels to measure" in panel.sentence.text())
    assert panel.sentence.height() >= panel.sentence.fontMetrics().height()
    assert not panel.save_button.isEnabled()
    assert panel.table.rows == ()


def test_layers_measure_opens_the_page(qtbot, viewer, layer, models, told, docked):
    from napari._app_model import get_app_model

    app, command = get_app_model(), "napari-localdisc.measure"
    menu = app.menus.get_menu("napari/layers/measure")
    assert command in [item.command.id for item in menu]
    app.commands.execute_command(command)
    (dock,) = docked(viewer, MainWidget)
    assert dock.tabs.currentWidget() is dock.measure_page
    told(dock)
    assert not dock.labels_panel.isVisible()
    dock.tabs.setCurrentIndex(0)
    assert dock.labels_panel.isVisible()
    result = dock.measuring.result
    layer.data[100:110, 50:60] = 3
    layer.refresh()
    qtbot.wait(400)
    assert dock.measuring.result is result  # nobody looks
    dock.tabs.setCurrentWidget(dock.measure_page)
    told(dock, result)
