"""The readers that get damaged files, one row each."""

from __future__ import annotations

import contextlib
import io
import math
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import mutations

_BROKEN = (
    zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError,
    IndexError,
)  # fmt: skip
"""What zipfile raises for a broken archive."""

_LAYERS = 20
"""Of a session are made; a layer takes napari some milliseconds."""

SEEDS = Path(__file__).parent / "seeds"


@dataclass(frozen=True)
class Reader:
    """Something that reads files from outside.

    Attributes
    ----------
    read : callable
        Path → what was read, as bytes that it has in memory.
    damage : callable
        (bytes, generator) → other bytes.
    inputs : int
        How many the documented run tries.
    unpack : bool
        Whether seeds are archives of folders, to be unpacked.
    """

    read: Callable[[Path], int]
    damage: mutations.Mutation
    inputs: int = 100_000
    unpack: bool = False

    def put(self, content: bytes, seed: str, folder: Path) -> Path:
        """Write a damaged file, or what is in it, under the ending of its seed."""
        path = folder / f"damaged{seed[seed.index('.') :]}"
        if not self.unpack:
            path.write_bytes(content)
            return path
        path = path.with_suffix("")
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    if ".." not in name and not name.startswith("/"):
                        archive.extract(name, path)
        except _BROKEN:
            pass  # what could be unpacked is the input
        return path


def _image(path: Path) -> int:
    from napari_localdisc.core.image.files import how_stored, is_large, read_image

    is_large(path)
    how_stored(path)
    return read_image(path).nbytes


def _dicom(path: Path) -> int:
    from napari_localdisc.core.image.dicom import segmented_by
    from napari_localdisc.core.image.files import read_image, read_placement

    segmented_by(path)
    pixels = read_image(path)
    read_placement(path)
    return pixels.nbytes


def _labels(path: Path) -> int:
    from napari_localdisc.io.labels import read_labels

    return sum(_used(labels) for labels in read_labels(path))


def _used(labels: Any) -> int:
    """Do with labels what opening, measuring and saving them do."""
    from napari_localdisc.core.image.files import LARGE_PIXELS
    from napari_localdisc.io.labels.label_map import note_of, note_text, pixel_size
    from napari_localdisc.io.measured import millimetres
    from napari_localdisc.layers.files import layer_data_of

    layer_data_of(labels)
    pixel_size(labels.placement, len(labels.shape))
    millimetres(labels.placement, len(labels.shape))
    note_text(note_of(labels))
    stays = not isinstance(labels.labels, np.ndarray)  # on the disk
    return (
        0 if stays and math.prod(labels.shape) > LARGE_PIXELS else labels.array.nbytes
    )


def _note(path: Path) -> int:
    from napari_localdisc.core.image.roles import note_in
    from napari_localdisc.io.labels.formats import read_made_by

    note_in(path)
    read_made_by(path)
    return _labels(path)


def _zarr_image(path: Path) -> int:
    from napari_localdisc.core.image.files import (
        LARGE_PIXELS,
        open_large,
        read_image,
        read_placement,
    )
    from napari_localdisc.core.image.roles import note_in

    note_in(path)
    read_placement(path)
    array, _ = open_large(path)
    if math.prod(array.shape) > LARGE_PIXELS:  # which stay on the disk
        return 0
    return read_image(path).nbytes


def _zarr_labels(path: Path) -> int:
    from napari_localdisc.core.image.roles import note_in

    note_in(path)
    return _labels(path)


def _session(path: Path) -> int:
    from napari_localdisc.io.session import read_session
    from napari_localdisc.viewer.session.layers import make_labels
    from napari_localdisc.viewer.session.session import annotation_of

    session = read_session(path)
    size = sum(labels.data.nbytes for labels in session.labels)
    # A layer takes napari's time, however many there are
    for labels in session.labels[:_LAYERS]:
        with contextlib.suppress(TypeError, ValueError):  # these labels are left out
            make_labels(labels, [])
    for image in session.images:
        size += 0 if image.pixels is None else image.pixels.nbytes
        annotation_of(image, [])
    return size


def _concept(path: Path) -> int:
    from napari_localdisc.core.learning.concept import load_concept

    rule = load_concept(path).rule
    return sum(v.nbytes for v in vars(rule).values() if isinstance(v, np.ndarray))


def _model(path: Path) -> int:
    from napari_localdisc.core.model.model import load_model

    model = load_model(path, "cpu")
    str(model)
    return sum(t.numel() * 4 for t in model.network.state_dict().values())


def _card(path: Path) -> int:
    from napari_localdisc.core.model.card import ModelCard

    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:  # of a file's head, which is UTF-8 or is refused
        return 0
    card = ModelCard.from_json(text)
    str(card)
    card.typical  # noqa: B018
    return len(card.to_json())


def _checkpoint(path: Path) -> int:
    from napari_localdisc.core.training.checkpoint import read_checkpoint
    from napari_localdisc.core.training.settings import TrainingSettings

    TrainingSettings.from_dict(read_checkpoint(path)["settings"])
    return path.stat().st_size


def _study(path: Path) -> int:
    """Do with a study what opening it, going through it and measuring it do."""
    from napari_localdisc.batch.studying import MeasureStudyRecipe
    from napari_localdisc.core.study.bank import learn_banks
    from napari_localdisc.io.study import Study

    study = Study(path)
    study.thumbnails()
    size = 0
    for grader in ["anna", *study.graders]:
        study.current(grader)
        recipe = MeasureStudyRecipe(study, grader)
        for image in study.images(grader):
            masks = {**study.proposal(image.id), **study.masks(image.id, grader)}
            size = max(size, sum(mask.nbytes for mask in masks.values()))
            study.proposed_by(image.id)
            recipe.rows(image)
        learn_banks(study.lessons(grader))
    study.add_images([path.with_name("p3_OD.png")])
    image = study.images("anna")[0]
    study.save(image, "anna", study.masks(image.id, "anna") or None)
    return size


def _collection(path: Path) -> int:
    from napari_localdisc.io.collection import open_collection, relative_to

    collection = open_collection(path)
    str(collection)
    for number, image in enumerate(collection.images[:_LAYERS]):
        relative_to(collection.file_of(image), path.parent)
        collection.entry(number)
    queries = np.eye(1, collection.dimension, dtype=np.float32)
    collection.search(queries, without=path.with_name("a.png"))
    return path.stat().st_size


def _package(path: Path) -> int:
    from napari_localdisc.io.bioimageio import import_bioimageio

    model = import_bioimageio(path)
    str(model)
    return sum(t.numel() * 4 for t in model.network.state_dict().values())


def _table(path: Path) -> int:
    from napari_localdisc.batch.measuring import is_table
    from napari_localdisc.core.measure.table import checked_rows
    from napari_localdisc.core.training.log import Log, read_log
    from napari_localdisc.core.validation import read_json
    from napari_localdisc.io.areas import read_areas

    if path.suffix == ".json":
        with contextlib.suppress(
            ValueError, TypeError
        ):  # where it is read this is a sentence
            checked_rows(read_json(path.read_bytes()))
        return path.stat().st_size
    is_table(path)
    read_log(path)
    Log(path, from_step=3).write()
    read_areas(path)
    return path.stat().st_size


READERS: dict[str, Reader] = {
    "images": Reader(_image, mutations.some_bytes),
    "png": Reader(_image, mutations.png),
    "tiff": Reader(_image, mutations.tiff),
    "dicom": Reader(_dicom, mutations.dicom),
    "labels-png": Reader(_labels, mutations.png),
    "labels-tiff": Reader(_labels, mutations.tiff),
    "labels-dicom": Reader(_labels, mutations.dicom),
    "coco": Reader(_labels, mutations.json_text),
    "notes-png": Reader(_note, mutations.png),
    "notes-tiff": Reader(_note, mutations.tiff),
    "zarr-images": Reader(_zarr_image, mutations.archive, 10_000, unpack=True),
    "zarr-labels": Reader(_zarr_labels, mutations.archive, 10_000, unpack=True),
    "sessions": Reader(_session, mutations.archive, 10_000),
    "concepts": Reader(_concept, mutations.safetensors),
    "models": Reader(_model, mutations.safetensors, 10_000),
    "cards": Reader(_card, mutations.json_text),
    "checkpoints": Reader(_checkpoint, mutations.archive),
    "old-checkpoints": Reader(_checkpoint, mutations.safetensors),
    "studies": Reader(_study, mutations.sqlite, 10_000),
    "collections": Reader(_collection, mutations.safetensors),
    "packages": Reader(_package, mutations.archive, 10_000),
    "tables": Reader(_table, mutations.text),
}
"""By name, which is that of the folder of its seeds."""


def seeds_of(name: str) -> list[Path]:
    """Return a reader's seeds, in the order of their names."""
    return sorted(path for path in (SEEDS / name).iterdir() if path.is_file())
