"""The dock widgets: one panel a file, each a thin skin on the controller."""

from .main_widget import MainWidget
from .train_panel import TrainWidget

__all__ = ["MainWidget", "TrainWidget"]
