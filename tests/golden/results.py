"""What the package gives, computed anew: compared before and after a change.

Two sets of results are committed in ``files``.  The *exact* ones start from committed
embeddings, so that no network and no processor has a say in them but for the last bits
of sums.  The *network's* start from committed pixels, and are compared with a
tolerance that bfloat16 and float32 both keep.

    python -m tests.golden.results --write                  the committed results
    python -m tests.golden.results --write FOLDER           everything, in full
    python -m tests.golden.results --compare FOLDER FOLDER  bit by bit, on one machine

``--save-files`` writes the committed inputs themselves: embeddings, models, a session
and concepts.  Files that users have saved must open for ever: it is not for daily use.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import runpy
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from tests.golden.comparing import Results, differences, load, plain, save
from tests.tiny_training import TINY, fundus_like

import napari_localdisc as ld

PLACES = {
    "Cancelled": "napari_localdisc.core.errors",
    "Concepts": "napari_localdisc.viewer.concepts",
    "Controller": "napari_localdisc.viewer.controller",
    "EmbeddingCache": "napari_localdisc.io.cache",
    "Scripts": "napari_localdisc.viewer.script",
    "Sessions": "napari_localdisc.viewer.session.session",
    "TrainingSettings": "napari_localdisc.core.training.settings",
    "WorkingGrid": "napari_localdisc.core.image.grid",
    "save_model": "napari_localdisc.core.model.model",
}
"""Where what is no public name is."""

FILES = Path(__file__).with_name("files")
SESSION = FILES / "both.localdisc"
CONCEPTS = ("prompts", "strokes")

NUMBERS = (2, 3, 5, 8, 16)
CASES = {"eye": 52, "plain": 32}
"""Image with a committed embedding, and model of the same name → working diameter.

The eye is the sample, small, with named structures; the other one is grey, 16-bit,
without a frame or structures.
"""
SMALL = {"fundus": 128, "chest": 96}
"""Bundled model → working diameter at which its network is quick."""

PROMPTS: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = {
    "one": ([(80, 41)], []),
    "several": ([(80, 41), (52.4, 71.6), (61, 92)], []),
    "negative": ([(80, 41), (30, 60)], [(63, 77), (90.5, 30)]),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "threshold": {"threshold": 0.3},
    "connected": {"threshold": 0.3, "connected": True},
    "smooth": {"smooth": True},
    "minimum size": {"threshold": 0.3, "minimum_size": 40},
    "all": {"threshold": 0.4, "connected": True, "smooth": True, "minimum_size": 12},
}
PLACED = {
    "scale": (0.5, 3),
    "translate": (-7, 11),
    "rotate": 33,
    "shear": (0.4,),
    "affine": np.array([[0.8, -0.6, 3], [0.6, 0.9, -2], [0, 0, 1]]),
    "units": ("um", "um"),
}


def internal(name: str) -> Any:
    """Return something of the package that is no public name."""
    return getattr(import_module(PLACES[name]), name)


# Inputs


@cache
def _inputs() -> dict[str, np.ndarray]:
    with np.load(FILES / "inputs.npz") as file:
        return dict(file)


def pixels(case: str) -> np.ndarray:
    """(H, W[, C]) image of a case."""
    return _inputs()[f"{case}/pixels"].copy()


def model(case: str) -> ld.Model:
    """Return the model that an embedding is said to be of; its network is not used."""
    return ld.load_model(FILES / f"{case}.safetensors", "cpu")


def embedding(case: str) -> ld.Embedding:
    """Return the committed embedding of a case, new: it remembers nothing yet."""
    import torch

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(_inputs()[f"{case}/{name}"].astype(np.float32))

    of = model(case)
    field_of_view = _inputs()[f"{case}/field of view"].copy()
    return ld.Embedding(
        tensor("vectors").flatten(1),
        tensor("probability"),
        field_of_view,
        internal("WorkingGrid").around(field_of_view, of.card.working_diameter),
        of.card,
        of.centres,
        of.hash,
        {name: tensor(f"presence {name}") for name in of.card.structures},
        tensor("colour").half(),
    )


def small_model(name: str) -> ld.Model:
    """Return a bundled model that works on a small grid."""
    full = ld.load_model(name, "cpu")
    card = replace(full.card, name=f"small {name}", working_diameter=SMALL[name])
    return ld.Model(card, full.network, full.centres)


def strokes(case: str) -> np.ndarray:
    """(H, W) strokes of three classes, the last of them the background."""
    drawn = np.zeros(pixels(case).shape[:2], np.uint8)
    drawn[76:84, 36:46] = 1
    drawn[50:54, 60:84] = 2
    drawn[62:65, 70:85] = 3
    drawn[30:34, 55:70] = 3
    return drawn


def label_map() -> np.ndarray:
    """(60, 70) uint8 labels with holes, islands and values that are left out."""
    y, x = np.mgrid[:60, :70]
    labels = np.zeros((60, 70), np.uint8)
    labels[np.hypot(y - 22, x - 20) < 15] = 1
    labels[np.hypot(y - 22, x - 20) < 6] = 0
    labels[40:55, 30:33] = labels[44:47, 20:60] = 2
    noise = np.random.default_rng(5).random(labels.shape)
    labels[(noise > 0.97) & (labels == 0)] = 7
    return labels


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Keep the user's files out, and let the package find models and embeddings."""
    models = folder / "models"
    models.mkdir(parents=True)
    places = {
        "LOCALDISC_MODELS": models,
        "LOCALDISC_CACHE": folder / "cache",
        "LOCALDISC_SESSIONS": folder / "sessions",
    }
    with mock.patch.dict(os.environ, {key: str(path) for key, path in places.items()}):
        kept = internal("EmbeddingCache")()
        for case in CASES:
            shutil.copy(FILES / f"{case}.safetensors", models)
            kept.store(pixels(case), embedding(case))
        for name in SMALL:
            internal("save_model")(small_model(name), models / f"small {name}")
        yield folder


# What a hand does in a viewer


class Hand:
    """Works in a viewer without a window; the only one that knows the controller."""

    def __init__(self, model: str) -> None:
        from napari.components import ViewerModel

        self.viewer = ViewerModel()
        self.controller = internal("Controller")(self.viewer)
        self.controller.set_model(model)
        self.sessions = internal("Sessions")(self.controller)
        self.scripts = internal("Scripts")(self.controller, self.sessions)
        self.concepts = internal("Concepts")(self.controller, self.sessions)
        self.said: list[str] = []
        self.controller.workspace.status.changed.connect(self.said.append)

    def close(self) -> None:
        self.controller.close()

    def image(self, data: np.ndarray, **options: Any) -> Any:
        layer = self.viewer.add_image(data, **options)
        self.controller.workspace.images.choose(layer)
        return layer

    def choose(self, layer: Any) -> None:
        self.controller.workspace.images.choose(layer)

    def cluster(self, number: int) -> None:
        self.controller.clusters.set_number(number)
        self.controller.clusters.show()

    def click(self, point: tuple[float, float], positive: bool = True) -> None:
        self.controller.prompts.add(point, positive)

    def clear(self) -> None:
        self.controller.prompts.clear()

    def options(self, **changes: Any) -> None:
        self.controller.prompts.set_options(**changes)

    def threshold(self) -> float | None:
        return self.controller.mask.threshold

    def new_class(self, name: str, colour: str) -> None:
        self.controller.classes.add(name, colour)

    def overwrite(self, overwrite: bool) -> None:
        self.controller.writing.set_overwrite(overwrite)

    def add_mask(self) -> None:
        self.controller.prompts.add_mask()

    def add_clusters(self, clusters: list[int]) -> None:
        self.controller.clusters.add(clusters)

    def show_structure(self, name: str) -> None:
        self.controller.clusters.show_structure(name)

    def add_structure(self, name: str) -> None:
        self.controller.writing.add_structure(name)

    def start_strokes(self) -> None:
        self.controller.strokes.start()

    def stroke(self, points: list[tuple[int, ...]], value: int) -> None:
        layer = self.controller.strokes.layer
        with layer.block_history():
            for point in points:
                layer.paint(point, value)

    def show_uncertainty(self) -> None:
        self.controller.strokes.set_shows_uncertainty(True)

    def where_next(self) -> None:
        self.controller.strokes.where_next()

    def accept(self) -> None:
        self.controller.strokes.accept()

    def undo(self) -> None:
        self.controller.undo()

    def redo(self) -> None:
        self.controller.redo()

    def paint_labels(self, point: tuple[int, int], value: int) -> None:
        self.controller.labels_layer.paint(point, value)

    def labels(self) -> np.ndarray:
        return np.asarray(self.controller.labels_layer.data)

    def apply_concept(self, path: Path) -> None:
        self.concepts.apply_file(path)

    def save_session(self, path: Path) -> None:
        self.sessions.save(path)

    def open_session(self, path: Path) -> list[str]:
        troubles: list[str] = []
        self.sessions.opened.connect(troubles.extend)
        self.sessions.open(path)
        return troubles

    def script(self) -> tuple[str, str]:
        found: list[Any] = []
        self.scripts.written.connect(found.append)
        self.scripts.write()
        return found[-1].text, found[-1].remark

    def state(self) -> dict[str, Any]:
        """Everything but the layers."""
        controller = self.controller
        return {
            "annotation": controller.annotation().to_json(),
            "prompts": [asdict(prompt) for prompt in controller.prompts.points],
            "options": asdict(controller.prompts.options),
            "threshold": controller.mask.threshold,
            "pixels": controller.mask.pixels,
            "overlap": controller.mask.overlap,
            "image": controller.workspace.images.current.name,
            "model": controller.workspace.models.name,
            "structures": controller.clusters.number,
            "undo": controller.next_undo and controller.next_undo.text,
            "redo": controller.next_redo and controller.next_redo.text,
            "status": controller.workspace.status.text,
        }


def layers_of(viewer: Any) -> Results:
    """Everything that a viewer's layers show, but images that were given."""
    found: Results = {}
    for index, layer in enumerate(viewer.layers):
        kind = type(layer).__name__
        shown = {
            "type": kind,
            "name": layer.name,
            "scale": layer.scale,
            "translate": layer.translate,
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": layer.affine.affine_matrix,
            "units": list(map(str, layer.units)),
            "axis_labels": list(layer.axis_labels),
            "visible": layer.visible,
            "opacity": layer.opacity,
            "blending": layer.blending,
            "editable": layer.editable,
            "metadata": layer.metadata,
        }
        if kind == "Labels":
            shown["colours"] = layer.colormap.map(np.arange(18))
            shown["selected_label"] = layer.selected_label
            shown["contour"] = layer.contour
        elif kind == "Points":
            shown["symbol"] = list(map(str, layer.symbol))
            shown["face_color"] = layer.face_color
        else:
            shown["contrast_limits"] = layer.contrast_limits
            shown["colours"] = layer.colormap.map(np.linspace(0, 1, 5))
        found[f"{index} {layer.name}"] = plain(shown)
        if kind != "Image" or "napari-localdisc" in layer.metadata:
            found[f"{index} {layer.name} data"] = np.array(layer.data)
    return found


# What is computed from committed embeddings


def asking(folder: Path) -> Results:
    """Clusters, similarity, masks and structures."""
    found: Results = {}
    for case in CASES:
        known = embedding(case)
        found[f"{case}/vectors"] = known.vectors
        found[f"{case}/inside"] = known.inside
        found[f"{case}/regions"] = known.region_vectors()
        found[f"{case}/model"] = str(model(case))
        for number in NUMBERS:
            found[f"{case}/clusters {number}"] = known.clusters(number)
        for name in known.card.structures:
            for readout in ("presence", "probability", "embedding"):
                key = f"{case}/{name} {readout}"
                found[key] = known.structure(name, readout)
            own = known.structure(name, "embedding", "image")
            found[f"{case}/{name} of the image's own regions"] = own
        for name, (positive, negative) in PROMPTS.items():
            known = embedding(case)  # what it remembers may change the last bit
            key = f"{case}/{name}"
            vectors = known.vectors_at(positive)
            unwanted = known.vectors_at(negative)
            meaning = known.meaning(positive, negative)
            found[f"{key} vectors"] = vectors
            found[f"{key} meaning"] = meaning
            found[f"{key} map"] = known.similarity(positive, negative)
            found[f"{key} grid"] = known.similarity_on_grid(positive, negative)
            found[f"{key} elsewhere"] = known.similarity_to(vectors, unwanted)
            found[f"{key} elsewhere, meant"] = known.similarity_to(
                vectors, unwanted, meaning
            )
            automatic = known.automatic_threshold(positive, negative)
            found[f"{key} threshold"] = float(automatic)
            for option, given in OPTIONS.items():
                mask = known.mask(positive, negative, **given)
                found[f"{key} mask, {option}"] = mask
    return found


def learning(folder: Path) -> Results:
    """What is learned from strokes."""
    found: Results = {}
    for case in CASES:
        for features in (None, "vectors"):
            known, drawn = embedding(case), strokes(case)
            learned = ld.learn(known, drawn, features=features)
            key = f"{case}/{features}"
            found[f"{key} features"] = learned.features
            found[f"{key} classes"] = learned.classes
            found[f"{key} labels"] = learned.predict(known)
            found[f"{key} probability"] = learned.probability(known)
            found[f"{key} uncertainty"] = learned.uncertainty(known)
            found[f"{key} next"] = list(learned.where_next(known, drawn))
        two = ld.learn(embedding(case), np.where(drawn == 2, 0, drawn))
        found[f"{case}/two classes"] = two.predict(embedding(case))
    return found


def concepts(folder: Path) -> Results:
    """Committed concepts, and the same saved anew."""
    found: Results = {}
    save_concepts(folder)
    for name in CONCEPTS:
        for state, place in (("kept", FILES), ("new", folder)):
            path = place / f"{name}.concept.safetensors"
            concept = ld.load_concept(path)
            key = f"{name}, {state}"
            found[f"{key}/labels"] = concept.labels(embedding("eye"))
            found[f"{key}/header"] = _header(path)
            found[f"{key}/kind"] = concept.kind
            found[f"{key}/classes"] = [asdict(entry) for entry in concept.classes]
        if name == "prompts":
            strict = concept.with_threshold(0.8).labels(embedding("eye"))
            found[f"{name}/strict"] = strict
    return found


def save_concepts(folder: Path) -> None:
    """Save a concept from prompts and one from strokes, as the panel does."""
    hand = Hand("eye")
    hand.image(pixels("eye"), name="eye")
    hand.new_class("first", "#00ff00")
    positive, negative = PROMPTS["negative"]
    for points, wanted in ((positive, True), (negative, False)):
        for point in points:
            hand.click(point, wanted)
    hand.options(smooth=True, minimum_size=9)
    hand.concepts.save_prompts("what was clicked", folder / CONCEPTS[0])
    hand.start_strokes()
    _draw(hand)
    hand.concepts.save_classes("what was painted", folder / CONCEPTS[1])
    hand.close()


def _header(path: Path) -> Any:
    """JSON of a safetensors file's header, with the JSON that its metadata holds."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    held = header["__metadata__"]
    return {**header, "__metadata__": {key: json.loads(held[key]) for key in held}}


def exports(folder: Path) -> Results:
    """One label map in every format, and read again from each."""
    import tifffile
    import zarr
    from PIL import Image

    source = folder / "map.tif"
    tifffile.imwrite(source, label_map())
    found: Results = {}
    named = ("--name", "1=optic disc", "--name", "7=Fleck", "--colour", "1=#ff8800")
    for form in ("png", "tiff", "ome-tiff", "ome-zarr", "coco", "masks"):
        out = folder / form
        localdisc("export", source, "-o", out, "--format", form, *named)
        for path in sorted(out.iterdir()):
            key = f"{form}/{path.name}"
            if path.suffix == ".png":
                with Image.open(path) as picture:
                    found[key] = np.array(picture)
                    found[f"{key} palette"] = picture.getpalette()
                    found[f"{key} mode"] = picture.mode
                    found[f"{key} notes"] = dict(picture.info)
            elif path.suffix == ".tif":
                with tifffile.TiffFile(path) as file:
                    page = file.pages[0]
                    found[key] = page.asarray()
                    found[f"{key} description"] = _timeless(page.description)
                    tags = {tag.name: str(tag.value) for tag in page.tags}
                    kept = ("Compression", "XResolution", "YResolution", "Photometric")
                    found[f"{key} tags"] = {tag: tags.get(tag) for tag in kept}
            elif path.suffix == ".json":
                found[key] = json.loads(path.read_text(encoding="utf-8"))
            else:
                group = zarr.open_group(path, mode="r")
                found[f"{key} attributes"] = plain(group.attrs.asdict())
                for name, member in group.members(max_depth=None):
                    found[f"{key}/{name}"] = plain(member.attrs.asdict())
                    if isinstance(member, zarr.Array):
                        found[f"{key}/{name} data"] = member[...]
            if form != "masks":
                back = folder / f"back from {form}"
                localdisc("export", path, "-o", back, "--format", "tiff")
                (again,) = back.iterdir()
                found[f"{key}, read"] = tifffile.imread(again)
    out = folder / "rle.json"
    localdisc("export", source, "-o", out, "--segmentation", "rle", *named)
    found["coco, run lengths"] = json.loads(out.read_text(encoding="utf-8"))
    return _without_times(found)


def _without_times(found: Results) -> Results:
    """Leave out of parsed files when they were written, and by which version."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: clean(each)
                for key, each in value.items()
                if not str(key).startswith(("date", "version", "_creator"))
            }
        if isinstance(value, list | tuple):
            return [clean(each) for each in value]
        return _timeless(value) if isinstance(value, str) else value

    return {
        key: value if isinstance(value, np.ndarray) else plain(clean(value))
        for key, value in found.items()
    }


def _timeless(text: str) -> str:
    import re

    text = text.replace(ld.__version__, "VERSION")
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d+:Z]*", "TIME", text)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)


def localdisc(*arguments: Any) -> str:
    """Run the command line in this process; return what it printed."""
    from napari_localdisc.cli import main

    printed, complained = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(complained),
    ):
        code = main([str(argument) for argument in arguments])
    if code:
        raise RuntimeError(f"localdisc ended with {code}: {complained.getvalue()}")
    return printed.getvalue()


def _draw(hand: Hand) -> None:
    hand.stroke([(80, 41), (79, 40)], 1)
    hand.stroke([(63, 77), (30, 60)], 2)


def viewer(folder: Path) -> Results:
    """Layers after each thing that is done on the eye."""
    found: Results = {}
    hand = Hand("eye")

    def look(step: str) -> None:
        layers = layers_of(hand.viewer)
        found.update({f"{step}/{key}": value for key, value in layers.items()})
        found[f"{step}/state"] = plain(hand.state())

    hand.image(pixels("eye"), name="eye", **PLACED)
    hand.cluster(5)
    look("clusters")
    hand.new_class("disc", "#00ff00")
    hand.click((80, 41))
    look("click")
    hand.click((52.4, 71.6))
    hand.click((63, 77), positive=False)
    hand.options(smooth=True, minimum_size=9)
    look("more clicks")
    hand.options(threshold=0.35, connected=True)
    look("threshold")
    hand.add_mask()
    look("mask added")
    hand.add_clusters([2, 4])
    hand.add_structure("vessel")
    look("structure added")
    hand.overwrite(True)
    hand.show_structure("optic disc")
    hand.undo()
    hand.undo()
    look("undone")
    hand.redo()
    hand.start_strokes()
    _draw(hand)
    hand.show_uncertainty()
    hand.where_next()
    look("strokes")
    hand.accept()
    look("prediction added")
    hand.apply_concept(FILES / f"{CONCEPTS[0]}.concept.safetensors")
    look("concept")
    found["said"] = list(hand.said)
    hand.close()
    return found


def stack(folder: Path) -> Results:
    """Layers on a plane of a grey stack."""
    hand = Hand("plain")
    grey = pixels("plain")
    planes = np.stack([grey[::-1], grey, grey[:, ::-1]])
    layer = hand.image(planes, name="stack", scale=(5, 2, 2))
    hand.viewer.dims.set_current_step(0, 1)
    hand.cluster(4)
    hand.click((80, 41))
    hand.click((30, 60), positive=False)
    hand.add_mask()
    hand.click((52, 71))
    found = layers_of(hand.viewer)
    found["state"] = plain(hand.state())
    found["placed"] = plain(layer.scale)
    text, found["remark"] = hand.script()
    found["script"] = text.replace(ld.__version__, "VERSION")
    hand.close()
    return found


def _annotate(hand: Hand) -> None:
    """Prompts, options, classes, labels, strokes and a log on two images."""
    hand.image(pixels("plain"), name="plain")
    hand.image(pixels("eye"), name="eye", **PLACED)
    hand.cluster(6)
    hand.new_class("disc", "#00ff00")
    hand.click((80, 41))
    hand.add_mask()
    hand.new_class("cup", "#ff0000")
    hand.add_clusters([2])
    hand.paint_labels((100, 60), 2)
    hand.add_structure("vessel")
    hand.undo()
    hand.click((52.4, 71.6))
    hand.click((63, 77), positive=False)
    hand.options(threshold=0.4, smooth=True, minimum_size=5)
    hand.start_strokes()
    hand.stroke([(80, 41), (79, 40)], 1)
    hand.stroke([(63, 77), (30, 60)], 4)


def session(folder: Path) -> Results:
    """A session saved anew, and the committed one opened."""
    found: Results = {}
    hand = Hand("eye")
    _annotate(hand)
    hand.save_session(folder / "new")
    found.update(_of_session("saved", folder / "new.localdisc"))
    state = plain(hand.state())
    state["status"] = state["status"].replace(str(folder), "")
    found["before"] = state
    hand.close()
    found.update(_of_session("kept", SESSION))
    hand = Hand("plain")
    found["troubles"] = hand.open_session(SESSION)
    for key, value in layers_of(hand.viewer).items():
        found[f"opened/{key}"] = value
    found["opened"] = plain(hand.state())
    hand.add_mask()
    found["goes on"] = hand.labels()
    hand.undo()
    found["and back"] = hand.labels()
    hand.close()
    return found


def _of_session(name: str, path: Path) -> Results:
    found: Results = {}
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            content = archive.read(member)
            if member.startswith("images/"):
                image = np.load(io.BytesIO(content))
                found[f"{name}/{member}"] = ld.content_hash(image)
            elif member.endswith(".npy"):
                found[f"{name}/{member}"] = np.load(io.BytesIO(content))
            else:
                document = json.loads(content)
                document.pop("saved_at")
                found[f"{name}/{member}"] = document
    return found


def script(folder: Path) -> Results:
    """What “Copy as Python” writes."""
    hand = Hand("eye")
    _annotate(hand)
    hand.add_mask()
    hand.accept()
    text, remark = hand.script()
    labels = hand.labels()
    hand.close()
    compile(text, "script", "exec")
    return {
        "text": text.replace(ld.__version__, "VERSION"),
        "remark": remark,
        "labels": labels,
    }


EXACT: dict[str, Callable[[Path], Results]] = {
    work.__name__: work
    for work in (
        *(asking, learning, concepts, exports),
        *(viewer, stack, session, script),
    )
}
"""What is computed from committed embeddings."""

# What the network has a say in


def kinds_of_images() -> dict[str, np.ndarray]:
    """Return the eye as images of every kind."""
    eye = pixels("eye")
    grey = eye[..., 1]
    return {
        "colour": eye,
        "grey": grey,
        "16-bit": grey.astype(np.uint16) * 200 + 1000,
        "RGBA": np.dstack([eye, np.full(grey.shape, 255, np.uint8)]),
        "float": (eye / np.float32(255)).astype(np.float32),
    }


def network(folder: Path, precision: str = "auto", whole: bool = False) -> Results:
    """What bundled models see, on small grids."""
    found: Results = {}
    images = {("fundus", kind): image for kind, image in kinds_of_images().items()}
    images["chest", "16-bit"] = pixels("plain")
    for (name, kind), image in images.items():
        known = ld.embed(image, small_model(name), precision=precision)
        key = f"{name}/{kind}"
        found[f"{key} field of view"] = known.field_of_view
        found[f"{key} clusters"] = known.clusters(8)
        for structure in known.card.structures:
            found[f"{key} {structure}"] = known.structure(structure)
        positive, negative = PROMPTS["negative"]
        found[f"{key} similarity"] = known.similarity(positive, negative)
        found[f"{key} mask"] = known.mask(positive, negative)
        drawn = strokes("eye")[: image.shape[0], : image.shape[1]]
        found[f"{key} learned"] = ld.learn(known, drawn).predict(known)
        if whole:
            found[f"{key} vectors"] = known.vectors
            found[f"{key} probability"] = known.probability
    return found


def commands(folder: Path) -> Results:
    """Files that the command line makes, also block by block."""
    import tifffile
    import zarr
    from ome_zarr.writer import write_image
    from PIL import Image

    eye = folder / "eye.png"
    Image.fromarray(pixels("eye")).save(eye)
    slide = folder / "slide.ome.zarr"
    large = np.kron(pixels("eye"), np.ones((2, 2, 1), np.uint8))
    write_image(
        np.moveaxis(large, -1, 0),
        zarr.open_group(slide, mode="w", zarr_format=3),
        axes=["c", "y", "x"],
        scale_factors=[2],
        scale={"c": 1.0, "y": 0.5, "x": 0.25},
        axes_units={"y": "micrometer", "x": "micrometer"},
    )
    out, chosen = folder / "out", ("-m", "small fundus")
    for source in (eye, slide):
        localdisc("cluster", source, "-o", out, *chosen, "-n", 6)
        localdisc("segment", source, "-s", "vessel", "-o", out, *chosen)
    localdisc("cluster", slide, "-o", out / "fine", *chosen, "--detail", 2)
    given = ("--at", "80,41", "--not", "63,77", *chosen)
    files = ("-o", out / "similar.tif", "--mask", out / "mask.tif")
    localdisc("similar", eye, *given, *files)
    known = ld.embed(pixels("eye"), small_model("fundus"))
    path = folder / "clicked"
    ld.Concept.from_prompts("clicked", known, *PROMPTS["several"]).save(path)
    concept = path.with_name("clicked.concept.safetensors")
    localdisc("segment", eye, "--concept", concept, "-o", out, *chosen)
    found: Results = {}
    for path in sorted(out.rglob("*.tif")):
        found[str(path.relative_to(out))] = tifffile.imread(path)
    for path in sorted(out.rglob("*.ome.zarr")):
        group = zarr.open_group(path, mode="r")
        for name, member in group.members(max_depth=None):
            if isinstance(member, zarr.Array):
                found[f"{path.relative_to(out)}/{name}"] = member[...]
    return found


def script_run(folder: Path) -> Results:
    """Run what “Copy as Python” wrote: its labels, and those of the viewer."""
    import tifffile

    hand = Hand("small fundus")
    _annotate(hand)
    hand.add_mask()
    hand.accept()
    text, _ = hand.script()
    wanted = hand.labels()
    hand.close()
    file = folder / "script.py"
    file.write_text(text, encoding="utf-8")
    np.save(folder / "eye.npy", pixels("eye"))
    target = folder / "labels.tif"
    with contextlib.chdir(folder), mock.patch.object(sys, "argv", ["", str(target)]):
        runpy.run_path(str(file), run_name="__main__")
    return {"viewer": wanted, "script": tifffile.imread(target)}


def _train(out: Path, resume: bool = False, **given: Any) -> ld.Model:
    settings = internal("TrainingSettings").from_dict({**TINY, "width": 1})
    images = [fundus_like(seed) for seed in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ld.train(
            images,
            out,
            settings=settings,
            device="cpu",
            cache=out.parent / "working images",
            resume=resume,
            **given,
        )


def training(folder: Path) -> Results:
    """A training that goes on from a committed checkpoint."""
    for ending in (".checkpoint", ".csv"):
        shutil.copy((FILES / "halfway").with_suffix(ending), folder)
    return _of_training(folder / "halfway", resume=True)


def whole_training(folder: Path) -> Results:
    """The same from its start."""
    return _of_training(folder / "whole", resume=False)


def _of_training(out: Path, resume: bool) -> Results:
    trained = _train(out, resume)
    log = out.with_suffix(".csv").read_text(encoding="utf-8")
    return {
        **{key: weight.numpy() for key, weight in trained.network.state_dict().items()},
        "centres": trained.centres,
        "steps": trained.card.details["steps"],
        "log": [line.split(",")[0] for line in log.splitlines()],
    }


def save_halfway() -> None:
    """Stop a training after two of its four steps."""
    done: list[Any] = []
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "halfway"
        with contextlib.suppress(internal("Cancelled")):
            _train(out, progress=done.append, cancel=lambda: len(done) == 2)
        for ending in (".checkpoint", ".csv"):
            shutil.copy(out.with_suffix(ending), FILES)


NETWORK: dict[str, Callable[[Path], Results]] = {
    "network": network,
    "commands": commands,
    "training": training,
}
"""What is committed of what the network gives."""


def full_network(folder: Path) -> Results:
    """The bundled model at its own scale, in pieces and mirrored."""
    found: Results = {}
    model = ld.load_model("fundus", "cpu")
    ways: dict[str, dict[str, Any]] = {
        "auto": {},
        "float32": {"precision": "float32"},
        "mirrored": {"flips": 4},
        "tiles": {"tile_size": 272},
    }
    for way, given in ways.items():
        known = ld.embed(pixels("eye"), model, **given)
        found[f"{way}/vectors"] = known.vectors
        found[f"{way}/probability"] = known.probability
        found[f"{way}/clusters"] = known.clusters(16)
        for name, (positive, negative) in PROMPTS.items():
            found[f"{way}/{name}"] = known.similarity(positive, negative)
            found[f"{way}/{name} mask"] = known.mask(positive, negative)
    return found


EVERYTHING: dict[str, Callable[[Path], Results]] = {
    **EXACT,
    "network auto": lambda folder: network(folder, whole=True),
    "network float32": lambda folder: network(folder, "float32", whole=True),
    "full network": full_network,
    "commands": commands,
    "script run": script_run,
    "training": training,
    "whole training": whole_training,
}


# The command


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sum in one order, whatever the number of cores; on busy ones faster, too."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def computed(work: Callable[[Path], Results], folder: Path) -> Results:
    """Do one kind of work in a folder of its own."""
    with workplace(folder):
        return work(folder)


def all_of(works: dict[str, Callable[[Path], Results]]) -> Results:
    """Do all of several kinds of work; their names come before their results'."""
    found: Results = {}
    for name, work in works.items():
        with tempfile.TemporaryDirectory() as folder:
            results = computed(work, Path(folder) / "work")
        found.update({f"{name}/{key}": value for key, value in results.items()})
    return found


def save_files() -> None:
    """Write what is committed beside results: what today's code gives users."""
    import torch
    import torch.nn.functional as F

    FILES.mkdir(exist_ok=True)
    y, x = np.mgrid[:100, :120]
    rng = np.random.default_rng(3)
    plain_image = 9000 + 5000 * np.sin(y / 11) * np.cos(x / 17)
    plain_image[np.hypot(y - 80, x - 41) < 12] += 14000
    plain_image[np.hypot(y - 52, x - 72) < 9] += 14000
    plain_image += rng.normal(0, 700, plain_image.shape)
    sample = Path(str(ld.__file__)).parent / "data" / "retina.jpg"
    images = {
        "eye": ld.read_image(sample)[::9, ::9],
        "plain": plain_image.clip(0, 65535).astype(np.uint16),
    }
    kept: dict[str, np.ndarray] = {}
    for seed, (case, bundled) in enumerate(
        zip(CASES, ("fundus", "chest"), strict=True)
    ):
        full = ld.load_model(bundled, "cpu")
        known = ld.embed(images[case], full, precision="float32")
        longest = max(known.grid.shape)
        size = [round(side * CASES[case] / longest) for side in known.grid.shape]

        def smaller(planes: torch.Tensor, size: list[int] = size) -> torch.Tensor:
            return F.interpolate(planes[None], size, mode="area")[0]

        vectors = known.matrix.view(-1, *known.grid.shape)
        names = known.card.structures if case == "eye" else {}
        maps = {
            "vectors": F.normalize(smaller(vectors), dim=0),
            "probability": smaller(known.cluster_probability),
            "colour": smaller(known.colour.float()),
            **{
                f"presence {name}": smaller(known.presence[name][None])[0]
                for name in names
            },
        }
        kept[f"{case}/pixels"] = images[case]
        kept[f"{case}/field of view"] = known.field_of_view
        for name, values in maps.items():
            kept[f"{case}/{name}"] = values.numpy().astype(np.float16)
        random = ld.Model.random(
            seed,
            name=case,
            modality=full.card.modality,
            working_diameter=CASES[case],
            width=1,
            structures=dict(names),
        )
        of = ld.Model(random.card, random.network, full.centres)
        internal("save_model")(of, FILES / case)
        (FILES / f"{case}.md").unlink()
    np.savez_compressed(FILES / "inputs.npz", **kept)
    _inputs.cache_clear()
    save_halfway()
    with tempfile.TemporaryDirectory() as folder, workplace(Path(folder) / "work"):
        save_concepts(FILES)
        hand = Hand("eye")
        _annotate(hand)
        hand.save_session(SESSION)
        hand.close()


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.results")
    parser.add_argument("--write", nargs="?", const=FILES, type=Path, metavar="FOLDER")
    parser.add_argument("--compare", nargs=2, type=Path, metavar="FOLDER")
    parser.add_argument("--save-files", action="store_true")
    given = parser.parse_args()
    with one_thread():
        if given.save_files:
            save_files()
        if given.write == FILES:
            save(FILES, "exact", all_of(EXACT), whole=False)
            save(FILES, "network", all_of(NETWORK), whole=False)
        elif given.write is not None:
            save(given.write, "everything", all_of(EVERYTHING), whole=True)
    if given.compare is None:
        return 0
    left, right = (load(folder, "everything") for folder in given.compare)
    found = differences(left, right, None)
    for each in found:
        sys.stdout.write(f"{each}\n")
    sys.stdout.write(f"{len(left)} results, {len(found)} differences\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
