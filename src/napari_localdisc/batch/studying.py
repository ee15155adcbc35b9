"""A study in advance: structures proposed in every image, and every image measured."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file
from napari_localdisc.core.measure.table import COLUMNS, Row, cell, checked_rows
from napari_localdisc.core.names import plain_name
from napari_localdisc.core.version import __version__
from napari_localdisc.io.study import THUMBNAIL, Masks, Study, StudyImage

from .recipes import Progress
from .tasks import FileRecipe, Task, check_image, plan_tasks

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.clusters import ClusterMaps
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.study.bank import Bank
    from napari_localdisc.io.cache import EmbeddingCache

STUDY_COLUMNS = ("patient", "eye", "visit", "grader", "state", "note", "seconds")
"""What a study's table says of an image before what was measured."""


@dataclass(frozen=True)
class StudyTask(Task):
    """One image of a study; all write into the study's file."""

    image: StudyImage


def plan_study(study: Study, images: Iterable[StudyImage]) -> list[StudyTask]:
    """Plan one task an image."""
    return [StudyTask(image.path, (study.path,), image) for image in images]


@dataclass(frozen=True)
class ProposeRecipe(FileRecipe):
    """Find a study's structures in its images.

    Attributes
    ----------
    study : Study
        Where proposals go.
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    grader : str
        Whose accepted images sharpen the proposals; empty: nobody's.
    cache : EmbeddingCache, optional
        Where embeddings are kept for who works with them next; by default images are
        not embedded unless something was taught.
    """

    study: Study
    flips: int = 1
    grader: str = ""
    cache: EmbeddingCache | None = None

    @cached_property
    def banks(self) -> dict[str, Bank]:
        """What the grader's accepted images taught when it was first asked for."""
        if not self.grader:
            return {}
        from napari_localdisc.core.study.bank import learn_banks

        return learn_banks(self.study.lessons(self.grader))

    @property
    def settings(self) -> dict[str, Any]:
        """What proposals depend on beside image and model."""
        taught = {name: bank.mark for name, bank in self.banks.items()}
        return {
            "made": "proposal",
            "version": __version__,
            "structures": list(self.study.about.structures),
            "flips": self.flips,
            "taught": taught,
        }

    def is_done(self, task: Task, made_by: Mapping[str, object]) -> bool:
        """Tell whether the image has a proposal made so."""
        assert isinstance(task, StudyTask)
        return self.study.proposed_by(task.image.id) == _digest(made_by)

    def check_source(self, task: Task, model: Model | None) -> None:
        """Raise what a model would raise about the image."""
        assert model is not None
        check_image(task.source, model)

    def write(
        self,
        task: Task,
        model: Model | None,
        made_by: Mapping[str, object],
        progress: Progress | None = None,
    ) -> None:
        """Propose masks for one image."""
        assert isinstance(task, StudyTask)
        assert model is not None
        picture = read_picture(task.source)
        maps = look_at(picture, model, self.banks, self.cache, self.flips, progress)
        proposal = propose_from(maps, self.study.about.structures, self.banks)
        self.study.propose(
            task.image.id,
            proposal.masks,
            proposal.certainty,
            _digest(made_by),
            thumbnail(picture),
        )


@dataclass(frozen=True, eq=False)
class Proposal:
    """What a model finds in an image, and how sure it is: see `certainty`."""

    masks: Masks
    certainty: float


def read_picture(path: Path) -> NDArray[Any]:
    """Read an image of a study.

    Raises
    ------
    FileError, ImageError
        If it is no picture, is one of our results or does not fit into memory.
    """
    from napari_localdisc.core.image.files import check_fits, read_image
    from napari_localdisc.core.image.roles import check_no_result

    check_no_result(path)
    check_fits(path)
    return read_image(path)


def look_at(
    picture: NDArray[Any],
    model: Model,
    banks: Mapping[str, Bank],
    cache: EmbeddingCache | None = None,
    flips: int = 1,
    progress: Progress | None = None,
) -> ClusterMaps:
    """Look for structures in a picture, as banks say where there are some.

    Only what was taught needs the embedding, which takes longer and more memory.
    """
    if cache is None and not banks:
        from napari_localdisc.core.embedding.embed import map_clusters

        return map_clusters(picture, model, flips=flips, progress=progress)
    return embedded(picture, model, banks, cache, flips=flips, progress=progress)


def embedded(
    picture: NDArray[Any],
    model: Model,
    banks: Mapping[str, Bank],
    cache: EmbeddingCache | None = None,
    **how: Any,
) -> Embedding:
    """Embed a picture, with the maps of structures that banks say.

    A cache that cannot be written to is no reason to stop.
    """
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.study.bank import sharpened
    from napari_localdisc.io.cache import cached_embed

    if cache is None:
        known = embed(picture, model, **how)
    else:
        known = cached_embed(picture, model, cache, lambda error: None, **how)
    return sharpened(known, banks) if banks else known


def teach(
    study: Study,
    number: int,
    grader: str,
    accepted: bool,
    model: Model,
    cache: EmbeddingCache | None = None,
) -> None:
    """Let an image of a study teach what its grader accepted in it.

    Parameters
    ----------
    study : Study
        Where lessons are kept.
    number, grader
        Which image, as who has it.
    accepted : bool
        False: the image teaches nothing any more.
    model : Model
        The study's.
    cache : EmbeddingCache, optional
        Where its embedding may be.
    """
    if not accepted:
        study.put_lesson(number, grader, {})
        return
    from napari_localdisc.core.study.bank import take_lesson

    picture = read_picture(study.image(number, grader).path)
    known = embedded(picture, model, {}, cache)
    masks = study.masks(number, grader)
    study.put_lesson(number, grader, take_lesson(known, masks, study.about.structures))


def propose_from(
    maps: ClusterMaps, structures: Sequence[str], taught: Collection[str] = ()
) -> Proposal:
    """Cut what a model found as `localdisc measure` does, and what was taught at half.

    Parameters
    ----------
    maps : ClusterMaps
        Of an image; of an embedding too.
    structures : sequence of str
        Those that the model does not name are empty: an accepted image teaches them.
    taught : collection of str
        Those of whose maps banks say where to cut them.
    """
    from napari_localdisc.core.measure.found import found_masks
    from napari_localdisc.core.priors.derived import every_structure
    from napari_localdisc.core.study.bank import CUT
    from napari_localdisc.core.study.certainty import certainty_of_all

    named = {*every_structure(maps.card.structures), *maps.presence}
    view = maps.field_of_view
    found = {name: maps.structure(name) for name in structures if name in named}
    masks = found_masks(found, view)
    masks |= {name: found[name] >= CUT for name in taught if name in found}
    sure = certainty_of_all(found, masks, view)
    nothing = np.zeros(view.shape, bool)
    return Proposal({name: masks.get(name, nothing) for name in structures}, sure)


def thumbnail(picture: NDArray[Any]) -> bytes:
    """Return a small PNG of a picture, as it is shown: from its least to its most."""
    from PIL import Image

    step = max(1, max(picture.shape[:2]) // (2 * THUMBNAIL))
    small = np.asarray(picture)[::step, ::step]
    if small.ndim == 3 and small.shape[2] < 3:
        small = small[..., 0]
    small = small[..., :3] if small.ndim == 3 else small
    if small.dtype != np.uint8:
        values = np.nan_to_num(small.astype(np.float64))
        low, high = values.min(), values.max()
        small = (255 * (values - low) / max(high - low, 1e-12)).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(small))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class MeasureStudyRecipe(FileRecipe):
    """Measure a grader's masks, or the proposals where there are none yet.

    Attributes
    ----------
    study : Study
        Where tables of images are kept.
    grader : str
        Whose masks.
    regions : tuple of str, optional
        As of `measure`.
    scale, disc_mm : float, optional
        As of `measure`; the scale before that of files.
    pieces : bool
        As of `measure`.
    """

    study: Study
    grader: str
    regions: tuple[str, ...] | None = None
    scale: float | None = None
    disc_mm: float | None = None
    pieces: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What a table depends on beside masks and picture."""
        return {
            "version": __version__,
            "kind": self.study.about.kind,
            "regions": self.regions,
            "scale": self.scale,
            "disc_mm": self.disc_mm,
            "pieces": self.pieces,
        }

    def is_done(self, task: Task, made_by: Mapping[str, object]) -> bool:
        """Tell whether the table that is kept is of these masks."""
        assert isinstance(task, StudyTask)
        return self.rows(task.image) is not None

    def check_source(self, task: Task, model: Model | None) -> None:
        """Read the picture."""
        read_picture(task.source)

    def rows(self, image: StudyImage) -> list[Row] | None:
        """Return the table that is kept of an image, if it is of its masks now."""
        rows = self.study.measures(image.id, self.grader, self._made_of(image))
        with contextlib.suppress(ValueError, TypeError):  # measured again
            return None if rows is None else checked_rows(rows)
        return None

    def _made_of(self, image: StudyImage) -> str:
        mark = self.study.mark(image.id, self.grader)
        return _digest({**self.settings, "masks": mark})

    def write(
        self,
        task: Task,
        model: Model | None,
        made_by: Mapping[str, object],
        progress: Progress | None = None,
    ) -> None:
        """Measure one image."""
        from napari_localdisc.core.image.files import read_placement
        from napari_localdisc.core.measure.measure import measure
        from napari_localdisc.io.measured import millimetres

        assert isinstance(task, StudyTask)
        image = task.image
        made_of = self._made_of(image)  # before: an edit meanwhile is seen
        masks = self.study.masks(image.id, self.grader)
        if not masks:
            raise FileError(f"{image.name} has no masks yet: propose some first.")
        table = measure(
            masks,
            self.study.about.kind,
            image=read_picture(task.source),
            scale=self.scale or millimetres(read_placement(task.source), 2),
            disc_mm=self.disc_mm,
            regions=self.regions,
            pieces=self.pieces,
            name=image.name,
        )
        rows = [astuple(row) for row in table]
        self.study.put_measures(image.id, self.grader, made_of, rows)


@dataclass(frozen=True)
class ExportRecipe(FileRecipe):
    """Write a grader's masks as files.

    Attributes
    ----------
    study : Study
        Where they are.
    grader : str
        Whose.
    """

    study: Study
    grader: str

    @property
    def settings(self) -> dict[str, Any]:
        """What files say of themselves."""
        return {"made": "study", "grader": self.grader}

    def is_done(self, task: Task, made_by: Mapping[str, object]) -> bool:
        """Tell whether the files are there, made of these masks."""
        from napari_localdisc.io.labels import read_made_by

        assert isinstance(task, StudyTask)
        wanted = {**made_by, "masks": self.study.mark(task.image.id, self.grader)}
        return all(
            path.exists() and read_made_by(path) == wanted for path in task.outputs
        )

    def check_source(self, task: Task, model: Model | None) -> None:
        """Nothing can go wrong that is known before."""

    def write(
        self,
        task: Task,
        model: Model | None,
        made_by: Mapping[str, object],
        progress: Progress | None = None,
    ) -> None:
        """Write one file a structure."""
        from napari_localdisc.core.image.files import read_placement
        from napari_localdisc.io.labels.tiff import write_tiff

        assert isinstance(task, StudyTask)
        number = task.image.id
        made_by = {**made_by, "masks": self.study.mark(number, self.grader)}
        masks = self.study.masks(number, self.grader)
        for path, name in zip(task.outputs, self.study.about.structures, strict=True):
            write_tiff(
                path,
                masks[name],
                made_by,
                names={1: name},
                image=task.source.name,
                placement=read_placement(task.source),
            )


def plan_export(
    study: Study, images: Iterable[StudyImage], folder: Path
) -> list[StudyTask]:
    """Plan one task an image, and one file a structure.

    Raises
    ------
    FileError
        If two images would become one file.
    """
    endings = [f"_{plain_name(name)}.tif" for name in study.about.structures]
    images = list(images)
    planned = plan_tasks([image.path for image in images], folder, endings)
    return [
        StudyTask(task.source, task.outputs, image)
        for task, image in zip(planned, images, strict=True)
    ]


def join_study(
    recipe: MeasureStudyRecipe, images: Iterable[StudyImage], output: Path
) -> int:
    """Write one CSV file of what was measured in a study; return how many rows.

    One image's rows are in memory at a time; images that are not measured are left
    out.

    Raises
    ------
    FileError
        If the file cannot be written, or something else is there.
    """
    count = 0
    with (
        new_file(output, is_study_table) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*STUDY_COLUMNS, *COLUMNS))
        for image in images:
            about = (
                *(image.origin.patient, image.origin.eye, image.origin.visit),
                *(recipe.grader, image.state, image.note, f"{image.seconds:.0f}"),
            )
            for row in recipe.rows(image) or ():
                writer.writerow((*about, *(cell(value) for value in astuple(row))))
                count += 1
    return count


def is_study_table(path: Path) -> bool:
    """Tell whether a file is a study's table."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), []) == [*STUDY_COLUMNS, *COLUMNS]
    except (OSError, ValueError):
        return False


def _digest(made_by: Mapping[str, object]) -> str:
    text = json.dumps(made_by, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
