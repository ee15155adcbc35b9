"""The widget in its dock: choosers, clustering in a thread, closing at any time."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

from napari_localdisc.core.embedding.magnification import USUAL_FIELD

PLUGIN, WIDGET = "napari-localdisc", "Local discrimination"


@pytest.fixture
def eye(viewer, picture):
    return viewer.add_image(picture, name="eye", scale=(2, 3), rotate=20)


@pytest.fixture
def widget(viewer, eye, open_widget):
    return open_widget(viewer)


def texts(combo) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count())]


# Clustering


def test_cluster_button_makes_labels_off_the_gui_thread(
    qtbot, viewer, eye, widget, wait
):
    panel, row = widget.cluster_panel, widget.progress_row
    assert not row.bar.isVisible()
    qtbot.mouseClick(panel.button, Qt.MouseButton.LeftButton)
    # The call has returned before the work is done
    assert widget.controller.workspace.work.is_busy
    assert row.bar.isVisible()
    assert row.cancel_button.isVisible()
    assert not panel.button.isEnabled()
    assert len(viewer.layers) == 1
    wait(widget)
    labels = widget.controller.clusters.layer
    assert labels in viewer.layers
    np.testing.assert_allclose(
        labels.data_to_world((47, 9)), eye.data_to_world((47, 9))
    )
    assert not row.bar.isVisible()
    assert panel.button.isEnabled()
    number, there = widget.controller.clusters.number, len(np.unique(labels.data))
    there -= 0 in labels.data
    of_them = "" if there == number else f", {there} of them here"
    assert row.status.text().startswith(f"{number} structures{of_them}. Move the")


def test_the_size_that_images_are_seen_at_is_said_and_chosen(widget, wait):
    section = widget.size_section
    assert section.said.text() == ""
    widget.cluster_panel.button.click()
    wait(widget)
    assert "usual size" in section.said.text()
    section.choice.value = 3
    assert widget.controller.workspace.models.magnification == 1.33
    widget.cluster_panel.button.click()
    wait(widget)
    assert "1.33 times the usual size, as you chose" in section.said.text()
    assert "change that under “Models”" in widget.progress_row.status.text()
    widget.controller.set_magnification(None)
    assert section.choice.value == 0


def test_another_scale_later_is_another_size(widget, eye, wait):
    section, status = widget.size_section, widget.progress_row.status
    widget.cluster_panel.button.click()
    wait(widget)
    eye.units = ("mm", "mm")
    side = USUAL_FIELD / max(eye.data.shape[:2])
    eye.scale = (1.3 * side, 1.3 * side)
    assert section.said.text() == ""
    assert "looked at anew" in status.text()
    widget.cluster_panel.button.click()
    wait(widget)
    assert "times the usual size, as its scale says" in section.said.text()
    eye.scale = (1.301 * side, 1.301 * side)
    assert "as its scale says" in section.said.text()


def test_slider_relabels_at_once(widget, wait):
    widget.cluster_panel.button.click()
    wait(widget)
    layer = widget.controller.clusters.layer
    widget.cluster_panel.slider.setValue(2)
    assert not widget.controller.workspace.work.is_busy
    assert layer.data.max() <= 2
    assert layer is widget.controller.clusters.layer
    widget.controller.clusters.set_number(5)
    assert widget.cluster_panel.slider.value() == 5


def test_legend_shows_what_is_there(qtbot, widget, wait):
    legend = widget.cluster_panel.legend
    assert legend.chips == []
    widget.cluster_panel.button.click()
    wait(widget)
    labels = widget.controller.clusters.layer
    shown = [label for label, _, _ in legend.chips]
    assert shown == list(np.unique(labels.data))
    assert sum(share for _, share, _ in legend.chips) == pytest.approx(1)
    last = legend._boxes()[-1].center().toPoint()
    qtbot.mouseClick(legend, Qt.MouseButton.LeftButton, pos=last)
    assert labels.selected_label == shown[-1]
    assert not legend.grab().isNull()


def test_cancel(qtbot, viewer, widget, notifications):
    widget.cluster_panel.button.click()
    qtbot.mouseClick(widget.progress_row.cancel_button, Qt.MouseButton.LeftButton)
    assert not widget.controller.workspace.work.is_busy
    assert not widget.progress_row.bar.isVisible()
    assert "Cancelled" in widget.progress_row.status.text()
    qtbot.wait(500)
    assert len(viewer.layers) == 1
    assert not notifications
    widget.cluster_panel.button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)


def test_named_structures(viewer, widget, wait):
    panel = widget.structure_panel
    assert panel.isVisible()
    assert list(panel.map_buttons) == ["vessel"]
    panel.map_buttons["vessel"].click()
    wait(widget)
    panel.add_buttons["vessel"].click()
    wait(widget)
    names = [layer.name for layer in viewer.layers]
    assert names == ["eye", "eye vessel probability", "eye labels"]
    assert widget.controller.classes.chosen.name == "vessel"
    widget.models.value = "other"
    assert not panel.isVisible()


# Choosers


def test_image_chooser_follows_the_layers(viewer, eye, widget, picture):
    chooser = widget.images.native
    assert texts(chooser) == ["eye"]
    other = viewer.add_image(picture, name="other")
    viewer.add_labels(np.zeros((9, 9), int))
    assert texts(chooser) == ["other", "eye"]
    assert chooser.currentText() == "other"
    viewer.layers.selection.active = eye
    assert chooser.currentText() == "eye"
    eye.name = "right eye"
    assert texts(chooser) == ["other", "right eye"]
    assert chooser.currentText() == "right eye"
    chooser.setCurrentIndex(0)
    assert widget.controller.workspace.images.current is other
    viewer.layers.move(viewer.layers.index(other), 0)
    assert texts(chooser) == ["right eye", "other"]
    assert widget.controller.workspace.images.current is other
    viewer.layers.remove(other)
    assert widget.controller.workspace.images.current is eye
    viewer.layers.clear()
    assert texts(chooser) == []
    assert not widget.cluster_panel.button.isEnabled()
    assert not widget.similar_panel.button.isEnabled()
    viewer.add_image(picture, name="new")
    assert chooser.currentText() == "new"
    assert widget.cluster_panel.button.isEnabled()


def test_model_chooser_sees_new_models(widget, models, monkeypatch, tmp_path, point_at):
    chooser = widget.models.native
    assert {"tiny", "other"} <= set(texts(chooser))
    assert chooser.currentText() == "tiny"
    chooser.setCurrentText("other")
    assert widget.controller.workspace.models.name == "other"
    assert widget.cluster_panel.slider.maximum() == 6
    (tmp_path / "third.safetensors").write_bytes(b"nonsense")
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    point_at(chooser)
    assert "third" in texts(chooser)


# Errors are sentences


def test_a_damaged_model_is_a_sentence(
    qtbot, viewer, widget, notifications, monkeypatch, tmp_path, point_at
):
    (tmp_path / "third.safetensors").write_bytes(b"nonsense")
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    point_at(widget.models.native)
    widget.models.value = "third"
    assert "damaged" in notifications[-1].message
    assert "Traceback" not in notifications[-1].message
    widget.cluster_panel.button.click()
    qtbot.waitUntil(lambda: len(notifications) > 1, timeout=20_000)
    assert "damaged" in notifications[-1].message
    assert len(viewer.layers) == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [0, np.nan], ids=["black", "nan"])
def test_bad_images_are_a_sentence(
    qtbot, viewer, open_widget, notifications, wait, value
):
    viewer.add_image(np.full((40, 40), value, np.float32), contrast_limits=(0, 1))
    widget = open_widget(viewer)
    widget.cluster_panel.button.click()
    wait(widget)
    assert len(notifications) == 1
    assert str(notifications[0].severity) == "error"
    assert len(viewer.layers) == 1
    assert widget.cluster_panel.button.isEnabled()


def test_unexpected_errors_are_shown_as_errors(
    qtbot, widget, notifications, monkeypatch, wait
):
    from napari_localdisc.core.embedding import embed as embedding

    def broken(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: not enough memory")
        yield

    monkeypatch.setattr(embedding, "embed_steps", broken)
    widget.cluster_panel.button.click()
    wait(widget)
    assert "not enough memory" in notifications[-1].message
    assert widget.cluster_panel.button.isEnabled()


# Anything may happen in the middle


def test_the_image_is_removed_in_the_middle(qtbot, viewer, eye, widget, notifications):
    widget.cluster_panel.button.click()
    viewer.layers.remove(eye)
    assert not widget.controller.workspace.work.is_busy
    qtbot.wait(500)
    assert len(viewer.layers) == 0
    assert not notifications


def test_the_image_is_renamed_in_the_middle(viewer, eye, widget, wait):
    widget.cluster_panel.button.click()
    eye.name = "left eye"
    wait(widget)
    assert viewer.layers[-1].name == "left eye structures"


def test_the_dock_is_closed_in_the_middle(qtbot, viewer, widget, notifications):
    callbacks = list(viewer.mouse_drag_callbacks)
    widget.similar_panel.button.click()
    widget.cluster_panel.button.click()
    controller = widget.controller
    viewer.window.remove_dock_widget(widget)
    assert not controller.prompts.is_finding
    assert not controller.workspace.work.is_busy
    assert viewer.mouse_drag_callbacks == callbacks
    qtbot.wait(500)
    assert len(viewer.layers) == 1
    viewer.add_image(np.ones((20, 20)))
    viewer.dims.ndisplay = 3
    assert not notifications


def test_the_window_is_closed_in_the_middle(qtbot, viewer, widget, notifications):
    widget.similar_panel.button.click()
    widget.cluster_panel.button.click()
    viewer.close()
    qtbot.wait(500)
    assert not notifications


def test_the_widget_can_be_opened_again(viewer, widget, open_widget, wait):
    viewer.window.remove_dock_widget(widget)
    second = open_widget(viewer)
    assert second is not widget
    second.cluster_panel.button.click()
    wait(second)
    assert second.controller.clusters.layer is not None


def test_other_images_are_hidden_until_asked_for(viewer, eye, widget, picture):
    assert not widget.alone.visible
    other = viewer.add_image(picture, name="other")
    assert widget.alone.native.isVisibleTo(widget)
    assert other.visible
    assert not eye.visible
    widget.alone.native.click()
    assert eye.visible
    widget.controller.one_image.set_alone(True)
    assert widget.alone.native.isChecked()
    viewer.layers.remove(other)
    assert eye.visible
    assert not widget.alone.native.isVisibleTo(widget)


def test_a_closed_widget_is_let_go(qtbot, viewer, eye, open_widget, wait):
    widget = open_widget(viewer)
    widget.cluster_panel.button.click()
    wait(widget)
    gone = weakref.ref(widget.controller)
    viewer.window.remove_dock_widget(widget)
    del widget
    qtbot.wait(50)
    gc.collect()
    assert gone() is None


def test_a_removed_image_is_let_go(qtbot, viewer, picture, open_widget, wait):
    gone = weakref.ref(viewer.add_image(picture.copy()).data)
    widget = open_widget(viewer)
    widget.cluster_panel.button.click()
    wait(widget)
    viewer.layers.clear()
    qtbot.wait(50)
    gc.collect()
    assert gone() is None


def test_two_viewers(make_napari_viewer, viewer, widget, picture, open_widget, wait):
    elsewhere = make_napari_viewer(show=True)
    elsewhere.add_image(picture[::-1].copy(), name="eye")
    second = open_widget(elsewhere)
    widget.cluster_panel.button.click()
    second.similar_panel.button.click()
    second.controller.prompts.add((10, 10))
    wait(widget)
    wait(second)
    assert [layer.name for layer in viewer.layers] == ["eye", "eye structures"]
    names = [layer.name for layer in elsewhere.layers]
    assert names == ["eye", "eye similarity", "eye mask", "eye prompts"]
    assert widget.controller.prompts.points == ()
    assert not widget.similar_panel.button.isChecked()


# How it comes into napari


def test_menus_and_sample(viewer):
    from napari._app_model import get_app_model

    menus = get_app_model().menus
    for menu in ("napari/layers/segment", "napari/layers/annotate"):
        commands = [item.command.id for item in menus.get_menu(menu)]
        assert f"{PLUGIN}.open_widget" in commands
    viewer.open_sample(PLUGIN, "retina")
    retina = viewer.layers["retina"]
    assert retina.rgb
    assert retina.data.shape == (1411, 1411, 3)
    assert retina.metadata["licence"] == "CC0 1.0"


OPENING = """
import sys
import napari
viewer = napari.Viewer(show=False)
viewer.open_sample("napari-localdisc", "retina")
_, widget = viewer.window.add_plugin_dock_widget(
    "napari-localdisc", "Local discrimination"
)
assert widget.controller.workspace.images.current is not None
assert widget.controller.workspace.models.names
print([name for name in ("matplotlib", "scipy.stats", "torch") if name in sys.modules])
viewer.close()
"""


def test_opening_the_widget_imports_nothing_slow(models):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPENING],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr


# Size


def test_fits_a_low_screen_and_scrolls_nothing_on_a_high_one(qtbot, widget, wait):
    qtbot.mouseClick(widget.cluster_panel.button, Qt.MouseButton.LeftButton)
    assert widget.minimumSizeHint().height() < 650  # with the progress bar
    wait(widget)
    page = widget.tabs.currentWidget()
    widget.parent().setMinimumHeight(1000)
    qtbot.waitUntil(lambda: widget.height() > 900)
    page.widget().layout().addWidget(QLabel("a line\n" * 12))  # the content grows
    qtbot.waitUntil(lambda: page.widget().height() > 350)
    bar = page.verticalScrollBar()
    qtbot.waitUntil(lambda: not bar.isVisible())
    assert bar.maximum() == 0
