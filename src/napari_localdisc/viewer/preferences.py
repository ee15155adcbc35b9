"""What the user set in napari's Preferences, on the page of this plugin.

The page is made by napari (0.9 or later) from the manifest's ``configurations`` and
kept in napari's own settings folder.  Earlier versions have no such page; then the
defaults hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_localdisc.io.cache import EmbeddingCache

PLUGIN = "napari-localdisc"
GIGABYTE = 1 << 30


def _page(name: str = "cache") -> Any | None:
    """Return napari's model of one group of settings, or None without one."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # before napari 0.9
        return None
    try:
        return getattr(get_plugin_settings(PLUGIN), name)
    except KeyError:  # the plugin is disabled, or not installed but only imported
        return None


def shows_tour() -> bool:
    """Tell whether a newcomer's tour is wanted; not where no answer can be kept."""
    page = _page("tour")
    return page is not None and bool(page.show)


def end_tour() -> None:
    """Keep that the tour is wanted no more."""
    page = _page("tour")
    if page is not None:
        page.show = False


def preferred_cache() -> EmbeddingCache | None:
    """Return the cache in the user's folder, or None if it is switched off."""
    from napari_localdisc.io.cache import EmbeddingCache

    page = _page()
    if page is None:
        return EmbeddingCache()
    if not page.enabled:
        return None
    return EmbeddingCache(size_limit=int(page.size_limit_gb * GIGABYTE))


def clear_cache() -> None:
    """Empty the user's cache folder: the command in File > IO Utilities."""
    from napari.utils.notifications import show_info

    from napari_localdisc.io.cache import EmbeddingCache

    freed = EmbeddingCache().clear()
    show_info(f"The cache is empty: {freed / 1e6:.0f} MB were freed.")
