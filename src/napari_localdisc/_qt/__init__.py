"""The dock widgets: one panel a file, each a thin skin on the controller."""

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
