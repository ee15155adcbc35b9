"""The dock widget “Study”: a folder of images, worked through one after another."""

from collections.abc import Mapping

import napari.viewer
from magicgui.widgets import CheckBox, LineEdit
from matplotlib.figure import Figure
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc.batch.comparing import Comparison, worth_drawing
from napari_localdisc.core.study.graders import BlandAltman
from napari_localdisc.core.study.plots import draw_bland_altman
from napari_localdisc.io.study import STATES, State, StudyImage, is_study
from napari_localdisc.viewer.study.control import StudyControl
from napari_localdisc.viewer.study.listing import EVERY, ORDERS

from .canvas import Canvas
from .help import HelpButton
from .panels.choosers import ProgressRow
from .parts import (
    Choice,
    Docked,
    Scrolling,
    Section,
    button,
    follow,
    form,
    path_field,
    path_text,
    row,
    small_print,
    viewer_of,
)
from .threads import QtPacer, QtRunner, report

ICON, DOT = 52, 12
SAVE_EVERY = 5000
"""Milliseconds after which what was drawn by other means than a brush is saved."""

STATE_COLOURS = {
    "new": "#9aa0a6",
    "proposed": "#56b4e9",
    "corrected": "#e69f00",
    "accepted": "#009e73",
    "rejected": "#d55e00",
}
"""Okabe and Ito's, which colour-blind eyes tell apart; each has a sign as well."""

SIGNS = {
    "new": "·",
    "proposed": "○",
    "corrected": "◐",
    "accepted": "✓",
    "rejected": "✗",
}


class StudyWidget(Docked):
    """A thin skin on `StudyControl`; closing it saves, and layers stay.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the widget is docked in.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        viewer = viewer_of(napari_viewer)
        self.control = control = StudyControl(viewer, QtRunner(), report, QtPacer())
        theme = get_theme(viewer.theme)
        self.header = StudyHeader(control)
        self.images_page = ImagesPage(control)
        self.agreement = AgreementPage(
            control, theme.background.as_hex(), theme.text.as_hex()
        )
        self.tabs = QTabWidget()
        self.tabs.addTab(Scrolling(self.images_page), "Images")
        self.tabs.addTab(Scrolling(self.agreement), "Agreement")
        self.help_button = HelpButton(self.tabs.tabText(0))
        self.tabs.setCornerWidget(self.help_button)
        self.tabs.currentChanged.connect(
            lambda at: self.help_button.show_for(self.tabs.tabText(at))
        )
        self.progress_row = ProgressRow(control, "Stop; what was saved stays")
        layout = QVBoxLayout(self)
        layout.addWidget(self.header)
        layout.addWidget(self.tabs, stretch=1)
        layout.addWidget(self.progress_row)
        self._timer = QTimer(self)
        self._timer.timeout.connect(control.save_soon)
        self._timer.start(SAVE_EVERY)
        self.destroyed.connect(control.close)

    def leave(self) -> None:
        """Save, and follow the viewer no longer."""
        self._timer.stop()
        self.control.close()


class StudyHeader(QWidget):
    """Which study, and who works on it."""

    def __init__(self, control: StudyControl) -> None:
        super().__init__()
        self._control = control
        self.path = path_field(
            "Study",
            "A folder of images",
            tooltip="A folder of images, or a study's file: study.sqlite.\nA folder "
            "without a study gets one.",
        )
        self.grader = LineEdit(
            value=control.grader,
            label="Grader",
            tooltip="Who works: each grader has states, notes and masks of their own",
        )
        self.structures = LineEdit(
            label="Structures",
            tooltip="Of a new study, separated by commas: what is to be annotated.\n"
            "What the model does not know begins empty, and is learned from what you "
            "accept.",
        )
        self.models = Choice(
            lambda: control.models.names,
            lambda: control.models.name,
            label="Model",
            tooltip="Of a new study: what proposes",
        )
        self.models.reset_choices()
        self.models.changed.connect(self._choose_model)
        self.path.line_edit.native.textChanged.connect(self._show_what_is_asked)
        self.open_button = button(
            "Open", "Open the study, or begin one of the folder's images", self._open
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.fields = form(self.path, self.grader, self.models, self.structures)
        layout.addWidget(self.fields.native)
        layout.addWidget(self.open_button)
        follow(self._show, control.opened)

    def _open(self) -> None:
        names = [name.strip() for name in self.structures.value.split(",")]
        self._control.begin(
            path_text(self.path), [name for name in names if name], self.grader.value
        )

    def _choose_model(self, name: str) -> None:
        with self._control.reporting():
            self._control.models.choose(name)
        self._show_what_is_asked()

    def _show_what_is_asked(self) -> None:
        """Ask for model and structures only where a study would begin."""
        begins = not is_study(path_text(self.path))
        self.models.visible = self.structures.visible = begins
        named = ", ".join(self._control.models.named)
        self.structures.native.setPlaceholderText(named)

    def _show(self) -> None:
        study = self._control.study
        self._show_what_is_asked()
        if study is not None:
            self.path.line_edit.value = str(study.path)
            self.grader.value = self._control.grader
            self.open_button.setText("Open another, or as another grader")


class ImagesPage(QWidget):
    """The list, what to do with the image that is shown, and the table."""

    def __init__(self, control: StudyControl) -> None:
        super().__init__()
        self._control = control
        keys = control.keys
        self.states = Choice(
            lambda: [EVERY, *STATES],
            lambda: control.list.state,
            label="Show",
            tooltip="List only images in this state",
        )
        self.orders = Choice(
            lambda: list(ORDERS),
            lambda: control.list.order,
            label="Sort",
            tooltip="Next and previous follow this order",
        )
        self.states.reset_choices()
        self.orders.reset_choices()
        self.list = ImageList(control)
        self.count = small_print("")
        self.previous_button = button(
            "◀ Previous",
            f"The image before this one{keys.hint('previous image')}",
            control.previous,
        )
        self.next_button = button(
            "Next ▶", f"The image after this one{keys.hint('next image')}", control.next
        )
        self.accept_button = button(
            "✓ Accept",
            "What is drawn is right: go on; it teaches what is proposed later"
            f"{keys.hint('accept image')}",
            control.accept,
        )
        self.reject_button = button(
            "✗ Reject",
            f"Leave the image out of the study, and go on{keys.hint('reject image')}",
            control.reject,
        )
        self.clicks_button = button(
            "Correct by clicks",
            "A click adds what was missed of the selected structure; with Shift it "
            f"takes away what is too much{keys.hint('correct by clicks')}",
        )
        self.clicks_button.setCheckable(True)
        self.clicks_button.toggled.connect(control.correcting.set_on)
        control.correcting.changed.connect(self._show_correcting)
        self.reopen_button = button(
            "Reopen", "Take Accept or Reject back", control.reopen
        )
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note about this image")
        self.note.setAccessibleName("Note about this image")
        self.note.editingFinished.connect(self._write_note)
        self.learns = CheckBox(
            text="Learn from accepted images",
            tooltip="Pixels of accepted images sharpen what is proposed in later "
            "ones.\nThe model stays as it is; reopen an image and it teaches nothing.",
        )
        self.learns.changed.connect(control.set_learns)
        self.table_button = button(
            "Save table…", "Measure the study into one CSV file", self._save_table
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 4, 4)
        chooser = form(self.states, self.orders, layout="horizontal")
        layout.addWidget(chooser.native)
        layout.addWidget(self.list, stretch=1)
        layout.addWidget(self.count)
        layout.addWidget(self.note)
        layout.addWidget(self.clicks_button)
        layout.addLayout(row(self.accept_button, self.reject_button))
        layout.addLayout(row(self.previous_button, self.next_button))
        layout.addLayout(row(self.learns, None, self.reopen_button, self.table_button))
        self.states.changed.connect(control.list.only)
        self.orders.changed.connect(control.list.sort)
        follow(self._show, control.opened, control.shown)
        control.changed.connect(self._on_changed)

    def _show(self) -> None:
        control = self._control
        image, study = control.current, control.study
        for part in (
            *(self.previous_button, self.next_button, self.accept_button),
            *(self.reject_button, self.note, self.reopen_button, self.clicks_button),
        ):
            part.setEnabled(image is not None)
        self.table_button.setEnabled(study is not None)
        self.learns.enabled = study is not None
        with self.learns.changed.blocked():
            self.learns.value = study is not None and study.about.learns
        self.note.setText("" if image is None else image.note)
        self.count.setText("" if study is None else f"{control.list.progress}.")
        decided = image is not None and image.state in ("accepted", "rejected")
        self.reopen_button.setVisible(decided)

    def _on_changed(self, image: StudyImage) -> None:
        self.count.setText(f"{self._control.list.progress}.")
        current = self._control.current
        if current is not None and image.id == current.id:
            self.reopen_button.setVisible(image.state in ("accepted", "rejected"))

    def _show_correcting(self, on: bool) -> None:
        self.clicks_button.setChecked(on)

    def _write_note(self) -> None:
        self._control.set_note(self.note.text().strip())

    def _save_table(self) -> None:
        study = self._control.study
        if study is None:
            return
        path, _ = QFileDialog.getSaveFileName(
            self, "Save table", str(study.path.with_name("study.csv")), "CSV (*.csv)"
        )
        if path:
            self._control.results.save_table(path, lambda rows: None)


class ImageList(QListWidget):
    """A row an image: small picture, name, state; a click opens it."""

    def __init__(self, control: StudyControl) -> None:
        super().__init__()
        self._control = control
        self._rows: dict[int, QListWidgetItem] = {}
        self._pictures: dict[int, QPixmap] = {}
        self.setIconSize(QSize(ICON, ICON))
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setToolTip("A click opens the image")
        self.setAccessibleName("Images of the study")
        self.itemClicked.connect(self._open)
        self.itemActivated.connect(self._open)
        control.opened.connect(self._forget)
        control.list.changed.connect(self._fill)
        control.changed.connect(self._on_changed)
        control.shown.connect(self._show_current)
        self._fill()

    def _forget(self) -> None:
        self._pictures.clear()

    def _fill(self) -> None:
        self.clear()
        self._rows.clear()
        self._look(self._control.thumbnails())
        for image in self._control.list.images:
            item = QListWidgetItem()
            item.setData(Qt.ItemDataRole.UserRole, image.id)
            self._rows[image.id] = item
            self._write(item, image)
            self.addItem(item)
        self._show_current()

    def _look(self, thumbnails: Mapping[int, bytes]) -> None:
        for number, content in thumbnails.items():
            if number not in self._pictures:
                picture = QPixmap()
                picture.loadFromData(content)
                self._pictures[number] = picture.scaled(
                    ICON,
                    ICON,
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )

    def _write(self, item: QListWidgetItem, image: StudyImage) -> None:
        origin = ", ".join(filter(None, (image.origin.eye, image.origin.visit)))
        sure = "" if image.certainty is None else f" · sure {image.certainty:.2f}"
        spent = f" · {image.seconds:.0f} s" if image.seconds >= 1 else ""
        said = f"{SIGNS[image.state]} {image.state}{sure}{spent}"
        item.setText(f"{image.name}\n{said}" + (f"\n{origin}" if origin else ""))
        item.setToolTip("\n".join(filter(None, (str(image.path), image.note))))
        item.setIcon(_marked(self._pictures.get(image.id), image.state))

    def _on_changed(self, image: StudyImage) -> None:
        item = self._rows.get(image.id)
        if item is None:
            return
        if image.id not in self._pictures:
            self._look(self._control.thumbnails())
        self._write(item, image)

    def _show_current(self) -> None:
        current = self._control.current
        item = None if current is None else self._rows.get(current.id)
        if item is None:
            self.clearSelection()
        else:
            self.setCurrentItem(item)
            self.scrollToItem(item)

    def _open(self, item: QListWidgetItem) -> None:
        self._control.show(item.data(Qt.ItemDataRole.UserRole))


def _marked(picture: QPixmap | None, state: State) -> QIcon:
    """Return a small picture in a square, with its state as a dot in the corner."""
    square = QPixmap(ICON, ICON)
    square.fill(QColor(0, 0, 0, 40))
    painter = QPainter(square)
    if picture is not None:
        left, top = (ICON - picture.width()) // 2, (ICON - picture.height()) // 2
        painter.drawPixmap(left, top, picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor("white"))
    painter.setBrush(QColor(STATE_COLOURS[state]))
    painter.drawEllipse(ICON - DOT - 2, ICON - DOT - 2, DOT, DOT)
    painter.end()
    icon = QIcon(square)
    icon.addPixmap(square, QIcon.Mode.Selected)  # else it is tinted
    return icon


class AgreementPage(QWidget):
    """Two graders: masks by structure, and a Bland–Altman plot a measure.

    Parameters
    ----------
    control : StudyControl
        Whose study.
    background, text : str
        Colours of the theme.
    """

    def __init__(self, control: StudyControl, background: str, text: str) -> None:
        super().__init__()
        self._control = control
        self._text = text
        self._drawn: list[BlandAltman] = []
        self.other = Choice(
            self._others, label="With", tooltip="Another grader of this study"
        )
        self.file = path_field(
            "Or of",
            "Another study's file",
            "Studies (*.sqlite);;All (*)",
            "The other grader's own file, where the images were graded apart",
        )
        self.compare_button = button(
            "Compare",
            "Compare what both have drawn, and what is measured of it",
            self._compare,
        )
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels(
            ["Structure", "Images", "Dice", "Outlines apart"]
        )
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setFixedHeight(122)
        header = self.table.verticalHeader()
        if header is not None:
            header.hide()
        self.measures = Choice(
            lambda: [each.title for each in self._drawn],
            label="Measure",
            tooltip="What is drawn below",
        )
        self.figure = Figure((2, 2), layout="constrained", facecolor=background)
        self.canvas = Canvas(self.figure)
        self.canvas.setMinimumSize(100, 190)
        self.axes = self.figure.subplots()
        self.axes.set_facecolor(background)
        self.axes.set_axis_off()
        section = Section("Two graders")
        section.add(form(self.other, self.file))
        section.add(self.compare_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 4, 4)
        layout.addWidget(section)
        layout.addWidget(self.table)
        layout.addWidget(form(self.measures).native)
        layout.addWidget(self.canvas, stretch=1)
        self.said = QLabel()
        self.said.setWordWrap(True)
        layout.addWidget(self.said)
        self.measures.changed.connect(self._draw)
        control.results.compared.connect(self._show)
        follow(self._show_others, control.opened)

    def _others(self) -> list[str]:
        study = self._control.study
        known = [] if study is None else study.graders
        return [name for name in known if name != self._control.grader]

    def _show_others(self) -> None:
        self.other.reset_choices()
        self.compare_button.setEnabled(self._control.study is not None)

    def _compare(self) -> None:
        file = path_text(self.file)
        who = "" if file else self.other.value or ""
        self._control.results.compare(file, who)

    def _show(self, found: Comparison) -> None:
        structures = list(dict.fromkeys(each.structure for each in found.masks))
        self.table.setRowCount(len(structures))
        for line, name in enumerate(structures):
            own = [each for each in found.masks if each.structure == name]
            apart = [each.distance for each in own if each.distance is not None]
            distance = f"{sum(apart) / len(apart):.1f} pixels" if apart else "–"
            dice = sum(each.dice for each in own) / len(own)
            for column, text in enumerate(
                (name, str(len(own)), f"{dice:.3f}", distance)
            ):
                self.table.setItem(line, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        self._drawn = worth_drawing(found.measures)
        self.measures.reset_choices()
        self._draw()

    def _draw(self) -> None:
        chosen = next(
            (each for each in self._drawn if each.title == self.measures.value), None
        )
        if chosen is None:
            self.axes.clear()
            self.axes.set_axis_off()
            self.said.setText("No measure has a value of both.")
        else:
            self.axes.set_axis_on()
            draw_bland_altman(self.axes, chosen, self._text)
            limits = chosen.limits
            said = f"{len(chosen.pairs)} images, bias {chosen.bias:.3g} {chosen.unit}"
            if limits is not None:
                said += f", limits of agreement {limits[0]:.3g} to {limits[1]:.3g}"
            self.said.setText(f"{said}.")
        self.canvas.draw_idle()
