"""What every dock widget does: know its viewer, and end its work when it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    import napari.viewer


def viewer_of(napari_viewer: napari.viewer.Viewer) -> Any:
    """Return the viewer behind napari's proxy, whose layers are those of events."""
    return getattr(napari_viewer, "__wrapped__", napari_viewer)


class Docked(QWidget):
    """A widget of napari's docks; `leave` is called when it is closed or taken out."""

    def leave(self) -> None:
        """End the work; may be called more than once."""
        raise NotImplementedError

    def event(self, event: Any) -> bool:
        """End the work when napari takes the widget out of its dock."""
        handled = bool(super().event(event))
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        return handled

    def closeEvent(self, event: Any) -> None:
        """End the work when the widget is closed by itself."""
        self._leave()
        super().closeEvent(event)

    def _leave(self) -> None:
        self.leave()
        self.setEnabled(False)
