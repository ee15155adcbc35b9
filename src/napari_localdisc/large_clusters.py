"""Clusters of an image that does not fit in memory, as a layer that stays on the disk.

The labels are an OME-Zarr label image in a folder of its own; the layer shows its
pyramid, so that only what is seen is read.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from .core.errors import ImageError
from .layers import METADATA_KEY, Plane
from .running import Job, Progress, Runner

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from .embedding_work import ModelFile
    from .running import Steps

LARGE_PIXELS = 1 << 25
"""Lazy images with more pixels (5793 × 5793) are never read whole."""


def is_large(plane: Plane) -> bool:
    """Whether a plane must not be read whole: it is lazy, and large."""
    height, width = plane.shape
    return not plane.is_in_memory and height * width > LARGE_PIXELS


class LargeClusters:
    """Labels large planes, one at a time.

    Parameters
    ----------
    viewer : ViewerModel
        Where the labels go.
    runner : Runner
        Runs the work.
    report : callable
        Gets errors.
    """

    busy_changed = Signal(bool)
    progressed = Signal(int, int)
    """Blocks done, and in all."""
    shown = Signal(object)
    """The Labels layer that was added."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner,
        report: Callable[[Exception], None],
    ) -> None:
        self._viewer = viewer
        self._runner = runner
        self._report = report
        self._job: Job | None = None
        self._jobs = 0

    @property
    def is_busy(self) -> bool:
        """Whether an image is being worked on."""
        return self._job is not None

    def start(self, layer: Image, plane: Plane, file: ModelFile, number: int) -> None:
        """Label a plane with ``number`` clusters; other work of ours is dropped."""
        self.cancel()
        self._jobs += 1
        job = self._job = Job(self._jobs)
        owner = weakref.ref(layer)
        self.busy_changed.emit(True)
        self._runner.start(
            job,
            lambda: label_plane(plane, file, number),
            lambda progress: self._on_progress(job, progress),
            lambda made: self._on_result(job, owner, plane, made),
            lambda error: self._on_error(job, error),
        )

    def cancel(self) -> bool:
        """Drop running work, if there is any."""
        if self._job is None:
            return False
        self._job.cancel()
        self._finish()
        return True

    def _finish(self) -> None:
        self._job = None
        self.busy_changed.emit(False)

    def _on_progress(self, job: Job, progress: Progress) -> None:
        if job is self._job:
            self.progressed.emit(*progress)

    def _on_error(self, job: Job, error: Exception) -> None:
        if job is self._job:
            self._finish()
            self._report(error)

    def _on_result(
        self,
        job: Job,
        owner: weakref.ref[Image],
        plane: Plane,
        made: tuple[Path, dict[str, Any], Any],
    ) -> None:
        if job is not self._job:
            return
        self._finish()
        layer = owner()
        if layer is None or layer not in self._viewer.layers:
            return
        self.shown.emit(show(self._viewer, layer, plane, *made))


def show(
    viewer: ViewerModel,
    layer: Image,
    plane: Plane,
    path: Path,
    metadata: dict[str, Any],
    colours: Any,
) -> Labels:
    """Add the pyramid of an OME-Zarr label image, placed on the plane."""
    from napari.layers import Labels

    from .derived import LABELS_OPACITY, label_colours
    from .io.export.ome_zarr_labels import read_levels

    levels = [
        level[tuple(slice(None) if at is None else None for at in plane.index)]
        for level in read_levels(path)
    ]
    labels = Labels(
        levels if len(levels) > 1 else levels[0],
        multiscale=len(levels) > 1,
        name=f"{layer.name} structures{plane.caption}",
        opacity=LABELS_OPACITY,
        colormap=label_colours(colours),
        metadata={METADATA_KEY: {**metadata, "path": str(path)}},
        **plane.placement(layer),
    )
    viewer.add_layer(labels)
    return labels


def label_plane(
    plane: Plane, file: ModelFile, number: int
) -> Steps[tuple[Path, dict[str, Any], Any]]:
    """Label a plane block by block.

    Yields
    ------
    done, total : int
        After each block.

    Returns
    -------
    path : Path
        The OME-Zarr label image, removed when Python ends.
    metadata : dict
        How it was made.
    colours : ndarray
        Of its labels, from 0 on.
    """
    yield 0, 0
    from .core.clustering import cluster_colours
    from .core.models import load_model
    from .io.large import cluster_file_steps

    if len(plane.data.shape) > len(plane.index) + 1:
        raise ImageError("This layer has more axes than an image.")
    where = tuple(slice(None) if at is None else at for at in plane.index)
    model = load_model(file.path)
    yield 0, 0
    folder = Path(tempfile.mkdtemp(prefix="localdisc-labels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    colours = cluster_colours(model, number)
    metadata = {
        "model": model.card.name,
        "model_hash": model.hash,
        "structures": number,
    }
    path = folder / "labels.ome.zarr"
    try:
        yield from cluster_file_steps(
            plane.data if len(where) == 2 else plane.data[where],
            model,
            number,
            path,
            colours={k: tuple(c) for k, c in enumerate(colours.tolist()) if k},
            made_by=metadata,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path, metadata, colours
