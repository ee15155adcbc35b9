"""The plugin's page in napari's Preferences is honoured."""

import numpy as np
import pytest

from napari_localdisc.io.cache import EmbeddingCache
from napari_localdisc.viewer import preferences

pytest.importorskip("napari", "0.9", "older ones have no pages of plugins")

PAGE = preferences._page


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """The real page, kept in a folder of the test's own."""
    from napari import settings as napari_settings

    monkeypatch.setattr(preferences, "_page", PAGE)
    monkeypatch.setattr(napari_settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "embeddings"))
    napari_settings._clear_plugin_settings_cache()
    yield napari_settings.get_plugin_settings("napari-localdisc").cache
    napari_settings._clear_plugin_settings_cache()


@pytest.fixture
def form(viewer, settings):
    """The page's form in the dialog that the menu opens."""
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    dialog = PreferencesDialog(parent=viewer.window._qt_window)
    titles = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    page = dialog._stack.widget(titles.index("napari-localdisc"))
    names = ("enabled", "size_limit_gb")

    def boxes():
        from napari._vendor.qt_json_builder.qt_jsonschema_form.widgets import (
            ObjectSchemaWidget,
        )

        found, _ = page.widget().findChildren(ObjectSchemaWidget)  # cache, tour
        return [found.widgets[name] for name in names]

    yield boxes()
    dialog.close()
    dialog.deleteLater()


def kept(cache) -> bool:
    """Whether an embedding is there, whole."""
    return any(path.name[0] != "." for path in cache.folder.glob("*"))


def test_cache_is_switched_limited_and_cleared(
    viewer, settings, form, open_widget, wait, qtbot, tmp_path
):
    enabled, limit = form
    viewer.add_image(np.random.default_rng(0).random((40, 48, 3)))
    widget = open_widget(viewer)
    widget.controller.clusters.show()
    wait(widget)
    cache = EmbeddingCache()
    qtbot.waitUntil(lambda: kept(cache), timeout=20_000)
    widget.cache_section.clear_button.click()
    qtbot.waitUntil(lambda: cache.total_size() == 0, timeout=20_000)
    qtbot.waitUntil(
        lambda: "cache is empty" in widget.progress_row.status.text(), timeout=20_000
    )
    limit.setValue(0.5)
    assert preferences.preferred_cache().size_limit == 1 << 29
    enabled.setChecked(False)
    assert preferences.preferred_cache() is None
    assert "enabled: false" in (tmp_path / "napari-localdisc.yaml").read_text()


def test_command_of_the_menu_clears(settings, viewer):
    from npe2 import PluginManager

    folder = EmbeddingCache().folder / ("0" * 40)
    folder.mkdir(parents=True)
    PluginManager.instance().commands.execute("napari-localdisc.clear_cache")
    assert not folder.exists()
