"""Learn from strokes: paint a little of each class, and the image is predicted."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation import sources
from napari_localdisc.annotation.state import background_values
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.layers.labels import class_colormap
from napari_localdisc.layers.strokes import Learned, StrokeLayers, make_strokes

from .classes import BACKGROUND, BACKGROUND_COLOUR, Classes
from .shown import move_marker, show_marker, show_prediction, show_uncertainty
from .work import Job
from .writing import LabelWriting, Writing

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.work import Steps
    from napari_localdisc.layers.plane import Plane

    from .embeddings import Embedded
    from .workspace import Workspace

BRUSH = 1 / 150
"""Diameter of the first brush, as a part of the image's longer side."""


class Strokes:
    """Painted strokes, what is predicted from them, and where to paint next.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        What is painted.
    writing : LabelWriting
        Writes the prediction into the labels.
    """

    changed = Signal()
    """Strokes were begun, or there is another prediction."""
    busy_changed = Signal(bool)
    """Learning began or ended."""

    def __init__(
        self, workspace: Workspace, classes: Classes, writing: LabelWriting
    ) -> None:
        self._workspace = workspace
        self._classes = classes
        self._writing = writing
        self._job: Job | None = None
        self._jobs = 0
        self._followed: weakref.WeakSet[Labels] = weakref.WeakSet()
        self._shows_uncertainty = False
        classes.changed.connect(self._on_classes)
        self.changed.connect(writing.preview.refresh)
        workspace.image_changed.connect(self._on_elsewhere)
        workspace.model_changed.connect(self._on_model)

    def close(self) -> None:
        """Stop learning and follow the strokes no longer; layers stay."""
        self._cancel()
        for layer in self._followed:
            layer.events.paint.disconnect(self._on_stroke)
            layer.events.set_data.disconnect(self._on_stroke)
        self._followed.clear()
        for signal in (self.changed, self.busy_changed):
            signal.disconnect()

    # What there is

    @property
    def layer(self) -> Labels | None:
        """The strokes of the plane that is shown, while they are in the viewer."""
        state = self._workspace.state_here()
        if state is None or state.strokes is None:
            return None
        return state.strokes.strokes_in(self._workspace.viewer)

    @property
    def learned(self) -> Learned | None:
        """What was learned last from the strokes of the plane that is shown."""
        state = self._workspace.state_here()
        return state.strokes.learned if state is not None and state.strokes else None

    @property
    def prediction_layer(self) -> Labels | None:
        """The prediction, if it is in the viewer."""
        return self._derived("prediction")

    @property
    def uncertainty_layer(self) -> Image | None:
        """The map of uncertainty, if it is in the viewer."""
        return self._derived("uncertainty")

    @property
    def marker_layer(self) -> Any | None:
        """The marker of “Where next?”, if it is in the viewer."""
        return self._derived("marker")

    def _derived(self, name: str) -> Any | None:
        state = self._workspace.state_here()
        derived = getattr(state.strokes, name) if state and state.strokes else None
        return None if derived is None else derived.layer(self._workspace.viewer)

    @property
    def is_busy(self) -> bool:
        """Whether it is learning."""
        return self._job is not None

    @property
    def shows_uncertainty(self) -> bool:
        """Whether the uncertainty is shown as a layer."""
        return self._shows_uncertainty

    # Strokes

    def start(self) -> None:
        """Take napari's brush; makes a layer for strokes, and two classes to paint."""
        with self._workspace.reporting():
            layer, plane = self._workspace.here()
            self._provide_classes()
            strokes = self.layer
            if strokes is None:
                most = max(entry.value for entry in self._classes.entries)
                dtype = np.min_scalar_type(max(most, 1))
                strokes = self._make(layer, plane, np.zeros(plane.shape, dtype))
            self._workspace.viewer.layers.selection.active = strokes
            chosen = self._classes.chosen
            if chosen is not None:
                strokes.selected_label = chosen.value
            strokes.mode = "paint"
            self._workspace.say(
                "Paint a little of each class, background too; choose the class in "
                "the table."
            )
            self.changed.emit()
            # So that the first stroke is answered at once
            self._workspace.request("prepare strokes", self._prepare)

    def _prepare(self, layer: Image, plane: Plane, known: Embedded) -> None:
        self._jobs += 1
        self._workspace.runner.start(
            Job(self._jobs),
            lambda: prepare_steps(known.embedding),
            lambda progress: None,
            lambda nothing: None,
            self._workspace.report,
        )

    def put(self, pixels: NDArray[np.integer]) -> None:
        """Restore strokes that were painted earlier.

        Parameters
        ----------
        pixels : ndarray
            (H, W) labels of the plane that is shown.
        """
        with self._workspace.reporting():
            layer, plane = self._workspace.here()
            if pixels.shape != plane.shape:
                raise PromptError("These strokes are not of this image's size.")
            strokes = self.layer
            if strokes is None:
                self._make(layer, plane, np.array(pixels))
            else:
                strokes.data = plane.expand(np.array(pixels))
            self.learn()

    def _provide_classes(self) -> None:
        entries = self._classes.entries
        if not [entry for entry in entries if not entry.background]:
            self._classes.add()
        if not background_values(entries):
            chosen = self._classes.chosen
            self._classes.add(BACKGROUND, BACKGROUND_COLOUR, background=True)
            self._classes.choose(chosen.value if chosen is not None else None)
        if self._classes.chosen is None:
            self._classes.choose(self._classes.entries[0].value)

    def _make(self, layer: Image, plane: Plane, pixels: NDArray[np.integer]) -> Labels:
        strokes = make_strokes(
            self._workspace.viewer,
            plane.expand(pixels),
            self._classes.entries,
            plane.placement(layer),
            f"{layer.name} strokes{plane.caption}",
        )
        strokes.brush_size = max(2, round(BRUSH * max(plane.shape)))
        state = self._workspace.annotations.on(layer, plane)
        state.strokes = StrokeLayers(weakref.ref(strokes))
        strokes.events.paint.connect(self._on_stroke)
        strokes.events.set_data.connect(self._on_stroke)  # napari's undo
        self._followed.add(strokes)
        self.changed.emit()
        return strokes

    def _on_stroke(self, event: Any = None) -> None:
        self._workspace.pacer.soon("strokes", 30, self.learn)

    # Learning

    def learn(self) -> None:
        """Predict the image from the strokes, unless they are as they were."""
        strokes, learned = self.layer, self.learned
        plane = self._workspace.plane_here()
        if strokes is None or plane is None:
            return
        pixels = np.array(strokes.data).reshape(plane.shape)
        if learned is not None and np.array_equal(learned.strokes, pixels):
            return
        if np.count_nonzero(np.bincount(pixels.ravel())[1:]) < 2:
            if pixels.any():
                self._workspace.say(
                    "Now paint a little of another class; the background is one."
                )
            return

        def begin(layer: Image, plane: Plane, known: Embedded) -> None:
            self._begin(layer, plane, known, pixels)

        self._workspace.request("learn", begin)

    def _begin(
        self,
        layer: Image,
        plane: Plane,
        known: Embedded,
        pixels: NDArray[np.integer],
    ) -> None:
        self._cancel()
        self._jobs += 1
        job = self._job = Job(self._jobs)
        reference = weakref.ref(layer)
        self.busy_changed.emit(True)

        def on_result(result: Learned) -> None:
            if job is not self._job:
                return
            self._finish()
            layer = reference()
            if layer is not None and layer in self._workspace.viewer.layers:
                self._show(layer, plane, known, result)

        def on_error(error: Exception) -> None:
            if job is not self._job:
                return
            self._finish()
            if isinstance(error, LocalDiscError):
                self._workspace.say(str(error))
            else:
                self._workspace.report(error)

        self._workspace.runner.start(
            job,
            lambda: learn_steps(known.embedding, pixels),
            lambda progress: None,
            on_result,
            on_error,
        )

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._finish()

    def _finish(self) -> None:
        self._job = None
        self.busy_changed.emit(False)

    def _show(
        self, layer: Image, plane: Plane, known: Embedded, learned: Learned
    ) -> None:
        viewer = self._workspace.viewer
        state = self._workspace.annotations.on(layer, plane)
        layers = state.strokes
        if layers is None or layers.strokes_in(viewer) is None:
            return  # the strokes were removed meanwhile
        layers.learned = learned
        show_prediction(
            viewer, layers, layer, plane, known, learned, self._classes.entries
        )
        if self._shows_uncertainty:
            show_uncertainty(viewer, layers, layer, plane)
        move_marker(viewer, layers, plane)
        self._workspace.say(
            "Correct it with more strokes, or add it to the labels; “Where next?” "
            "shows where a stroke helps most."
        )
        self.changed.emit()

    # What else is shown

    def set_shows_uncertainty(self, shows: bool) -> None:
        """Show what the classifier is not sure of, or take it away."""
        self._shows_uncertainty = shows
        layer, plane = self._workspace.image, self._workspace.plane_here()
        if layer is None or plane is None:
            return
        viewer = self._workspace.viewer
        layers = self._workspace.annotations.on(layer, plane).strokes
        if layers is None:
            return
        if shows:
            show_uncertainty(viewer, layers, layer, plane)
        elif layers.uncertainty is not None:
            layers.uncertainty.remove(viewer)
            layers.uncertainty = None

    def where_next(self) -> None:
        """Put a marker on the spot whose label would help most, and show it."""
        with self._workspace.reporting():
            layer, plane = self._workspace.here()
            layers = self._workspace.annotations.on(layer, plane).strokes
            if layers is None or layers.learned is None:
                raise PromptError("Paint a little of at least two classes first.")
            show_marker(self._workspace.viewer, layers, layer, plane)
            point = layers.learned.next_point
            self._workspace.look_at(layer, plane, (float(point[0]), float(point[1])))
            self._workspace.say("Paint what is under the star as the class it is.")
            self.changed.emit()

    # Into the labels

    def accept(self) -> None:
        """Write the prediction into the labels; the background is left out."""

        def write(layer: Image, plane: Plane, known: Embedded) -> None:
            writing = self._prediction(layer, plane, known)
            self._writing.write(layer, plane, known, writing)
            prediction = self.prediction_layer
            if prediction is not None:
                prediction.visible = False

        self._workspace.request("add prediction", write)

    def preview(self) -> None:
        """Show what `accept` would do, until ``writing.preview.hide``."""
        self._writing.show_effect(self._prediction)

    def _prediction(self, layer: Image, plane: Plane, known: Embedded) -> Writing:
        layers = self._workspace.annotations.on(layer, plane).strokes
        learned = layers.learned if layers is not None else None
        if learned is None:
            raise PromptError("Paint a little of at least two classes first.")
        if learned.classifier.model_hash != known.model.hash:
            raise PromptError("Paint one more stroke: the model is another one.")
        background = background_values(self._classes.entries)
        source = sources.Strokes.of(learned.strokes, background)
        return Writing(source.kept(learned.labels), source, "add the prediction")

    # What happens elsewhere

    def _on_classes(self) -> None:
        """Paint in the classes' colours, and with the class that is chosen."""
        strokes, chosen = self.layer, self._classes.chosen
        if strokes is not None:
            strokes.colormap = class_colormap(self._classes.entries)
            if chosen is not None:
                strokes.selected_label = chosen.value

    def _on_elsewhere(self) -> None:
        self._cancel()
        self.changed.emit()

    def _on_model(self) -> None:
        self._cancel()
        state = self._workspace.state_here()
        if state is not None and state.strokes is not None:
            state.strokes.learned = None
            if self.layer is not None:
                self._workspace.pacer.soon("strokes", 30, self.learn)


def prepare_steps(embedding: Embedding) -> Steps[None]:
    """Do what the first stroke would have to wait for: it takes about a second.

    Yields
    ------
    done, total : int
        Once, before the work.
    """
    yield 0, 0
    from sklearn.linear_model import LogisticRegression  # noqa: F401

    from napari_localdisc.core.learning.features import best_features, pixel_features

    pixel_features(embedding, best_features(embedding))


def learn_steps(embedding: Embedding, strokes: NDArray[np.integer]) -> Steps[Learned]:
    """Learn classes from strokes and predict the whole image.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    strokes : ndarray
        (H, W) labels, 0 = not painted; not changed meanwhile.

    Yields
    ------
    done, total : int
        Between the steps, where it can be cancelled.

    Returns
    -------
    Learned
        As the generator's value.
    """
    from napari_localdisc.core.learning.classifier import learn

    yield 0, 4
    classifier = learn(embedding, strokes)
    yield 1, 4
    labels = classifier.predict(embedding)
    yield 2, 4
    uncertainty = classifier.uncertainty(embedding)
    yield 3, 4
    point = classifier.where_next(embedding, strokes)
    return Learned(strokes, classifier, labels, uncertainty, point)
