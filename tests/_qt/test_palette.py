"""napari's palette: every command of ours that it offers runs from it, by keys."""

import re

from napari._app_model import get_app_model
from qtpy.QtCore import Qt

from napari_localdisc._qt import (
    CollectionWidget,
    FolderWidget,
    MainWidget,
    StudyWidget,
    TrainWidget,
)

WIDGETS = MainWidget, TrainWidget, FolderWidget, CollectionWidget, StudyWidget


def test_every_command_runs_from_the_palette(
    qtbot, viewer, docked, notifications, tmp_path, monkeypatch
):
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "cache"))
    menus = get_app_model().menus
    offered = {
        item.command.id: item.command
        for item in menus.get_menu(menus.COMMAND_PALETTE_ID)
        if item.command.id.startswith("napari-localdisc")
        and (item.command.enablement is None or item.command.enablement.eval({}))
    }
    assert len(offered) == len(WIDGETS) + 3  # the sample, measures, the cache
    palette = viewer.window._qt_window._command_palette
    for command in offered.values():
        viewer.window._toggle_command_palette()
        # napari takes what is typed for a regular expression
        qtbot.keyClicks(palette._line, re.sub("[()]", "", command.title))
        chosen = palette._list.command_at(palette._list._selected_index)
        assert chosen.id == command.id
        qtbot.keyClick(palette._line, Qt.Key.Key_Return)
        assert palette.isHidden()
    (main, *others) = [docked(viewer, kind) for kind in WIDGETS]
    assert [len(each) for each in others] == [1] * len(others)
    assert [layer.name for layer in viewer.layers] == ["retina"]
    (main,) = main
    assert main.tabs.currentWidget() is main.measure_page
    (said,) = notifications
    assert "The cache is empty" in said.message
