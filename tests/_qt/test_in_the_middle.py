"""In a real window, in the middle of things: undo, grid, closing, cancelling."""

import threading
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from superqt.utils import WorkerBase
from tests.napari_versions import grid_shape
from tests.tiny_training import PATIENCE, fundus_like

import napari_localdisc as ld
from napari_localdisc._qt.threads import QtPacer, QtRunner
from napari_localdisc.batch.recipes import ClusterRecipe
from napari_localdisc.io.session import read_session
from napari_localdisc.layers.plane import grid_of
from napari_localdisc.viewer.collection import CollectionControl
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.embeddings import EmbeddingStore
from napari_localdisc.viewer.folder import FolderControl
from napari_localdisc.viewer.measure import Measuring
from napari_localdisc.viewer.study.control import StudyControl

PLUGIN, WIDGET = "napari-localdisc", "Local discrimination"


@pytest.fixture
def eye(viewer, picture):
    return viewer.add_image(picture, name="eye", scale=(2, 3))


@pytest.fixture
def widget(viewer, eye, open_widget):
    return open_widget(viewer)


@pytest.fixture
def settled(qtbot):
    """Wait until no thread of napari's works for us."""

    def wait() -> None:
        qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=1000 * PATIENCE)

    return wait


def paint(strokes, at, value) -> None:
    with strokes.block_history():
        strokes.paint(at, value)


# Undo while strokes are learned


def test_what_is_shown_belongs_to_the_strokes_that_are_there(
    qtbot, viewer, widget, settled
):
    learning = widget.controller.strokes
    learning.set_shows_uncertainty(True)
    learning.start()
    strokes = learning.layer
    strokes.brush_size = 5
    paint(strokes, (10, 10), 1)
    paint(strokes, (35, 30), 2)
    qtbot.waitUntil(lambda: learning.learned is not None, timeout=20_000)
    learning.where_next()
    place = widget.controller.workspace.place()
    embedding = widget.controller.workspace.known(place).embedding
    first = strokes.data.copy()

    def begin(at) -> None:
        paint(strokes, at, 1)
        qtbot.waitUntil(lambda: learning.work.is_busy, timeout=5000)

    def is_true() -> bool:
        learned, shown = learning.learned, learning.prediction_layer
        is_of_them = np.array_equal(learned.strokes, strokes.data)
        return is_of_them and np.array_equal(shown.data, learned.prediction.labels)

    # Back to what was learned already: what is being learned comes too late
    begin((40, 5))
    strokes.undo()
    np.testing.assert_array_equal(strokes.data, first)
    qtbot.wait(100)
    settled()
    assert not learning.work.is_busy
    assert is_true()
    # Back to other strokes, which are learned in its place
    paint(strokes, (5, 35), 2)
    begin((40, 5))
    strokes.undo()
    qtbot.wait(100)
    settled()
    assert is_true()
    expected = ld.learn(embedding, strokes.data).predict(embedding)
    np.testing.assert_array_equal(learning.prediction_layer.data, expected)
    # Back to where there is nothing to learn: nothing is shown any more
    begin((40, 5))
    for _ in range(3):
        strokes.undo()
    assert set(np.unique(strokes.data)) == {0, 1}
    qtbot.wait(100)
    settled()
    assert learning.learned is None
    names = [layer.name for layer in viewer.layers]
    assert names == ["eye", "eye strokes"]
    strokes.redo()
    qtbot.waitUntil(lambda: learning.learned is not None, timeout=20_000)
    assert is_true()
    assert learning.prediction_layer in viewer.layers


# Grid


def test_in_the_grid_previews_move_no_cell_and_clicks_land(
    qtbot, viewer, eye, widget, mouse, wait, settled
):
    controller = widget.controller
    controller.writing.add_structure("vessel")
    wait(widget)
    controller.prompts.set_finding(True)
    controller.prompts.add((20, 20))
    wait(widget)
    hand = mouse(viewer)
    hand.click((40, 60))
    wait(widget)
    controller.classes.add("other")
    preview = controller.writing.preview
    controller.clusters.preview([1, 2, 3])
    qtbot.waitUntil(lambda: preview.layer is not None, timeout=5000)
    grid_of(viewer).enabled = True
    qtbot.waitUntil(lambda: preview.layer is None, timeout=5000)
    assert preview.effect.taken  # it is said all the same
    viewer.reset_view()
    qtbot.wait(50)
    shape, layers = grid_shape(viewer), list(viewer.layers)
    assert shape > (1, 1)
    canvas = viewer.window._qt_viewer.canvas
    for cell in canvas.grid_views[:3]:
        at = (cell.transform * cell.scene.transform).map((60, 40))[:2]
        _move_and_click(qtbot, canvas, at)
        wait(widget)
        point = controller.prompts.points[-1]
        np.testing.assert_allclose((point.row, point.column), (20, 20), atol=1)
        assert controller.prompts.hover.layer is None
        assert list(viewer.layers) == layers
        assert grid_shape(viewer) == shape
    preview.hide()
    assert list(viewer.layers) == layers


def test_all_that_is_hidden_comes_into_one_new_grid(
    qtbot, viewer, eye, picture, widget, wait, monkeypatch
):
    for image in (eye, viewer.add_image(picture, name="other")):
        viewer.layers.selection.active = image
        widget.controller.clusters.show()
        wait(widget)
        widget.controller.clusters.add([1, 2])
    assert not eye.visible
    canvas = viewer.window._qt_viewer.canvas
    made, make = [], type(canvas)._init_or_update_grid

    def count(self):
        before = self.grid
        make(self)
        made.extend([self.grid] if self.grid is not before else [])

    monkeypatch.setattr(type(canvas), "_init_or_update_grid", count)
    grid_of(viewer).enabled = True
    qtbot.waitUntil(lambda: canvas.grid.grid_size == grid_shape(viewer), timeout=5000)
    assert len(made) <= 2  # of what was seen, and of all
    for layer, visual in canvas.layer_to_visual.items():
        assert layer.visible
        assert visual.node.visible
        assert canvas.grid.is_child(visual.node)


def _move_and_click(qtbot, canvas, at) -> None:
    point = QPoint(round(float(at[0])), round(float(at[1])))
    qtbot.mouseMove(canvas.native, point)
    qtbot.wait(60)
    qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=point)


# Closing


def test_the_window_is_closed_in_the_middle_of_everything(
    qtbot, viewer, open_widget, wait, settled, tmp_path, notifications
):
    for number in range(2):
        viewer.add_image(fundus_like(number), name="eye")
    widget = open_widget(viewer)
    controller = widget.controller
    controller.writing.add_structure("vessel")
    wait(widget)
    controller.strokes.start()
    controller.strokes.layer.brush_size = 5
    paint(controller.strokes.layer, (60, 60), 1)
    _, folders = viewer.window.add_plugin_dock_widget(PLUGIN, "Work on a folder")
    Image.fromarray(fundus_like(1)).save(tmp_path / "1.png")
    folders.control.set_model("tiny")
    widget.measuring.watch(True)
    paint(controller.strokes.layer, (35, 50), 2)
    qtbot.waitUntil(lambda: controller.strokes.work.is_busy, timeout=5000)
    controller.workspace.embeddings.store = EmbeddingStore()
    widget.cluster_panel.button.click()
    folders.control.run(tmp_path, tmp_path / "out", partial(ClusterRecipe, 4))
    widget.measuring.set_options(pieces=True)
    qtbot.waitUntil(lambda: widget.measuring.is_busy, timeout=5000)
    widget.sessions.save(tmp_path / "mine")
    assert controller.workspace.work.is_busy
    assert folders.control.work.is_busy
    viewer.close()
    assert not controller.workspace.work.is_busy
    assert not controller.strokes.work.is_busy
    assert not folders.control.work.is_busy
    assert not widget.measuring.is_busy
    settled()
    qtbot.wait(50)
    assert not notifications
    assert [t for t in threading.enumerate() if t.name.startswith("localdisc")] == []
    # What was asked to be saved is
    session = read_session(tmp_path / "mine.localdisc")
    assert {labels.name for labels in session.labels} >= {"eye [1] labels"}
    assert not list(tmp_path.glob(".*"))


# Cancelling


class Halting(QtRunner):
    """Halts work after its first step, until it is told to go on."""

    def __init__(self) -> None:
        self.halted, self.go_on = threading.Event(), threading.Event()
        self.late = 0
        """Steps that began after the work was cancelled."""

    def start(self, job) -> None:
        make = job.work

        def work():
            with closing(make()) as steps:
                while True:
                    self.late += job.cancelled
                    try:
                        progress = next(steps)
                    except StopIteration as end:
                        return end.value
                    self.halted.set()
                    assert self.go_on.wait(PATIENCE)
                    yield progress

        job.work = work
        super().start(job)


class Cancelled:
    """Long work in threads, with a viewer that has no window."""

    def __init__(self, picture, folder) -> None:
        self.viewer, self.folder = ViewerModel(), folder
        self.viewer.add_image(picture, name="eye")
        self.runner, self.errors = Halting(), []
        self.runner.go_on.set()
        how = self.runner, self.errors.append
        self.controller = Controller(self.viewer, *how, QtPacer())
        self.controller.set_model("tiny")
        self.folders = FolderControl(self.viewer, *how)
        self.folders.set_model("tiny")
        self.collection = CollectionControl(self.viewer, lambda: self.controller, *how)
        self.study = StudyControl(self.viewer, *how)
        self.study.models.choose("tiny")
        self.measuring = Measuring(self.controller.workspace)

    def large(self) -> None:
        import dask.array

        lazy = dask.array.zeros((20_000, 20_000), dtype="uint8")
        layer = self.viewer.add_image(lazy, name="large", contrast_limits=(0, 255))
        self.controller.workspace.images.choose(layer)

    def learn(self) -> None:
        strokes = self.controller.strokes.layer
        pixels = strokes.data.copy()
        pixels[:5], pixels[-5:] = 1, 2
        strokes.data = pixels

    def index(self) -> None:
        self.collection.index(str(self.folder))

    def make(self) -> None:
        self.folders.run(self.folder, self.folder / "out", partial(ClusterRecipe, 4))

    def tune(self) -> None:
        self.controller.model_files.finetune("vessel")


def nothing(scene) -> None:
    """Need nothing that is done before."""


KINDS = {  # what is there before, what is begun, whose work it is, how it is cancelled
    "embedding": (
        nothing,
        lambda s: s.controller.clusters.show(),
        lambda s: s.controller.workspace.work,
        lambda s: s.controller.workspace.cancel(),
    ),
    "large image": (
        Cancelled.large,
        lambda s: s.controller.clusters.show(),
        lambda s: s.controller.workspace.work,
        lambda s: s.controller.workspace.cancel(),
    ),
    "learning": (
        lambda s: s.controller.strokes.start(),
        Cancelled.learn,
        lambda s: s.controller.strokes.work,
        lambda s: s.controller.close(),
    ),
    "measuring": (
        lambda s: s.controller.writing.add_structure("vessel"),
        lambda s: s.measuring.watch(True),
        lambda s: s.measuring,
        lambda s: s.measuring.close(),
    ),
    "folder": (
        nothing,
        Cancelled.make,
        lambda s: s.folders.work,
        lambda s: s.folders.cancel(),
    ),
    "collection": (
        nothing,
        Cancelled.index,
        lambda s: s.collection.work,
        lambda s: s.collection.cancel(),
    ),
    "study": (
        nothing,
        lambda s: s.study.begin(s.folder, ["vessel"], "anna"),
        lambda s: s.study.work,
        lambda s: s.study.cancel(),
    ),
    "fine-tuning": (
        lambda s: s.controller.writing.add_structure("vessel"),
        Cancelled.tune,
        lambda s: s.controller.model_files.work,
        lambda s: s.controller.model_files.work.cancel(),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_work_takes_no_further_step(
    qtbot, models, picture, tmp_path, settled, kind
):
    """How long a step takes at most: `python -m benchmarks cancelling`."""
    Image.fromarray(fundus_like(1)).save(tmp_path / "eye.png")
    scene = Cancelled(picture, tmp_path)
    before, begin, work_of, cancel = KINDS[kind]
    runner, work = scene.runner, work_of(scene)
    before(scene)
    qtbot.wait(50)
    settled()
    layers = list(scene.viewer.layers)
    runner.halted.clear()
    runner.go_on.clear()
    begin(scene)
    qtbot.waitUntil(lambda: work.is_busy and runner.halted.is_set(), timeout=20_000)
    cancel(scene)
    assert not work.is_busy  # at once
    runner.go_on.set()
    settled()
    qtbot.wait(20)
    assert runner.late == 0
    assert list(scene.viewer.layers) == layers
    assert scene.errors == []
    assert not list(tmp_path.rglob(".*"))
    for part in (scene.measuring, scene.folders, scene.collection, scene.study):
        part.close()
    scene.controller.close()
    settled()
    assert [t for t in threading.enumerate() if t.name == "localdisc fine-tuning"] == []
