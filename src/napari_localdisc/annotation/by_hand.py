"""What a hand painted and rubbed out in labels, beside what operations wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .state import Point, Run, from_runs, runs

Pixels = NDArray[np.integer[Any]]


class ByHand:
    """What a hand decided on one plane of labels, whatever tool it used.

    It is found by comparing the labels with what operations left: what differs was
    painted or rubbed out.

    Parameters
    ----------
    seen : ndarray
        (H, W) labels as they are before a hand touches them.

    Attributes
    ----------
    decided : ndarray
        (H, W) the class that a hand decided on, 0 = none.  Where the labels hold it, it
        was painted; where they hold another one or nothing, it was rubbed out.
    """

    def __init__(self, seen: Pixels) -> None:
        self._begin(seen)

    def _begin(self, seen: Pixels) -> None:
        self._seen = np.array(seen)
        self.decided: Pixels = np.zeros_like(self._seen)

    def notice(self, labels: Pixels) -> None:
        """Take down what a hand did since; labels of another size begin anew."""
        if labels.shape != self._seen.shape or labels.dtype != self._seen.dtype:
            self._begin(labels)
            return
        changed = labels != self._seen
        if changed.any():
            self.decided = np.where(
                changed, np.where(labels != 0, labels, self._seen), self.decided
            )
            self._seen = np.array(labels)

    def wrote(
        self, before: Pixels, at: NDArray[Any], labels: Pixels, decided: Pixels
    ) -> None:
        """Know that an operation, and no hand, wrote to flat places.

        ``before`` is what there was, ``decided`` what is by hand at the places now.
        """
        self.notice(before)
        self._seen.reshape(-1)[at] = labels
        self.decided.reshape(-1)[at] = decided

    def after(self, at: NDArray[Any], old: Pixels, new: Pixels) -> Pixels:
        """Return what is by hand at flat places once an operation has written there.

        What it changed of what was painted is by hand no longer; what was rubbed out of
        a class is until that class is written there again.
        """
        decided = self.decided.reshape(-1)[at]
        rubbed_out = (decided != old) & (decided != new)
        return np.asarray(np.where(rubbed_out, decided, 0).astype(decided.dtype))

    def painted(self, labels: Pixels) -> NDArray[np.bool_]:
        """Find the pixels that a hand gave their class; labels as last noticed."""
        return np.asarray((self.decided != 0) & (self.decided == labels))

    def left_out(
        self, labels: Pixels, wanted: Pixels, again: Iterable[Point] = ()
    ) -> NDArray[np.bool_]:
        """Find the pixels that stay as a hand left them, though a mask wants them.

        They were rubbed out of the class that is wanted there, or painted as another
        one that the mask writes as well.

        Parameters
        ----------
        labels : ndarray
            (H, W), as they are now.
        wanted : ndarray
            (H, W) labels of the mask, 0 = nothing.
        again : iterable of (row, column)
            Points that are meant: pieces of what was rubbed out that hold one are
            wanted again.
        """
        self.notice(labels)
        decided = self.decided
        if not decided.any():
            return np.zeros(decided.shape, bool)
        rubbed_out = (decided != 0) & (wanted == decided) & (labels != decided)
        if rubbed_out.any():
            rubbed_out = _without_pieces_at(rubbed_out, again)
        painted = self.painted(labels) & (wanted != 0) & (wanted != labels)
        painted &= np.isin(decided, np.unique(wanted))
        return np.asarray(rubbed_out | painted)

    # In files

    def to_runs(self) -> list[Run]:
        """Write what was decided as runs of the flattened plane."""
        return runs(self.decided)

    def take(self, entries: Iterable[Run]) -> None:
        """Take back what `to_runs` gave.

        Raises
        ------
        ValueError
            If it is of a larger plane.
        """
        entries = list(entries)
        if any(stop > self.decided.size for _, _, stop in entries):
            raise ValueError("what was painted by hand is of another size")
        shape, dtype = self.decided.shape, self.decided.dtype
        self.decided = from_runs(entries, shape).astype(dtype)


class Forgotten:
    """What a hand decided on a class, as a change that can be undone.

    Parameters
    ----------
    hand : ByHand
        On one plane.
    value : int
        A class that is removed.
    """

    def __init__(self, hand: ByHand, value: int) -> None:
        self._hand, self._value = hand, value
        self._at = np.flatnonzero(hand.decided == value)

    def redo(self) -> None:
        """Forget it."""
        self._hand.decided.reshape(-1)[self._at] = 0

    def undo(self) -> None:
        """Remember it again."""
        self._hand.decided.reshape(-1)[self._at] = self._value


class HandedOn:
    """What a hand decided on a class that goes into another layer, as a change.

    Parameters
    ----------
    source, target : ByHand
        On the same plane of the two layers.
    value : int
        The class.
    free : ndarray
        (H, W) bool: where the other layer takes it.
    """

    def __init__(
        self, source: ByHand, target: ByHand, value: int, free: NDArray[np.bool_]
    ) -> None:
        self._source, self._target, self._value = source, target, value
        decided = source.decided == value
        self._gone = np.flatnonzero(decided)
        self._at = np.flatnonzero(decided & free)
        self._there = target.decided.reshape(-1)[self._at]

    @property
    def pixels(self) -> int:
        """How many there are."""
        return int(self._gone.size)

    def redo(self) -> None:
        """Hand it on."""
        self._source.decided.reshape(-1)[self._gone] = 0
        self._target.decided.reshape(-1)[self._at] = self._value

    def undo(self) -> None:
        """Take it back."""
        self._target.decided.reshape(-1)[self._at] = self._there
        self._source.decided.reshape(-1)[self._gone] = self._value


def _without_pieces_at(
    mask: NDArray[np.bool_], points: Iterable[Point]
) -> NDArray[np.bool_]:
    """Leave out the 8-connected pieces of a mask that hold one of the points."""
    from scipy import ndimage

    numbers, _ = ndimage.label(mask, np.ones((3, 3), bool))
    held = {int(numbers[round(row), round(column)]) for row, column in points}
    return np.asarray(mask & ~np.isin(numbers, sorted(held - {0})))
