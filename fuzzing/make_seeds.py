"""Make the files that are damaged: ``python -m fuzzing.make_seeds``.

They are committed, so that an input stays the same whatever libraries write by then.
Checkpoints are those of ``tests/golden``, made smaller.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from napari_localdisc.core.learning.classifier import Classifier
from napari_localdisc.core.learning.concept import Concept, ConceptClass, PromptRule
from napari_localdisc.core.model.model import Model, save_model
from napari_localdisc.io.labels import LabelMap, write_labels
from napari_localdisc.io.session import (
    SavedImage,
    SavedLabels,
    Session,
    write_session,
)

from .readers import SEEDS

_HEIGHT, _WIDTH = 20, 24


def _picture() -> NDArray[np.uint8]:
    """(H, W, 3): a bright disc with a gradient in it."""
    rows, columns = np.mgrid[:_HEIGHT, :_WIDTH]
    inside = np.hypot(rows - 10, columns - 12) < 9
    planes = [60 + 6 * rows, 40 + 5 * columns, 30 + 2 * rows + 3 * columns]
    return (np.stack(planes, axis=-1) * inside[..., None]).astype(np.uint8)


def _labels(**others: Any) -> LabelMap:
    array = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    array[4:10, 5:12], array[11:16, 8:20] = 1, 3
    described: dict[str, Any] = {
        "names": {1: "vessel", 3: "optic disc"},
        "colours": {1: (1.0, 0.0, 0.0, 1.0), 3: (0.0, 0.5, 1.0, 1.0)},
        "placement": {"scale": [0.5, 0.5], "units": ["micrometer", "micrometer"]},
        "name": "labels",
        "image": "eye.png",
        "made_by": {"made": "segmentation", "structures": ["vessel"], "orientation": 1},
    }
    return LabelMap(array, **{**described, **others})


def _images(folder: Path) -> None:
    picture = Image.fromarray(_picture())
    exif = Image.Exif()
    exif[274] = 6
    picture.save(folder / "turned.jpg", exif=exif, quality=70)
    picture.convert("CMYK").save(folder / "inks.jpg", quality=70)
    picture.save(folder / "eye.webp", lossless=True)
    picture.save(folder / "lossy.webp", quality=50, exif=exif)
    picture.save(folder / "eye.gif")
    picture.save(
        folder / "moving.gif", save_all=True, append_images=[picture.rotate(9)]
    )
    picture.save(folder / "eye.bmp")
    picture.save(folder / "eye.ppm")
    deep = (_picture()[..., 0].astype(">u2") * 257).tobytes()
    head = f"P5\n{_WIDTH} {_HEIGHT}\n65535\n".encode()
    (folder / "deep.pgm").write_bytes(head + deep)


def _png(folder: Path) -> None:
    import imagecodecs

    picture = Image.fromarray(_picture())
    exif = Image.Exif()
    exif[274] = 3
    picture.save(folder / "turned.png", exif=exif, dpi=(300, 300))
    picture.quantize(16).save(folder / "palette.png", transparency=3)
    picture.convert("LA").save(folder / "alpha.png")
    picture.convert("1").save(folder / "bits.png")
    deep = _picture().astype(np.uint16) * 257
    (folder / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    grey = np.ascontiguousarray(deep[..., 0])
    (folder / "deep_grey.png").write_bytes(imagecodecs.png_encode(grey))


def _tiff(folder: Path) -> None:
    picture = _picture()
    grey = picture[..., 0]

    def write(name: str, array: Any, **options: Any) -> None:
        tifffile.imwrite(folder / f"{name}.tif", array, **options)

    write("lzw", picture, compression="lzw", predictor=True, photometric="rgb")
    write("tiles", picture, tile=(16, 16), compression="zlib", photometric="rgb")
    write("jpeg", picture, compression="jpeg", photometric="ycbcr")
    write("white", np.packbits(grey > 60, axis=1), photometric="miniswhite")
    write("float", grey.astype(np.float32) / 255, compression="zlib", predictor=3)
    write("big", grey.astype(np.uint16) * 256, bigtiff=True, byteorder=">")
    write("inks", np.dstack([picture, grey]), photometric="separated")
    write("extra", np.dstack([picture, grey]), photometric="rgb", extrasamples=[0])
    write("planar", picture.transpose(2, 0, 1), photometric="rgb", planarconfig=2)
    stack = np.stack([grey, 255 - grey])
    write("imagej", stack, imagej=True, metadata={"axes": "CYX"})
    channels = {"axes": "CYX", "Channel": {"Name": ["r", "g", "b"]}}
    ome = picture.transpose(2, 0, 1)
    tifffile.imwrite(
        folder / "eye.ome.tif", ome, photometric="minisblack", metadata=channels
    )
    turned = [(274, 3, 1, 6, True)]
    write("turned", picture, photometric="rgb", extratags=turned)


def _dicom(folder: Path) -> None:
    picture = _picture()
    grey = picture[..., 0].astype(np.uint16) * 16
    dicom(
        folder / "dark.dcm", grey, "MONOCHROME1", 12, WindowCenter=1500,
        WindowWidth=2800, PixelSpacing=[0.2, 0.2], RescaleSlope=1, RescaleIntercept=-10,
    )  # fmt: skip
    dicom(folder / "colour.dcm", picture, "YBR_FULL", 8)
    dicom(folder / "frames.dcm", np.stack([grey, grey]), "MONOCHROME2", 12)
    dicom(folder / "runs.dcm", grey, "MONOCHROME2", 12, compressed=True)


def dicom(
    path: Path,
    values: NDArray[Any],
    kind: str,
    bits: int,
    *,
    compressed: bool = False,
    **tags: Any,
) -> None:
    """Write a radiograph or photograph as DICOM, with a patient who is nobody."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    whole = Dataset()
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    whole.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID
    whole.StudyInstanceUID = whole.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    whole.PatientName, whole.PatientID, whole.Modality = "Nobody", "0", "DX"
    whole.PatientBirthDate = whole.PatientSex = whole.StudyDate = ""
    whole.StudyTime = whole.AccessionNumber = whole.StudyID = ""
    whole.ReferringPhysicianName, whole.SeriesNumber, whole.InstanceNumber = "", 1, 1
    is_colour = values.shape[-1] == 3
    whole.SamplesPerPixel, whole.PhotometricInterpretation = 1 + 2 * is_colour, kind
    frame = values if values.ndim == 2 or is_colour else values[0]
    whole.Rows, whole.Columns = frame.shape[:2]
    if values.ndim > frame.ndim:
        whole.NumberOfFrames = len(values)
    if is_colour:
        whole.PlanarConfiguration = 0
    whole.BitsAllocated = values.dtype.itemsize * 8
    whole.BitsStored, whole.HighBit, whole.PixelRepresentation = bits, bits - 1, 0
    for keyword, value in tags.items():
        setattr(whole, keyword, value)
    whole.PixelData = values.tobytes()
    whole["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"
    if compressed:
        whole.compress(RLELossless, values, encoding_plugin="pydicom")
    whole.save_as(path, enforce_file_format=True)


def _label_files() -> None:
    for folder in ("labels-png", "notes-png"):
        write_labels(SEEDS / folder / "labels.png", _labels())
    large = LabelMap(_labels().labels.astype(np.uint16) * 20_000, names={20000: "cup"})
    write_labels(SEEDS / "labels-png" / "deep.png", large)
    write_labels(SEEDS / "labels-png" / "masks.png", _labels(), "masks")
    Image.fromarray(_labels().labels).save(SEEDS / "labels-png" / "foreign.png")
    for folder in ("labels-tiff", "notes-tiff"):
        write_labels(SEEDS / folder / "labels.tif", _labels())
        write_labels(SEEDS / folder / "labels.ome.tif", _labels())
    stack = LabelMap(np.stack([_labels().labels] * 3), names={1: "vessel"})
    write_labels(SEEDS / "labels-tiff" / "stack.tif", stack)
    write_labels(SEEDS / "labels-tiff" / "stack.ome.tif", stack)
    write_labels(SEEDS / "coco" / "outlines.json", _labels())
    holed = _labels()
    holed.labels[6:8, 7:9] = 0
    write_labels(SEEDS / "coco" / "runs.json", holed)
    source = SEEDS / "dicom" / "dark.dcm"
    path = SEEDS / "labels-dicom" / "labels.seg.dcm"
    write_labels(path, _labels(source=str(source)), "dicom-seg")


def _zarr() -> None:
    import zarr
    from ome_zarr import writer

    folder = SEEDS / "zarr-labels"
    write_labels(folder / "labels.ome.zarr", _labels())
    _zip(folder / "labels.ome.zarr")
    folder = SEEDS / "zarr-images"
    group = zarr.open_group(folder / "eye.ome.zarr", mode="w", zarr_format=3)
    writer.write_image(_picture().transpose(2, 0, 1), group, axes=list("cyx"))
    _zip(folder / "eye.ome.zarr")
    old = zarr.open_group(folder / "old.ome.zarr", mode="w", zarr_format=2)
    writer.write_image(_picture()[..., 0], old, axes=list("yx"))
    _zip(folder / "old.ome.zarr")
    zarr.save_array(folder / "plain.zarr", _picture(), zarr_format=3)
    _zip(folder / "plain.zarr")


def _zip(folder: Path) -> None:
    with zipfile.ZipFile(f"{folder}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    shutil.rmtree(folder)


def _session(folder: Path) -> None:
    labels = _labels()
    placement = {"scale": [1.0, 1.0], "translate": [0.0, 0.0], "units": ["pixel"] * 2}
    annotation = {
        "planes": [
            {
                "plane": [],
                "prompts": [{"row": 5.0, "column": 6.0, "positive": True}],
                "options": {"threshold": 0.5, "connected": False},
            }
        ],
        "classes": [{"value": 1, "name": "vessel", "colour": "#ff0000"}],
        "chosen": 1,
        "labels_name": "labels",
        "log": [],
    }
    image = SavedImage(
        "eye", None, None, None, "0" * 16, [_HEIGHT, _WIDTH, 3], "uint8", True,
        _picture(), placement, annotation, 0, [[[], 1]],
    )  # fmt: skip
    colours = {"null": [0.5, 0.5, 0.5, 1.0], "1": [1.0, 0.0, 0.0, 1.0]}
    looks = {"opacity": 0.7, "visible": True, "blending": "translucent"}
    saved = SavedLabels("labels", labels.labels, placement, colours, looks, {})
    strokes = SavedLabels("strokes", labels.labels.astype(np.int32), placement)
    session = Session(
        "fundus",
        "0" * 16,
        8,
        0,
        (image,),
        (saved, strokes),
        "2026-01-01T00:00:00+00:00",
    )
    write_session(session, folder / "eye.localdisc")


def _concepts(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 8)).astype(np.float32)
    one = (ConceptClass(1, "optic disc"),)
    rule = PromptRule(vectors[:2], vectors[2:], 0.5, True, 3.0, {"vessel": 0.5})
    Concept("optic disc", rule, one, "tiny", "0" * 16).save(folder / "prompts")
    two = (ConceptClass(1, "disc"), ConceptClass(2, "rest", "#00ff00", True))
    learned = Classifier(
        np.array([1, 2]), vectors[:2], np.zeros(2, np.float32), "tiny", "0" * 16
    )
    Concept("disc", learned, two, "tiny", "0" * 16).save(folder / "strokes")


def _models() -> None:
    details = {"licence": "CC0", "typical": {"sharpness": [0.1, 0.9]}}
    card = {"name": "tiny", "working_diameter": 64, "structures": {"vessel": 0}}
    model = Model.random(**card, width=1, clusters=3, embedding_dim=4, details=details)
    path = save_model(model, SEEDS / "models" / "tiny")
    path.with_suffix(".md").unlink()
    cards = [model.card.to_json()]
    cards.append(json.dumps({"name": "other", "modality": "frame", "later": 1}))
    for name, text in zip(("tiny", "short"), cards, strict=True):
        (SEEDS / "cards" / f"{name}.json").write_text(text, "utf-8")


def _checkpoints() -> None:
    weights = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.zeros(3)}
    adam = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3, 4)}},
        "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99), "params": [0, 1]}],
    }
    kept = {
        "network": weights,
        "averaged": weights,
        "chosen": weights,
        "adam": adam,
        "step": 3,
        "seconds": 1.5,
        "best": {"score": 0.5},
        "without_improvement": 0,
        "settings": {"seed": 0, "steps": 10, "weights": {"adversarial": 0.1}},
    }
    torch.save(kept, SEEDS / "checkpoints" / "halfway.checkpoint")

    from safetensors.torch import save_file

    parts = ("network", "averaged", "chosen")
    state = {k: v for k, v in kept.items() if k not in (*parts, "adam")}
    header = {"state": state, "groups": {"adam": adam["param_groups"]}}
    tensors = {
        f"module/{part}/{name}": weights[name].clone()
        for part in parts
        for name in weights
    }
    tensors["state/adam/0/step"] = torch.tensor(3.0)
    save_file(
        tensors,
        SEEDS / "old-checkpoints" / "halfway.checkpoint",
        {"localdisc_training": json.dumps(header)},
    )


def _study(folder: Path) -> None:
    from napari_localdisc.batch.studying import MeasureStudyRecipe
    from napari_localdisc.io.study import About, Study

    about = About(
        model="tiny",
        model_hash="0" * 16,
        kind="fundus",
        structures=("vessel", "optic disc"),
        created="2026-01-01T00:00:00+00:00",
    )
    files = [folder / "p1_OD.png", folder / "p1_OS_v2.png"]
    study = Study.create(folder / "study.sqlite", files, about)
    masks = {"vessel": _labels().labels == 1, "optic disc": _labels().labels == 3}
    study.propose(1, masks, 0.5, "so", b"picture")
    image = replace(study.image(1, "anna"), state="accepted", note="dim", seconds=3.5)
    image = study.save(image, "anna", masks)
    study.set_current("anna", 2)
    row = ["p1_OD", "vessel", None, "field", "density", 0.25, "", 1.0, "counted"]
    row += ["", "1"]
    made_of = MeasureStudyRecipe(study, "anna")._made_of(image)
    study.put_measures(1, "anna", made_of, [row])
    rng = np.random.default_rng(0)
    lesson = {
        "features": rng.normal(size=(24, 3)).astype(np.float16),
        "labels": (np.arange(24) % 2).astype(np.uint8),
        "weights": np.ones(24, np.float32),
    }
    study.put_lesson(1, "anna", {"vessel": lesson})
    with closing(sqlite3.connect(study.path)) as db:
        db.execute("PRAGMA page_size = 512")
        db.execute("VACUUM")


def _collection(folder: Path) -> None:
    from napari_localdisc.io.collection import (
        SUFFIX,
        About,
        Entry,
        IndexedImage,
        write_entry,
    )

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 4)).astype(np.float16)
    points = rng.uniform(0, 20, (3, 2)).astype(np.float32)
    image = IndexedImage("a.png", 100, 1, _HEIGHT, _WIDTH, 3, 7)
    about = About(model="tiny", model_hash="0" * 16, settings={"side": 4})
    entry = Entry(image, vectors, points, b"picture")
    write_entry(folder / f"two{SUFFIX}", about, entry)


def _package(folder: Path) -> None:
    from napari_localdisc.io.bioimageio import export_bioimageio

    card = {"name": "tiny", "working_diameter": 64, "structures": {"vessel": 0}}
    model = Model.random(**card, width=1, clusters=3, embedding_dim=4)
    whole = export_bioimageio(model, folder / "whole.zip")
    with (
        zipfile.ZipFile(whole) as old,
        zipfile.ZipFile(folder / "tiny.zip", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in ("rdf.yaml", "card.json", "centres.npy", "weights.pt"):
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
    whole.unlink()


def _tables(folder: Path) -> None:
    (folder / "areas.csv").write_text(
        "image,label,class,pixels,percent,area,unit,percent of field of view\n"
        "eye.png,1,vessel,42,8.75,0.25,mm²,9.5\neye.png,3,optic disc,60,12.5,,,\n",
        "utf-8",
    )
    (folder / "log.csv").write_text(
        "step,seconds,total,validation_dice\n1,0.5,2.25,\n2,1.0,2.0,0.5\n", "utf-8"
    )
    row = ["eye", "vessel", None, "field", "density", 0.25, "", 1.0, "counted", "", "1"]
    (folder / "rows.json").write_text(json.dumps([row, row]), "utf-8")


def main() -> None:
    """Write all seeds anew, or those of the readers that are named."""
    from .readers import READERS

    made = {
        "studies": _study,
        "collections": _collection,
        "packages": _package,
        "tables": _tables,
    }
    named = [name for name in sys.argv[1:] if name in made]
    for name in named:
        shutil.rmtree(SEEDS / name, ignore_errors=True)
        (SEEDS / name).mkdir(parents=True)
        made[name](SEEDS / name)
    if named:
        return
    for name in READERS:
        shutil.rmtree(SEEDS / name, ignore_errors=True)
        (SEEDS / name).mkdir(parents=True)
    _images(SEEDS / "images")
    _png(SEEDS / "png")
    _tiff(SEEDS / "tiff")
    _dicom(SEEDS / "dicom")
    _label_files()
    _zarr()
    _session(SEEDS / "sessions")
    _concepts(SEEDS / "concepts")
    _models()
    _checkpoints()
    for name, make in made.items():
        make(SEEDS / name)


if __name__ == "__main__":
    main()
