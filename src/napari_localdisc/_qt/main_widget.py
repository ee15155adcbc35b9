"""The dock widget “Local discrimination”."""

import napari.viewer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QTabWidget, QVBoxLayout, QWidget

from napari_localdisc.viewer.concepts import Concepts
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.measure import Measuring
from napari_localdisc.viewer.measure_files import MeasureFiles
from napari_localdisc.viewer.measure_shown import MeasureShown
from napari_localdisc.viewer.script import Scripts
from napari_localdisc.viewer.session.autosave import INTERVAL, Autosaver
from napari_localdisc.viewer.session.session import Sessions
from napari_localdisc.viewer.tour import Tour

from .help import HelpButton
from .panels.choosers import (
    AloneChoice,
    DoubtNotice,
    ProgressRow,
    ViewChoice,
    image_choice,
    model_choice,
)
from .panels.clusters import ClusterPanel, StructurePanel
from .panels.files import (
    CacheSection,
    ConceptSection,
    CrashNotice,
    ExportSection,
    SessionSection,
)
from .panels.first_steps import EmptyNotice, TourNotice
from .panels.labels import LabelsPanel
from .panels.measure import MeasurePanel
from .panels.models import ModelSection, SizeSection, TrainingSection
from .panels.pieces import PiecesPanel
from .panels.similar import SimilarPanel
from .panels.strokes import StrokesPanel
from .parts import Docked, Scrolling, viewer_of
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
        self.measuring = Measuring(controller.workspace)
        self.measure_shown = MeasureShown(viewer, self.measuring)
        self.autosaver = Autosaver(controller, self.sessions)
        self._minutes = QTimer(self)
        self._minutes.timeout.connect(self.autosaver.save)
        self._minutes.start(round(INTERVAL * 1000))
        self.crash_notice = CrashNotice(self.autosaver)
        self.images = image_choice(controller)
        self.alone = AloneChoice(controller)
        self.models = model_choice(controller)
        self.views = ViewChoice(controller)
        self.doubt_notice = DoubtNotice(controller.doubts)
        self.cluster_panel = ClusterPanel(controller)
        self.similar_panel = SimilarPanel(controller)
        self.structure_panel = StructurePanel(controller)
        self.strokes_panel = StrokesPanel(controller)
        numbers = MeasureFiles(controller.workspace, self.measure_shown)
        self.measure_panel = MeasurePanel(
            controller.workspace, self.measure_shown, numbers
        )
        self.model_section = ModelSection(controller)
        self.size_section = SizeSection(controller)
        self.training_section = TrainingSection(controller)
        self.session_section = SessionSection(
            controller.workspace, self.sessions, self.scripts
        )
        self.concept_section = ConceptSection(controller, self.concepts)
        self.export_section = ExportSection(controller)
        self.labels_panel = LabelsPanel(controller, self.export_section.control)
        self.progress_row = ProgressRow(
            controller.workspace, "Stop; everything stays as it was before"
        )
        self.pieces_panel = PiecesPanel(controller)
        self.similar_page = page(self.similar_panel, self.pieces_panel)
        self.cache_section = CacheSection(controller.workspace)
        files = page(
            self.export_section,
            self.session_section,
            self.concept_section,
            self.cache_section,
        )
        self.tabs = QTabWidget()
        self.tabs.addTab(page(self.cluster_panel, self.structure_panel), "Structures")
        self.tabs.addTab(self.similar_page, "Find similar")
        self.tabs.addTab(page(self.strokes_panel), "Strokes")
        # Its plots would make the other pages higher than they need to be
        self.measure_page = page(self.measure_panel, asks_hidden=False)
        self.tabs.addTab(self.measure_page, "Measure")
        self.tabs.addTab(
            page(self.training_section, self.model_section, self.size_section), "Models"
        )
        self.tabs.addTab(files, "Files")
        self.help_button = HelpButton(self.tabs.tabText(0))
        self.tabs.setCornerWidget(self.help_button)
        self.tabs.currentChanged.connect(
            lambda at: self.help_button.show_for(self.tabs.tabText(at))
        )
        self.tabs.currentChanged.connect(self._show_page)
        self.empty_notice = EmptyNotice(controller)
        self.tour_notice = TourNotice(Tour(), controller, self._show_tab)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self.crash_notice)
        layout.addWidget(self.empty_notice)
        layout.addWidget(self.tour_notice)
        layout.addLayout(self._chosen())
        layout.addWidget(self.doubt_notice)
        layout.addWidget(self.tabs)
        layout.addWidget(self.labels_panel)
        layout.addWidget(self.progress_row)
        layout.addStretch()
        controller.prompts.finding_changed.connect(self._show_finding)
        # The window may be destroyed without this widget being told first
        self.destroyed.connect(self.autosaver.close)
        self.destroyed.connect(self.measuring.close)
        self.destroyed.connect(controller.close)
        warm_up_soon(self)

    def _show_tab(self, title: str) -> None:
        titles = [self.tabs.tabText(at) for at in range(self.tabs.count())]
        if title in titles:
            self.tabs.setCurrentIndex(titles.index(title))

    def _chosen(self) -> QGridLayout:
        """Lay out what is worked on, with what, and how it is seen."""
        grid = QGridLayout()
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for line, choice in enumerate((self.images, self.models)):
            label = QLabel(choice.label)
            label.setBuddy(choice.native)
            choice.native.setAccessibleName(choice.label)
            grid.addWidget(label, line, 0)
            grid.addWidget(choice.native, line, 1)
        grid.addWidget(self.views, 0, 2)
        grid.addWidget(self.alone.native, 1, 2)
        return grid

    def _show_finding(self, finding: bool) -> None:
        """Bring the prompts' panel up when their mode is entered by its key."""
        if finding:
            self.tabs.setCurrentWidget(self.similar_page)

    def _show_page(self) -> None:
        """Give a table of numbers the room of the table of classes."""
        is_measured = self.tabs.currentWidget() is self.measure_page
        self.tabs.updateGeometry()
        self.labels_panel.setVisible(not is_measured)

    def leave(self) -> None:
        """Stop all work; layers stay."""
        self._minutes.stop()
        self.autosaver.close()
        self.measure_panel.plots.leave()
        self.measure_shown.close()
        self.measuring.close()
        self.controller.close()
        self.export_section.control.close()


def page(*panels: QWidget, asks_hidden: bool = True) -> QWidget:
    """Put panels below each other on a page of the tabs; see `Scrolling`."""
    widget = QWidget()
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    for panel in panels:
        layout.addWidget(panel)
    layout.addStretch()
    return Scrolling(widget, asks_hidden)
