"""Measures of labels: what is measured, a table, plots, and files."""

from pathlib import Path
from typing import Any

from magicgui.widgets import CheckBox, FloatSpinBox
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QMenu, QPushButton

from napari_localdisc._qt.parts import Choice, Section, button, follow, form
from napari_localdisc.core.measure.choosing import MEASURE_GROUPS
from napari_localdisc.core.measure.grids import GRIDS
from napari_localdisc.core.measure.units import USUAL_DISC_MM
from napari_localdisc.viewer.measure_files import MeasureFiles, as_text, offered
from napari_localdisc.viewer.measure_shown import MeasureShown
from napari_localdisc.viewer.workspace import Workspace

from .measure_plots import PlotPanel
from .measure_table import MeasureTable

KINDS = {
    "fundus": "a fundus photograph",
    "chest": "a chest radiograph",
    "any": "anything",
}
REGIONS = {
    "field": "whole field",
    "etdrs": "ETDRS rings",
    "quadrants": "quadrants",
    "zones": "zones A, B, C",
}
BEST = "best unit"


class MeasurePanel(Section):
    """A thin skin on `Measuring` and what shows it; measures while it is seen."""

    def __init__(
        self, workspace: Workspace, shown: MeasureShown, files: MeasureFiles
    ) -> None:
        super().__init__("Measure")
        measuring = shown.measuring
        self._measuring, self._shown, self._files = measuring, shown, files
        self.layers = Choice(
            lambda: measuring.candidates,
            lambda: measuring.labels,
            "no labels layer is open",
            label="Labels",
            tooltip="The Labels layer that is measured: yours, or one that was made "
            "here.\nNumbers follow when it is painted on.",
        )
        self.kinds = Choice(
            lambda: list(KINDS.values()),
            lambda: KINDS[measuring.kind],
            label="Of",
            tooltip="What names of classes mean: vessel, artery, vein, optic disc, "
            "optic cup, lesions;\nlung and heart.  Of anything: sizes, shapes, "
            "brightness.",
        )
        self.regions = CheckMenu(
            "Regions", REGIONS, measuring.options.regions, self._set_regions
        )
        self.groups = CheckMenu(
            "Measures",
            {group: group for group in MEASURE_GROUPS},
            shown.groups,
            lambda chosen: shown.set_groups(chosen),
            empty="all",
        )
        self.units = Choice(
            lambda: [BEST, *shown.units],
            lambda: shown.unit if shown.unit in shown.units else BEST,
            label="Unit",
            tooltip="Of lengths and areas.  Best: millimetres where they are known, "
            "else pixels.",
        )
        self.pieces = CheckBox(
            text="Each piece",
            tooltip="A row for each lesion and for each segment of a vessel",
        )
        self.in_picture = CheckBox(
            text="Calibres in the picture",
            value=True,
            tooltip="Vessels are as wide as the picture shows, at half depth.\nOff: as "
            "wide as the labels are painted.",
        )
        self.disc = CheckBox(
            text="Take the disc as",
            tooltip="Without a scale, millimetres by the optic disc's diameter: the "
            "table says so",
        )
        self.disc_mm = FloatSpinBox(
            value=USUAL_DISC_MM, min=0.1, max=10, step=0.05, label="Disc"
        )
        self.disc_mm.native.setSuffix(" mm")
        self.disc_mm.native.setAccessibleName("Diameter of the optic disc")
        self.fovea_button = button(
            "Place fovea",
            "Add a point where the fovea was found; drag it to where it is",
            shown.place_fovea,
        )
        self.table = MeasureTable(shown)
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.copy_button = button(
            "Copy", "Copy the rows, the selected ones if several are", self.copy
        )
        self.save_button = button(
            "Save…",
            "Write the rows that are shown as CSV, Parquet (where pandas and pyarrow "
            "are installed) or\na report of one page: picture with outlines, numbers, "
            "plots, settings",
            self._ask_and_save,
        )
        self.plots = PlotPanel(workspace.viewer, measuring)
        self.add(form(self.layers, self.kinds))
        self.add(self.regions, self.groups, self.units)
        self.add(self.pieces, self.in_picture, None)
        self.add(self.disc, self.disc_mm, None, self.fovea_button)
        self.add(self.table)
        self.add(self.sentence)
        self.add(self.copy_button, self.save_button, None)
        self.add(self.plots)
        self.layers.changed.connect(measuring.choose)
        self.kinds.changed.connect(self._set_kind)
        self.units.changed.connect(
            lambda unit: shown.set_unit(None if unit == BEST else unit)
        )
        self.pieces.changed.connect(lambda on: measuring.set_options(pieces=on))
        self.in_picture.changed.connect(lambda on: measuring.set_options(in_picture=on))
        self.disc.changed.connect(self._set_disc)
        self.disc_mm.changed.connect(self._set_disc)
        measuring.listed.connect(self.layers.reset_choices)
        measuring.listed.connect(self.kinds.reset_choices)
        measuring.busy_changed.connect(self._show_sentence)
        follow(self._show, measuring.changed)
        self.layers.reset_choices()

    # What the fields do

    def _set_kind(self, text: str) -> None:
        (kind,) = [kind for kind, said in KINDS.items() if said == text]
        self._measuring.set_options(kind=kind)

    def _set_regions(self, chosen: tuple[str, ...]) -> None:
        self._measuring.set_options(regions=chosen or GRIDS[:1])
        if not chosen:
            self.regions.set_chosen(GRIDS[:1])

    def _set_disc(self, *_: Any) -> None:
        size = float(self.disc_mm.value) if self.disc.value else None
        self._measuring.set_options(disc_mm=size)

    def copy(self) -> None:
        """Copy rows, as spreadsheets take them."""
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        chosen = self.table.selected_rows
        clipboard.setText(as_text(chosen if len(chosen) > 1 else self._shown.rows))

    def _ask_and_save(self) -> None:
        labels = self._measuring.labels
        if labels is None:
            return
        start = str(Path.home() / f"{labels.name} measures.csv")
        kinds = ";;".join(offered())
        path, chosen = QFileDialog.getSaveFileName(self, "Save numbers", start, kinds)
        if not path:
            return
        if not Path(path).suffix:
            path += chosen.rpartition("*")[2].rstrip(")")
        self._files.save(path)

    # What is shown

    def _show(self) -> None:
        self.kinds.reset_choices()
        self.units.reset_choices()
        result = self._measuring.result
        self.copy_button.setEnabled(result is not None)
        self.save_button.setEnabled(result is not None)
        is_fundus = self._measuring.kind == "fundus"
        self.fovea_button.setEnabled(result is not None and is_fundus)
        for field in (self.disc, self.disc_mm, self.regions):
            (field.native if hasattr(field, "native") else field).setEnabled(is_fundus)
        self.in_picture.enabled = result is not None and bool(result.examined.vessels)
        self._show_sentence()

    def _show_sentence(self, *_: Any) -> None:
        self.sentence.setText(self._files.sentence())

    def showEvent(self, event: Any) -> None:
        """Measure while it is seen."""
        super().showEvent(event)
        self._measuring.watch(True)

    def hideEvent(self, event: Any) -> None:
        """Measure no more, and draw nothing that would not follow."""
        super().hideEvent(event)
        self.table.clearSelection()
        self._measuring.watch(False)


class CheckMenu(QPushButton):
    """A button with a menu in which several things can be ticked.

    Parameters
    ----------
    title : str
        What is chosen.
    offered : dict of str to str
        Values and what the menu calls them.
    chosen : tuple of str
        Those that are ticked.
    then : callable
        Gets those that are ticked, after each change.
    empty : str
        What the button says of none.
    """

    def __init__(
        self,
        title: str,
        offered: dict[str, str],
        chosen: tuple[str, ...],
        then: Any,
        empty: str = "none",
    ) -> None:
        super().__init__()
        self._title, self._then, self._empty = title, then, empty
        menu = _StayingMenu(self)
        self.actions_by_value = {}
        for value, text in offered.items():
            action = menu.addAction(text)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(value in chosen)
            action.triggered.connect(self._on_tick)
            self.actions_by_value[value] = action
        self.setMenu(menu)
        self._show()

    @property
    def chosen(self) -> tuple[str, ...]:
        """What is ticked."""
        ticked = self.actions_by_value.items()
        return tuple(value for value, action in ticked if action.isChecked())

    def set_chosen(self, chosen: tuple[str, ...]) -> None:
        """Tick these; nobody is told."""
        for value, action in self.actions_by_value.items():
            action.setChecked(value in chosen)
        self._show()

    def _on_tick(self) -> None:
        self._show()
        self._then(self.chosen)

    def _show(self) -> None:
        texts = [self.actions_by_value[value].text() for value in self.chosen]
        self.setToolTip(f"{self._title}: {', '.join(texts) or self._empty}")
        many = f"{len(texts)} chosen" if len(texts) > 1 else None
        self.setText(many or (texts[0] if texts else self._empty))
        self.setAccessibleName(self._title)


class _StayingMenu(QMenu):
    """Stays open while boxes are ticked with the mouse."""

    def mouseReleaseEvent(self, event: Any) -> None:
        """Tick, and stay."""
        action = self.activeAction()
        if action is not None and action.isEnabled():
            action.trigger()
        else:
            super().mouseReleaseEvent(event)
