"""The dock widget “Local discrimination”."""

import napari.viewer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_localdisc.viewer.concepts import Concepts
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.script import Scripts
from napari_localdisc.viewer.session.autosave import INTERVAL, Autosaver
from napari_localdisc.viewer.session.session import Sessions

from .panels.choosers import (
    AloneChoice,
    DoubtNotice,
    ProgressRow,
    image_choice,
    model_choice,
)
from .panels.clusters import ClusterPanel, StructurePanel
from .panels.files import ConceptSection, CrashNotice, ExportSection, SessionSection
from .panels.labels import LabelsPanel
from .panels.models import SizeSection, TrainingSection
from .panels.similar import SimilarPanel
from .panels.strokes import StrokesPanel
from .parts import Docked, Scrolling, form, viewer_of
from .threads import QtPacer, QtRunner, report, warm_up_soon


class MainWidget(Docked):
    """Panels on one controller; when it is closed it leaves only layers behind.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the widget is docked in.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        viewer = viewer_of(napari_viewer)
        controller = Controller(viewer, QtRunner(), report, QtPacer())
        self.controller = controller
        controller.workspace.embeddings.misfit.connect(show_warning)
        self.sessions = Sessions(controller)
        self.concepts = Concepts(controller, self.sessions)
        self.scripts = Scripts(controller, self.sessions)
        self.autosaver = Autosaver(controller, self.sessions)
        self._minutes = QTimer(self)
        self._minutes.timeout.connect(self.autosaver.save)
        self._minutes.start(round(INTERVAL * 1000))
        self.crash_notice = CrashNotice(self.autosaver)
        self.images = image_choice(controller)
        self.alone = AloneChoice(controller)
        self.models = model_choice(controller)
        self.doubt_notice = DoubtNotice(controller.doubts)
        self.cluster_panel = ClusterPanel(controller)
        self.similar_panel = SimilarPanel(controller)
        self.structure_panel = StructurePanel(controller)
        self.strokes_panel = StrokesPanel(controller)
        self.size_section = SizeSection(controller)
        self.training_section = TrainingSection(controller)
        self.session_section = SessionSection(self.sessions, self.scripts)
        self.concept_section = ConceptSection(controller, self.concepts)
        self.export_section = ExportSection(viewer)
        self.labels_panel = LabelsPanel(controller, self.export_section.control)
        self.progress_row = ProgressRow(
            controller.workspace, "Stop; everything stays as it was before"
        )
        self.similar_page = page(self.similar_panel)
        files = page(self.session_section, self.concept_section, self.export_section)
        self.tabs = QTabWidget()
        self.tabs.addTab(page(self.cluster_panel, self.structure_panel), "Structures")
        self.tabs.addTab(self.similar_page, "Find similar")
        self.tabs.addTab(page(self.strokes_panel), "Strokes")
        self.tabs.addTab(page(self.size_section, self.training_section), "Models")
        self.tabs.addTab(files, "Files")
        layout = QVBoxLayout(self)
        layout.addWidget(self.crash_notice)
        layout.addWidget(form(self.images, self.alone, self.models).native)
        layout.addWidget(self.doubt_notice)
        layout.addWidget(self.tabs)
        layout.addWidget(self.labels_panel)
        layout.addWidget(self.progress_row)
        layout.addStretch()
        controller.prompts.finding_changed.connect(self._show_finding)
        # The window may be destroyed without this widget being told first
        self.destroyed.connect(self.autosaver.close)
        self.destroyed.connect(controller.close)
        warm_up_soon(self)

    def _show_finding(self, finding: bool) -> None:
        """Bring the prompts' panel up when their mode is entered by its key."""
        if finding:
            self.tabs.setCurrentWidget(self.similar_page)

    def leave(self) -> None:
        """Stop all work; layers stay."""
        self._minutes.stop()
        self.autosaver.close()
        self.controller.close()
        self.export_section.control.close()


def page(*panels: QWidget) -> QWidget:
    """Put panels below each other on a page of the tabs."""
    widget = QWidget()
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(4, 6, 4, 4)
    for panel in panels:
        layout.addWidget(panel)
    layout.addStretch()
    return Scrolling(widget)
