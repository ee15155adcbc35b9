"""Claim: cancelled work has ended a second later, whatever it is.

Work is cancelled between two of its steps: its longest step is the longest that its
thread goes on.  Measured on the 1411 × 1411 sample with the bundled model, in seconds
of this process's processor time, which other programs do not touch; what images of a
folder are made of is done tile by tile, as embedding is.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .machine import retina, table, verdict

if TYPE_CHECKING:
    from napari_localdisc.viewer.work import Job

NEEDS_DATA = False
LIMIT = 1.0


class _Timed:
    """Runs work at once, and keeps how long each of its steps took."""

    def __init__(self) -> None:
        self.now = ""
        self.steps: dict[str, list[float]] = defaultdict(list)

    def start(self, job: Job) -> None:
        """Run it to its end."""
        name, steps = self.now, job.work()
        while True:
            start = time.process_time()
            try:
                progress = next(steps)
            except StopIteration as end:
                self.steps[name].append(time.process_time() - start)
                job.on_result(end.value)
                return
            self.steps[name].append(time.process_time() - start)
            job.on_progress(progress)


def measure() -> dict[str, list[float]]:
    """Do all kinds of work; return the seconds of their steps."""
    import torch
    from napari.components import ViewerModel

    from napari_localdisc.viewer.controller import Controller
    from napari_localdisc.viewer.measure import Measuring

    torch.set_num_threads(1)
    runner, viewer = _Timed(), ViewerModel()
    image = retina()
    viewer.add_image(image, name="retina")
    controller = Controller(viewer, runner)  # type: ignore[arg-type]
    measuring = Measuring(controller.workspace)

    def do(name: str, call: Any, *arguments: Any) -> None:
        runner.now = name
        call(*arguments)

    do("embedding", controller.clusters.show)
    do("structure into labels", controller.writing.add_structure, "vessel")
    do("prompt", controller.prompts.add, (700, 700))
    do("strokes", controller.strokes.start)
    strokes = controller.strokes.layer
    pixels = np.zeros(image.shape[:2], strokes.data.dtype)
    pixels[690:710, 300:600], pixels[200:230, 500:900] = 1, 2
    strokes.data = pixels
    do("strokes", controller.strokes.learn)
    do("measuring", measuring.watch, True)
    with tempfile.TemporaryDirectory() as folder:
        _sessions(do, controller, Path(folder))
        _folders(do, viewer, controller, Path(folder), image)
    return runner.steps


def _sessions(do: Any, controller: Any, folder: Path) -> None:
    from napari_localdisc.viewer.concepts import Concepts
    from napari_localdisc.viewer.session.session import Sessions

    sessions = Sessions(controller)
    concepts = Concepts(controller, sessions)
    do("saving a session", sessions.save, folder / "mine")
    do("opening a session", sessions.open, folder / "mine.localdisc")
    do("saving a concept", concepts.save_prompts, "mine", folder / "mine")


def _folders(do: Any, viewer: Any, controller: Any, folder: Path, image: Any) -> None:
    from functools import partial

    from PIL import Image

    from napari_localdisc.batch.recipes import ClusterRecipe
    from napari_localdisc.viewer.collection import CollectionControl
    from napari_localdisc.viewer.folder import FolderControl

    runner = controller.workspace.runner
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(2):
        Image.fromarray(np.roll(image, number, 1)).save(pictures / f"{number}.jpg")
    name = controller.workspace.models.name
    control = FolderControl(viewer, runner)
    control.set_model(name)
    do("folder", control.run, pictures, folder / "out", partial(ClusterRecipe, 6))
    collection = CollectionControl(viewer, lambda: controller, runner)
    do("making a folder searchable", collection.index, str(pictures))
    do("searching", collection.find)


def run() -> str:
    """Return the longest step of each kind of work."""
    rows = []
    for name, steps in measure().items():
        longest = max(steps)
        rows.append((name, len(steps), f"{longest:.2f}", verdict(longest, LIMIT)))
    return table("work | steps | longest step, s | < 1 s", rows)
