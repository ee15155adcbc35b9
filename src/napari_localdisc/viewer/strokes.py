"""Learn from strokes: paint a little of each class, and the image is predicted."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation import sources
from napari_localdisc.annotation.state import background_values
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.work import Steps
from napari_localdisc.layers.colours import ramp
from napari_localdisc.layers.labels import class_colormap, class_colours
from napari_localdisc.layers.ours import Look, Ours
from napari_localdisc.layers.plane import is_seen, show_point
from napari_localdisc.layers.strokes import Marker, make_strokes

from .classes import BACKGROUND, BACKGROUND_COLOUR, Classes
from .embeddings import Embedded
from .shown import Learned, Place, Shown
from .work import Slot, disconnect_all, run_beside
from .workspace import Workspace
from .writing import LabelWriting, Writing

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

BRUSH = 1 / 150
"""Diameter of the first brush, as a part of the image's longer side."""

PREDICTION_OPACITY = 0.45
MARKER_SIZE = 1 / 35
"""Of the star, as a part of the image's longer side."""


_PAINTING = "paint", "fill", "erase", "polygon"


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

    Attributes
    ----------
    work : Slot
        The learning.
    """

    changed = Signal()
    """Strokes were begun, or there is another prediction."""
    painting_changed = Signal()
    """A brush was taken for strokes, or put away."""

    def __init__(
        self, workspace: Workspace, classes: Classes, writing: LabelWriting
    ) -> None:
        self._workspace = workspace
        self._classes = classes
        self._writing = writing
        self.work = Slot(workspace.runner, workspace.report)
        self._followed: weakref.WeakSet[Labels] = weakref.WeakSet()
        self._shows_uncertainty = False
        classes.changed.connect(self._on_classes)
        self.changed.connect(writing.preview.refresh)
        workspace.viewer.layers.selection.events.active.connect(self._on_tool)
        workspace.image_changed.connect(self._on_elsewhere)
        workspace.plane_changed.connect(self._take_brush_along)
        workspace.model_changed.connect(self._on_model)

    def close(self) -> None:
        """Stop learning and follow the strokes no longer; layers stay."""
        self.work.cancel()
        for layer in self._followed:
            layer.events.paint.disconnect(self._on_stroke)
            layer.events.set_data.disconnect(self._on_stroke)
            layer.events.mode.disconnect(self._on_tool)
        self._workspace.viewer.layers.selection.events.active.disconnect(self._on_tool)
        self._followed.clear()
        disconnect_all(self, self.work)

    # What there is

    @property
    def _shown(self) -> Shown | None:
        place = self._workspace.place_or_none()
        return place.shown if place is not None else None

    @property
    def layer(self) -> Labels | None:
        """The strokes of the plane that is shown, while they are in the viewer."""
        return self._workspace.layer("strokes")

    @property
    def learned(self) -> Learned | None:
        """What was learned last from the strokes of the plane that is shown."""
        shown = self._shown
        return shown.learned if shown is not None else None

    @property
    def prediction_layer(self) -> Labels | None:
        """The prediction, if it is in the viewer."""
        return self._workspace.layer("prediction")

    # Strokes

    def start(self) -> None:
        """Take napari's brush; makes a layer for strokes, and two classes to paint."""
        with self._workspace.reporting():
            place = self._workspace.place()
            self._provide_classes()
            strokes = place.shown.layer("strokes")
            if strokes is None:
                most = max(entry.value for entry in self._classes.entries)
                dtype = np.min_scalar_type(max(most, 1))
                strokes = self._make(place, np.zeros(place.plane.shape, dtype))
            self._workspace.viewer.layers.selection.active = strokes
            chosen = self._classes.chosen
            if chosen is not None:
                strokes.selected_label = chosen.value
            strokes.mode = "paint"
            self._workspace.status.say(
                "Paint a little of each class, background too; choose the class in "
                "the table."
            )
            self.changed.emit()
            # So that the first stroke is answered at once
            self._workspace.request(place, "prepare strokes", self._prepare)

    @property
    def is_painting(self) -> bool:
        """Whether a tool of napari's paints strokes."""
        strokes = self.layer
        active = self._workspace.viewer.layers.selection.active
        return strokes is not None and active is strokes and strokes.mode in _PAINTING

    def stop(self) -> None:
        """Put the brush away, and the star; what was painted stays."""
        if self.is_painting and self.layer is not None:
            self.layer.mode = "pan_zoom"
        place = self._workspace.place_or_none()
        if place is not None:
            place.shown.remove("marker")

    def _on_tool(self, event: Any = None) -> None:
        if event is not None and event.type == "mode":
            self._take_brush_along()
        self.painting_changed.emit()

    def _take_brush_along(self) -> None:
        """Paint on the plane that is shown, or on none.

        On strokes of another plane napari's brush ends in an error, or paints there
        what nobody sees.
        """
        selection, here = self._workspace.viewer.layers.selection, self.layer
        there = selection.active
        if there is here or there not in self._followed:
            return
        mode = there.mode
        if mode not in _PAINTING:
            return
        there.mode = "pan_zoom"
        if here is None:
            self._workspace.status.say(
                "These strokes are of another plane: begin new ones to paint here."
            )
            return
        selection.active = here
        here.selected_label = there.selected_label
        here.mode = mode

    def _prepare(self, place: Place, known: Embedded) -> None:
        work = partial(prepare, known.embedding)
        run_beside(self._workspace.runner, work, self._workspace.report)

    def put(self, place: Place, pixels: NDArray[np.integer]) -> None:
        """Restore strokes that were painted earlier.

        Parameters
        ----------
        place : Place
            Where; it is shown.
        pixels : ndarray
            (H, W) labels.
        """
        with self._workspace.reporting():
            if pixels.shape != place.plane.shape:
                raise PromptError("These strokes are not of this image's size.")
            strokes = place.shown.layer("strokes")
            if strokes is None:
                self._make(place, np.array(pixels))
            else:
                strokes.data = place.plane.expand(np.array(pixels))
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

    def _make(self, place: Place, pixels: NDArray[np.integer]) -> Labels:
        strokes = make_strokes(
            place.plane.expand(pixels),
            self._classes.entries,
            place.placement,
            place.name("strokes"),
        )
        shown, viewer = place.shown, self._workspace.viewer
        shown.learned = None
        shown.forget("prediction", "uncertainty", "marker")
        shown.ours["strokes"] = Ours(viewer, strokes, selects=True)
        strokes.brush_size = max(2, round(BRUSH * max(place.plane.shape)))
        strokes.events.paint.connect(self._on_stroke)
        strokes.events.set_data.connect(self._on_stroke)  # napari's undo
        strokes.events.mode.connect(self._on_tool)
        self._followed.add(strokes)
        self.changed.emit()
        return strokes

    def _on_stroke(self, event: Any = None) -> None:
        self._workspace.pacer.soon("strokes", 30, self.learn)

    # Learning

    def learn(self) -> None:
        """Predict the image from the strokes, unless they are as they were."""
        place = self._workspace.place_or_none()
        strokes = place.shown.layer("strokes") if place is not None else None
        if place is None or strokes is None:
            return
        pixels = np.array(strokes.data).reshape(place.plane.shape)
        learned = place.shown.learned
        if learned is not None and np.array_equal(learned.strokes, pixels):
            self.work.cancel()  # it is of strokes that were taken back meanwhile
            return
        if np.count_nonzero(np.bincount(pixels.ravel())[1:]) < 2:
            self._unlearn(place)
            if pixels.any():
                self._workspace.status.say(
                    "Now paint a little of another class; the background is one."
                )
            return

        def begin(place: Place, known: Embedded) -> None:
            if not _are(place, pixels):  # others will be learned, or none
                return
            self.work.run(
                partial(learn_steps, known.embedding, pixels),
                lambda learned: self._show(place, known, learned),
                failed=self._on_error,
            )

        with self._workspace.reporting():
            self._workspace.request(place, "learn", begin)

    def _unlearn(self, place: Place) -> None:
        """Show nothing of strokes that are not there any more."""
        self.work.cancel()
        shown = place.shown
        if shown.learned is not None:
            shown.learned = None
            shown.remove("prediction", "uncertainty", "marker")
            self.changed.emit()

    def _on_error(self, error: Exception) -> None:
        if isinstance(error, LocalDiscError):
            self._workspace.status.fail(error)
        else:
            self._workspace.report(error)

    def _show(self, place: Place, known: Embedded, learned: Learned) -> None:
        shown = place.shown
        if place.layer not in self._workspace.viewer.layers:
            return
        if not _are(place, learned.strokes):
            return  # they were removed meanwhile, or others are learned soon
        shown.learned = learned
        predicted = learned.prediction
        most = int(predicted.labels.max())
        colours = class_colours(place.document.classes, most)
        found = [int(value) for value in learned.classifier.classes]
        layer = place.show(
            "prediction",
            predicted.labels,
            Look(colours, PREDICTION_OPACITY, below="strokes"),
            known.provenance(classes=found),
        )
        if not layer.visible:
            layer.visible = True
        if self._shows_uncertainty:
            self._show_uncertainty(place, learned)
        marker = shown.ours.get("marker")
        if isinstance(marker, Marker):
            marker.move(place.coordinates(predicted.next_point))
        self._workspace.status.say(
            "Correct it with more strokes, or add it to the labels; “Where next?” "
            "shows where a stroke helps most."
        )
        self.changed.emit()

    # What else is shown

    def set_shows_uncertainty(self, shows: bool) -> None:
        """Show what the classifier is not sure of, or take it away."""
        self._shows_uncertainty = shows
        place = self._workspace.place_or_none()
        if place is not None and not shows:
            place.shown.remove("uncertainty")
        elif place is not None and place.shown.learned is not None:
            self._show_uncertainty(place, place.shown.learned)

    def _show_uncertainty(self, place: Place, learned: Learned) -> None:
        look, uncertainty = Look(ramp("uncertainty")), learned.prediction.uncertainty
        place.show("uncertainty", uncertainty, look, {"uncertainty": True})

    def where_next(self) -> None:
        """Put a marker on the spot whose label would help most, and show it."""
        with self._workspace.reporting():
            place = self._workspace.place()
            shown, viewer = place.shown, self._workspace.viewer
            if shown.learned is None:
                raise PromptError("Paint a little of at least two classes first.")
            row, column = shown.learned.prediction.next_point
            at, marker = place.coordinates((row, column)), shown.ours.get("marker")
            if isinstance(marker, Marker) and marker.layer is not None:
                marker.move(at)
            else:
                shown.ours["marker"] = Marker(
                    viewer,
                    at,
                    MARKER_SIZE * max(place.plane.shape),
                    place.placement,
                    place.name("where next"),
                )
            point = float(row), float(column)
            seen = is_seen(place.layer, place.plane, point)
            # The view stays as it is where the spot is in it
            show_point(viewer, place.layer, place.plane, None if seen else point)
            self._workspace.status.say(
                "Paint what is under the star as the class it is."
            )
            self.changed.emit()

    # Into the labels

    def accept(self) -> None:
        """Write the prediction into the labels; the background is left out."""

        def write(place: Place, known: Embedded) -> None:
            self._writing.write(place, known, self._prediction(place, known))
            prediction = place.shown.layer("prediction")
            if prediction is not None:
                prediction.visible = False

        self._workspace.do("add prediction", write)

    def preview(self) -> None:
        """Show what `accept` would do, until ``writing.preview.hide``."""
        self._writing.preview.show(self._prediction)

    def _prediction(self, place: Place, known: Embedded) -> Writing:
        learned = place.shown.learned
        if learned is None:
            raise PromptError("Paint a little of at least two classes first.")
        if learned.classifier.model_hash != known.model.hash:
            raise PromptError("Paint one more stroke: the model is another one.")
        background = background_values(place.document.classes)
        source = sources.Strokes.of(learned.strokes, background)
        kept = source.kept(learned.prediction.labels)
        return Writing(kept, source, "add the prediction")

    # What happens elsewhere

    def _on_classes(self) -> None:
        """Paint in the classes' colours, and with the class that is chosen."""
        strokes = self.layer if self._followed else None
        if strokes is not None:
            chosen = self._classes.chosen
            strokes.colormap = class_colormap(self._classes.entries)
            if chosen is not None:
                strokes.selected_label = chosen.value

    def _on_elsewhere(self) -> None:
        self.work.cancel()
        self.changed.emit()

    def _on_model(self) -> None:
        self.work.cancel()
        shown = self._shown
        if shown is not None:
            shown.learned = None
            if shown.layer("strokes") is not None:
                self._workspace.pacer.soon("strokes", 30, self.learn)


def _are(place: Place, pixels: NDArray[np.integer]) -> bool:
    """Whether the strokes of a place are these."""
    strokes = place.shown.layer("strokes")
    if strokes is None or strokes.data.size != pixels.size:
        return False
    return bool(np.array_equal(np.reshape(strokes.data, pixels.shape), pixels))


def prepare(embedding: Embedding) -> None:
    """Do what the first stroke would have to wait for: it takes about a second."""
    from sklearn.linear_model import LogisticRegression  # noqa: F401

    from napari_localdisc.core.learning.features import best_features, pixel_features

    pixel_features(embedding, best_features(embedding))


def learn_steps(embedding: Embedding, strokes: NDArray[np.integer]) -> Steps[Learned]:
    """Learn classes from strokes and predict the whole image, in two steps.

    Parameters
    ----------
    embedding : Embedding
        Of the image.
    strokes : ndarray
        (H, W) labels, 0 = not painted; not changed meanwhile.
    """
    from napari_localdisc.core.learning.classifier import learn

    classifier = learn(embedding, strokes)
    yield 1, 2
    return Learned(strokes, classifier, classifier.read(embedding, strokes))
