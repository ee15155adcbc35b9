"""Pieces of the chosen class as objects: found, chosen, dropped, cut, joined."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation.sources import Prompts, Structure, source_from_json
from napari_localdisc.annotation.state import Point
from napari_localdisc.core.embedding.pieces import Piece, cut_in_two, find_pieces, join
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.image.grid import FloatImage
from napari_localdisc.layers.colours import mask_colours
from napari_localdisc.layers.labels import LabelsEdit, read_plane
from napari_localdisc.layers.ours import Look
from napari_localdisc.layers.plane import point_on_plane, show_point

from .classes import Classes
from .mouse import PAN_ZOOM, TOLERANCE
from .shown import Place
from .work import disconnect_all
from .workspace import Workspace

LAYER = "chosen piece"
"""What the outline is called among our layers."""

MOST = 500
"""Pieces; smaller ones than these are no objects."""

DELAY = 150
"""Milliseconds after which what was painted shows in the pieces."""


class Pieces:
    """The pieces of the chosen class on the plane that is shown.

    Nothing is looked for, and clicks choose no piece, until `set_active`.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        The chosen class, and its labels.
    is_taken : callable
        Whether a click means something else now.
    """

    changed = Signal()
    """There are other pieces, or others are chosen or accepted."""

    def __init__(
        self, workspace: Workspace, classes: Classes, is_taken: Callable[[], bool]
    ) -> None:
        self._workspace = workspace
        self._is_taken = is_taken
        self._classes = classes
        self._is_active = False
        self._numbers: NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self._map: tuple[Any, FloatImage | None] | None = None
        self._accepted: tuple[tuple[int, Point], ...] = ()
        self.found: tuple[Piece, ...] = ()
        """The largest first."""
        self.chosen: tuple[int, ...] = ()
        """Numbers of pieces."""

    def close(self) -> None:
        """Choose none, and let go of all listeners."""
        self.set_active(False)
        disconnect_all(self)

    def set_active(self, active: bool) -> None:
        """Look for pieces and let clicks choose them, or stop to."""
        if active == self._is_active:
            return
        self._is_active = active
        workspace, classes = self._workspace, self._classes
        for signal, hear in (
            (classes.changed, self._soon),
            (classes.areas_changed, self._soon),
            (workspace.plane_changed, self._soon),
            (workspace.annotations.changed, self._on_annotations),
        ):
            if active:
                signal.connect(hear)
            else:
                signal.disconnect(hear, missing_ok=True)
        callbacks = workspace.viewer.mouse_drag_callbacks
        if active:
            callbacks.append(self._on_press)
        elif self._on_press in callbacks:
            callbacks.remove(self._on_press)
        self._refresh()

    @property
    def layer(self) -> Labels | None:
        """The outline of what is chosen, if it is in the viewer."""
        return self._workspace.layer(LAYER)

    def is_accepted(self, piece: Piece) -> bool:
        """Whether somebody looked at a piece and left it."""
        place, entry = self._workspace.place_or_none(), self._classes.chosen
        if place is None or entry is None:
            return False
        return any(
            value == entry.value and self._number_at(place, point) == piece.number
            for value, point in place.state.annotation.accepted
        )

    def number_at(self, point: tuple[float, float]) -> int:
        """Return the piece at a (row, column) of the plane; 0: none."""
        place = self._workspace.place_or_none()
        return 0 if place is None else self._number_at(place, point)

    def _number_at(self, place: Place, point: tuple[float, float]) -> int:
        if self._numbers.shape != place.plane.shape or not place.plane.contains(point):
            return 0
        row, column = (int(np.rint(value)) for value in point)
        return int(self._numbers[row, column])

    # What a hand does

    def choose(self, numbers: Sequence[int], moves: bool = True) -> None:
        """Choose pieces; the view moves to the last one."""
        known = [piece.number for piece in self.found]
        self.chosen = tuple(number for number in numbers if number in known)
        place = self._workspace.place_or_none()
        if place is not None:
            self._outline(place)
            if self.chosen and moves:
                point = self.found[self.chosen[-1] - 1].point
                show_point(self._workspace.viewer, place.layer, place.plane, point)
        self.changed.emit()

    def drop(self) -> None:
        """Take the chosen pieces out of the labels, and choose the next one."""
        gone = np.isin(self._numbers, self.chosen)
        after = min(self.chosen, default=1)
        self._correct("drop", gone, 0)
        self._refresh()
        self.choose([min(after, len(self.found))])

    def accept(self) -> None:
        """Note that the chosen pieces are right, and choose the next one that is not.

        What is accepted already is accepted no longer.
        """
        with self._workspace.reporting():
            place, entry = self._workspace.place(), self._classes.chosen
            chosen = [piece for piece in self.found if piece.number in self.chosen]
            if entry is None or not chosen:
                raise PromptError("Choose a piece first: click on it.")
            annotation = place.state.annotation
            undone = all(map(self.is_accepted, chosen))
            kept = tuple(
                (value, point)
                for value, point in annotation.accepted
                if value != entry.value
                or self._number_at(place, point) not in self.chosen
            )
            if not undone:
                kept += tuple((entry.value, piece.point) for piece in chosen)
            noun = "a piece" if len(chosen) == 1 else f"{len(chosen)} pieces"
            text = f"{'do not accept' if undone else 'accept'} {noun} of “{entry.name}”"
            place.document.accept(place.plane.index, text, kept)
            left = [p.number for p in self.found if not self.is_accepted(p)]
            later = [number for number in left if number > max(self.chosen)]
            if not undone and (later or left):
                self.choose([(later or left)[0]])
            self.changed.emit()

    def split(self) -> None:
        """Cut the chosen piece in two where it is narrowest."""
        with self._workspace.reporting():
            if len(self.chosen) != 1:
                raise PromptError("Choose the one piece that is to be cut.")
            self._correct("split", cut_in_two(self._numbers == self.chosen[0]), 0)
            self._refresh()

    def merge(self) -> None:
        """Join the chosen pieces by bridges where they are nearest to each other.

        Pixels of other classes stay theirs.
        """
        with self._workspace.reporting():
            if len(self.chosen) < 2:
                raise PromptError(
                    "Choose two or more pieces: Ctrl + click in the list."
                )
            mask = np.isin(self._numbers, self.chosen)
            entry = self._classes.chosen
            value = 0 if entry is None else entry.value
            self._correct("merge", join(mask) & ~mask, value)
            self._refresh()

    def _correct(self, what: str, pixels: NDArray[np.bool_], value: int) -> None:
        with self._workspace.reporting():
            place, labels = self._workspace.place(), self._classes.labels_layer
            entry = self._classes.chosen
            if labels is None or entry is None or not self.chosen:
                raise PromptError("Choose a piece first: click on it.")
            before = np.array(read_plane(labels, place.plane))
            meant = pixels & ((before == 0) if value else (before == entry.value))
            after = np.where(meant, value, before)
            hand = self._classes.by_hand(labels, place.plane)
            edit = LabelsEdit(labels, place.plane, before, after, hand, is_by_hand=True)
            noun = "a piece" if len(self.chosen) == 1 else f"{len(self.chosen)} pieces"
            text = f"{what} {noun} of “{entry.name}”"
            with self._classes.writing():
                edit.redo()
                place.document.do(
                    place.plane.index,
                    "correct",
                    text,
                    {"what": what, "value": entry.value, "pixels": edit.pixels},
                    edits=(edit,),
                )
            self._workspace.status.say(f"{text[0].upper()}{text[1:]}: done.")

    # What is found

    def _on_annotations(self) -> None:
        place = self._workspace.place_or_none() if self._is_active else None
        if place is not None and place.state.annotation.accepted != self._accepted:
            self._accepted = place.state.annotation.accepted
            self.changed.emit()

    def _soon(self) -> None:
        if self._is_active:
            self._workspace.pacer.soon("pieces", DELAY, self._refresh)

    def _refresh(self) -> None:
        place, labels = self._workspace.place_or_none(), self._classes.labels_layer
        entry = self._classes.chosen
        chosen = [p.point for p in self.found if p.number in self.chosen]
        self._numbers, self.found, self.chosen = np.zeros((0, 0), np.int32), (), ()
        if place is not None and self._is_active:
            if labels is not None and entry is not None:
                mask = read_plane(labels, place.plane) == entry.value
                similarity = self._similarity(place, entry.value)
                self._numbers, found = find_pieces(mask, similarity, MOST)
                self.found = tuple(found)
                numbers = {self._number_at(place, point) for point in chosen}
                self.chosen = tuple(sorted(numbers - {0}))
            self._outline(place)
        elif place is not None:
            place.shown.remove(LAYER)
        self.changed.emit()

    def _similarity(self, place: Place, value: int) -> FloatImage | None:
        """Return what a class was cut out of last, where that is known now."""
        known = self._workspace.known(place)
        written = (
            entry
            for entry in reversed(place.document.history.log)
            if entry.kind == "write"
            and entry.plane == place.plane.index
            and entry.parameters["value"] == value
        )
        last = next(written, None)
        if known is None or last is None:
            return None
        if last.parameters["model_hash"] != known.model.hash:
            return None
        made = known.embedding, last.parameters["source"]
        if self._map is not None and self._map[0] == made:
            return self._map[1]
        source = source_from_json(made[1])
        found: FloatImage | None = None
        if isinstance(source, Structure):
            if not known.embedding.is_looked_at(source.name):
                return None
            found = known.embedding.structure(source.name)
        elif isinstance(source, Prompts):
            try:
                reading = source.read(known.embedding)
            except LocalDiscError:
                return None  # the image is another one than when it was written
            if reading.waits_for:
                return None
            found = reading.map
        self._map = made, found
        return found

    def _outline(self, place: Place) -> None:
        if not self.chosen:
            place.shown.remove(LAYER)
            return
        mask = np.isin(self._numbers, self.chosen).view(np.uint8)
        look = Look(mask_colours("#ffffff")[:2], 1.0, editable=False)
        place.show(LAYER, mask, look, {"piece": list(self.chosen)})

    # Clicks

    def _on_press(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        modifiers = {str(getattr(key, "name", key)) for key in event.modifiers}
        active = viewer.layers.selection.active
        is_tool = active is not None and active.mode != PAN_ZOOM
        if is_tool or self._is_taken():
            return
        if event.button != 1 or modifiers - {"Control"}:
            return
        start = np.array(event.pos, dtype=float)
        position = tuple(float(value) for value in event.position)
        yield
        while event.type == "mouse_move":
            if np.abs(np.asarray(event.pos) - start).max() > TOLERANCE:
                return
            yield
        self._on_click(position, "Control" in modifiers)

    def _on_click(self, position: tuple[float, ...], more: bool) -> None:
        place = self._workspace.place_or_none()
        if place is None or self._workspace.viewer.dims.ndisplay != 2:
            return
        try:
            dims = self._workspace.viewer.dims
            point = point_on_plane(place.layer, place.plane, position, dims)
        except LocalDiscError:
            return
        number = self._number_at(place, point)
        others = [each for each in self.chosen if each != number] if more else []
        self.choose([*others, number] if number else others, moves=False)
