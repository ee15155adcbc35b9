"""The dock widgets: one panel a file, each a thin skin on the controller."""

from .folder_panel import FolderWidget
from .main_widget import MainWidget
from .train_panel import TrainWidget

__all__ = ["FolderWidget", "MainWidget", "TrainWidget"]
