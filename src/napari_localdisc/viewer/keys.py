"""Keys that are ours while the plugin is open, and only where nobody else has them."""

from collections.abc import Callable, Mapping
from typing import Any

from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.key_bindings import coerce_keybinding

KEYS = {
    "find similar": "Q",
    "click, box, lasso": "J",
    "add to labels": "K",
    "next class": "N",
    "where next": "W",
    "outline, fill, off": "H",
    "undo": "U",
    "redo": "Shift-U",
    "lower threshold": ",",
    "higher threshold": ".",
    "next image": "PageDown",
    "previous image": "PageUp",
    "accept image": "Shift-Y",
    "reject image": "Shift-X",
    "correct by clicks": "Shift-Q",
}
"""What each key does; none of them is napari's."""


def napari_keys() -> set[str]:
    """Keys that napari binds for the viewer or any kind of layer, as it is set up."""
    shortcuts = get_settings().shortcuts.shortcuts
    return {str(coerce_keybinding(key)) for keys in shortcuts.values() for key in keys}


class KeyBindings:
    """Binds keys of a viewer, and gives them back.

    Parameters
    ----------
    viewer : ViewerModel
        Whose keys.
    actions : mapping of str to callable
        What to do for each name in `KEYS`.
    """

    def __init__(
        self, viewer: ViewerModel, actions: Mapping[str, Callable[[], None]]
    ) -> None:
        self._viewer = viewer
        self._bound: dict[str, Any] = {}
        taken = napari_keys()
        for name, action in actions.items():
            key = coerce_keybinding(KEYS[name])
            if str(key) in taken or key in viewer.keymap:
                continue  # the user, or another plugin, has given it another meaning
            self._bound[name] = lambda viewer, action=action: action()
            viewer.bind_key(KEYS[name], self._bound[name])

    def hint(self, name: str) -> str:
        """Return what to add to a tooltip; empty if the key is not ours."""
        return f"\nKey: {KEYS[name]}" if name in self._bound else ""

    def unbind(self) -> None:
        """Give the keys back."""
        for name, function in self._bound.items():
            if self._viewer.keymap.get(coerce_keybinding(KEYS[name])) is function:
                self._viewer.bind_key(KEYS[name], None)
        self._bound.clear()
