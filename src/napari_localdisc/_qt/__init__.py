"""The dock widgets: one panel a file, each a thin skin on the controller.

A widget is imported when it is first opened: none waits for what the others need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collection_widget import CollectionWidget
    from .folder_widget import FolderWidget
    from .main_widget import MainWidget
    from .study_widget import StudyWidget
    from .train_widget import TrainWidget

__all__ = [
    "CollectionWidget",
    "FolderWidget",
    "MainWidget",
    "StudyWidget",
    "TrainWidget",
]

_MODULES = {
    "CollectionWidget": ".collection_widget",
    "FolderWidget": ".folder_widget",
    "MainWidget": ".main_widget",
    "StudyWidget": ".study_widget",
    "TrainWidget": ".train_widget",
}


def __getattr__(name: str) -> Any:
    """Import a widget at its first use (PEP 562)."""
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
