"""What was done on an image, in order, and how to take it back.

A step holds what can be described before and after it, and the pixels that it changed:
undoing it is putting the one back and reverting the other.  napari's own undo of what
was painted is neither used nor disturbed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .state import AnnotationClass, Operation, PlaneAnnotation

STEPS = 100
"""Steps that can be undone; older ones stay in the log."""


@dataclass(frozen=True)
class Snapshot:
    """What a step can change and is no pixel."""

    plane: PlaneAnnotation
    classes: tuple[AnnotationClass, ...]
    chosen: int | None


class Edit(Protocol):
    """A change of pixels."""

    def undo(self) -> None:
        """Put the pixels back that are still as they were written."""

    def redo(self) -> None:
        """Write them again."""


@dataclass(frozen=True)
class Step:
    """Something that was done and can be undone."""

    operation: Operation
    before: Snapshot
    after: Snapshot
    edits: tuple[Edit, ...] = ()


class History:
    """Steps that were done, and steps that were undone and can be done again.

    Parameters
    ----------
    changed : callable
        Called when something was done, undone or done again.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._earlier: tuple[Operation, ...] = ()
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def log(self) -> tuple[Operation, ...]:
        """What was done and not undone, oldest first."""
        return (*self._earlier, *(step.operation for step in self._done))

    @property
    def next_undo(self) -> Operation | None:
        """What `undo` would take back."""
        return self._done[-1].operation if self._done else None

    @property
    def next_redo(self) -> Operation | None:
        """What `redo` would do again."""
        return self._undone[-1].operation if self._undone else None

    def push(self, step: Step) -> None:
        """Add what was just done; what was undone before cannot be done again."""
        self._undone.clear()
        self._done.append(step)
        while len(self._done) > STEPS:
            self._earlier = (*self._earlier, self._done.pop(0).operation)
        self._changed()

    def undo(self) -> Step | None:
        """Return the newest step, which the caller now takes back."""
        return self._move(self._done, self._undone)

    def redo(self) -> Step | None:
        """Return the step that was undone last, which the caller now does again."""
        return self._move(self._undone, self._done)

    def _move(self, source: list[Step], target: list[Step]) -> Step | None:
        if not source:
            return None
        step = source.pop()
        target.append(step)
        self._changed()
        return step

    def restart(self, log: tuple[Operation, ...] = ()) -> None:
        """Forget all steps; ``log`` was done earlier and cannot be undone."""
        self._earlier = log
        self._done.clear()
        self._undone.clear()
        self._changed()
