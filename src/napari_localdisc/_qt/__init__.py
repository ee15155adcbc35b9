"""The dock widgets: one panel a file, each a thin skin on the controller."""

from .folder_widget import FolderWidget
from .main_widget import MainWidget
from .study_widget import StudyWidget
from .train_widget import TrainWidget

__all__ = ["FolderWidget", "MainWidget", "StudyWidget", "TrainWidget"]
