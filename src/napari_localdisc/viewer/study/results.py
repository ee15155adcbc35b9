"""What comes of a study: its table, and how far two graders agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from psygnal import Signal

from napari_localdisc.batch.comparing import Comparison, StudySide, compare_steps
from napari_localdisc.batch.studying import (
    MeasureStudyRecipe,
    is_study_table,
    join_study,
    plan_study,
)
from napari_localdisc.batch.tasks import Job, run_task
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import check_replaceable, given_path
from napari_localdisc.core.work import Steps, torch_threads
from napari_localdisc.io.study import Study
from napari_localdisc.viewer.status import Status
from napari_localdisc.viewer.work import Slot

from .listing import StudyList


class Graded(Protocol):
    """What results come of: a `StudyControl`."""

    work: Slot
    status: Status
    study: Study | None
    grader: str
    list: StudyList

    def save(self) -> None:
        """Keep what was drawn."""

    def reporting(self) -> Any:
        """Report what the user can put right."""


class StudyResults:
    """Measures a study, and compares its grader with another.

    Parameters
    ----------
    of : Graded
        The study, and who grades it.
    """

    compared = Signal(object)
    """A `Comparison`."""

    def __init__(self, of: Graded) -> None:
        self._of = of

    def save_table(self, path: str | Path, then: Callable[[int], None]) -> None:
        """Measure the study into one CSV file; ``then`` gets how many rows it has."""
        study, grader = self._of.study, self._of.grader
        if study is None:
            return
        with self._of.reporting():
            self._of.save()
            output = given_path(str(path))
            if output.exists():
                check_replaceable(output, is_study_table)
            wanted = [
                image
                for image in self._of.list.every
                if image.state in ("proposed", "corrected", "accepted")
            ]
            recipe = MeasureStudyRecipe(study, grader)
            tasks = plan_study(study, wanted)

            def work() -> Steps[int]:
                with torch_threads(1):
                    for done, task in enumerate(tasks):
                        yield done, len(tasks)
                        outcome = run_task(task, Job(recipe, None, ""), None)
                        if outcome.state == "failed":
                            raise FileError(outcome.reason)
                return join_study(recipe, wanted, output)

            def end(rows: int) -> None:
                self._of.status.say(f"{len(tasks)} images measured: {output}.")
                then(rows)

            self._of.status.say("Measuring…")
            self._of.work.run(work, end)

    def compare(self, other: str | Path, grader: str = "") -> None:
        """Compare with another grader of this study, or of another file.

        Parameters
        ----------
        other : str or Path
            Another study's file; empty: this study.
        grader : str
            Whose work; may be left out where the other study has one grader.
        """
        study, mine = self._of.study, self._of.grader
        if study is None:
            return
        with self._of.reporting():
            self._of.save()
            there = Study(other) if str(other).strip() else study
            known = [
                name for name in there.graders if there is not study or name != mine
            ]
            who = grader.strip() or (known[0] if len(known) == 1 else "")
            if who not in known:
                names = ", ".join(known) or "nobody else"
                raise FileError(f"{there.path} was graded by {names}: say whom.")
            sides = StudySide(study, mine), StudySide(there, who)

            def end(found: Comparison) -> None:
                images = len({row.image for row in found.masks})
                self._of.status.say(f"{mine} and {who} on {images} images.")
                self.compared.emit(found)

            self._of.status.say("Comparing…")
            self._of.work.run(lambda: compare_steps(*sides), end)
