"""Images that do not fit in memory: labelled block by block, or made smaller.

The labels are an OME-Zarr label image in a folder of its own; the layer shows its
pyramid, so that only what is seen is read.  Prompts, strokes and concepts work on a
smaller copy of the image, a layer like any other.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from psygnal import Signal

from .core.errors import ImageError
from .labels_target import CLASSES
from .layers import METADATA_KEY, Plane
from .running import Job, Progress, Runner
from .smaller_copy import add_copy, read_smaller

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from .embedding_work import ModelFile
    from .running import Steps

T = TypeVar("T")


class LargeImages:
    """Labels large planes and makes smaller copies of them, one at a time.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers go.
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
        self._copies: dict[Any, weakref.ref[Image]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether an image is being worked on."""
        return self._job is not None

    def label(
        self, layer: Image, plane: Plane, file: ModelFile, wanted: int | str
    ) -> None:
        """Label a plane with that many clusters, or with a structure of that name."""

        def added(layer: Image, made: tuple[Path, dict[str, Any], Any]) -> None:
            name = wanted if isinstance(wanted, str) else "structures"
            self.shown.emit(show(self._viewer, layer, plane, name, *made))

        self._start(layer, lambda: label_plane(plane, file, wanted), added)

    def reduce(self, layer: Image, plane: Plane, then: Callable[[Image], None]) -> None:
        """Call ``then`` with a smaller copy of a plane, which is made if need be."""
        key = id(layer), plane.key
        known = self._copies.get(key, lambda: None)()
        if known is not None and known in self._viewer.layers:
            then(known)
            return

        def added(layer: Image, pixels: Any) -> None:
            copy = add_copy(self._viewer, layer, plane, pixels)
            self._copies[key] = weakref.ref(copy)
            then(copy)

        self._start(layer, lambda: read_smaller(layer, plane), added)

    def _start(
        self,
        layer: Image,
        work: Callable[[], Steps[T]],
        then: Callable[[Image, T], None],
    ) -> None:
        """Run work on a layer; other work of ours is dropped."""
        self.cancel()
        self._jobs += 1
        job = self._job = Job(self._jobs)
        owner = weakref.ref(layer)
        self.busy_changed.emit(True)
        self._runner.start(
            job,
            work,
            lambda progress: self._on_progress(job, progress),
            lambda made: self._on_result(job, owner, made, then),
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
        made: T,
        then: Callable[[Image, T], None],
    ) -> None:
        if job is not self._job:
            return
        self._finish()
        layer = owner()
        if layer is not None and layer in self._viewer.layers:
            then(layer, made)


def show(
    viewer: ViewerModel,
    layer: Image,
    plane: Plane,
    name: str,
    path: Path,
    metadata: dict[str, Any],
    colours: Any,
) -> Labels:
    """Add the pyramid of an OME-Zarr label image, placed on the plane."""
    from napari.layers import Labels

    from .derived import LABELS_OPACITY
    from .io.export.ome_zarr_labels import read_levels
    from .label_colours import label_colours

    levels = [
        level[tuple(slice(None) if at is None else None for at in plane.index)]
        for level in read_levels(path)
    ]
    labels = Labels(
        levels if len(levels) > 1 else levels[0],
        multiscale=len(levels) > 1,
        name=f"{layer.name} {name}{plane.caption}",
        opacity=LABELS_OPACITY,
        colormap=label_colours(colours),
        metadata={METADATA_KEY: {**metadata, "path": str(path)}},
        **plane.placement(layer),
    )
    viewer.add_layer(labels)
    return labels


def label_plane(
    plane: Plane, file: ModelFile, wanted: int | str
) -> Steps[tuple[Path, dict[str, Any], Any]]:
    """Label a plane block by block, with clusters or with a structure.

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
    from .core.models import load_model
    from .io.large import label_file_steps
    from .recipes import ClusterRecipe, StructureRecipe

    recipe: ClusterRecipe | StructureRecipe
    if isinstance(wanted, str):
        recipe = StructureRecipe(wanted)
    else:
        recipe = ClusterRecipe(wanted)
    if len(plane.data.shape) > len(plane.index) + 1:
        raise ImageError("This layer has more axes than an image.")
    where = tuple(slice(None) if at is None else at for at in plane.index)
    array = plane.data if len(where) == 2 else plane.data[where]
    model = load_model(file.path)
    yield 0, 0
    folder = Path(tempfile.mkdtemp(prefix="localdisc-labels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    classes = recipe.classes(model)
    names = {value: name for value, (name, _) in classes.items() if name}
    colours = {value: colour for value, (_, colour) in classes.items()}
    metadata: dict[str, Any] = {"model": model.card.name, "model_hash": model.hash}
    if isinstance(recipe, StructureRecipe):
        metadata |= {"structure": wanted, "threshold": recipe.threshold}
    else:
        metadata |= {"structures": wanted}
    path = folder / "labels.ome.zarr"
    try:
        yield from label_file_steps(
            array,
            lambda target: recipe.label_large(array, model, target),
            path,
            names=names,
            colours=colours,
            made_by=metadata,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if names:
        metadata[CLASSES] = names
    rows = np.zeros((max(colours) + 1, 4), np.float32)
    rows[list(colours)] = list(colours.values())
    return path, metadata, rows
