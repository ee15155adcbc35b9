"""The dock widget “Local discrimination”."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_localdisc.controller import Controller

from .choosers import ImageChooser, ModelChooser
from .cluster_panel import ClusterPanel
from .export_section import ExportSection
from .progress_row import ProgressRow
from .reporting import report
from .runner import QtRunner
from .similar_panel import SimilarPanel
from .structure_panel import StructurePanel
from .training_section import TrainingSection

if TYPE_CHECKING:
    import napari.viewer


class MainWidget(QWidget):
    """Panels on one controller; when it is closed it leaves only layers behind.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the widget is docked in.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # napari hands out a proxy, whose layers are not the layers that events carry
        viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        controller = Controller(viewer, QtRunner(), report)
        self.controller = controller
        self.images = ImageChooser(controller)
        self.models = ModelChooser(controller)
        self.cluster_panel = ClusterPanel(controller)
        self.similar_panel = SimilarPanel(controller)
        self.structure_panel = StructurePanel(controller)
        self.training_section = TrainingSection(controller)
        self.export_section = ExportSection(viewer)
        self.progress_row = ProgressRow(controller)
        form = QFormLayout()
        form.addRow("Image", self.images)
        form.addRow("Model", self.models)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.cluster_panel)
        layout.addWidget(self.similar_panel)
        layout.addWidget(self.structure_panel)
        layout.addWidget(self.training_section)
        layout.addWidget(self.export_section)
        layout.addWidget(self.progress_row)
        layout.addStretch()
        # The window may be destroyed without this widget being told first
        self.destroyed.connect(controller.close)

    def event(self, event: Any) -> bool:
        """Close the controller when napari takes the widget out of its dock."""
        handled = bool(super().event(event))
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._close_controller()
        return handled

    def closeEvent(self, event: Any) -> None:
        """Close the controller when the widget is closed by itself."""
        self._close_controller()
        super().closeEvent(event)

    def _close_controller(self) -> None:
        self.controller.close()
        self.export_section.close_control()
        self.setEnabled(False)
