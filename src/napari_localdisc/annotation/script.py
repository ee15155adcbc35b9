"""What was done on an image, done again: by the package, or by a script for the user.

Each operation of the log has one meaning, written down twice side by side: `Replay`
does it, and `python_script` says it as lines of Python that use the public names.
What a hand painted is in no log; it is what is left between the two and the labels.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .state import Operation, PlaneKey, from_runs

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

ModelKey = tuple[str, str]
"""A model's name and hash."""

Run = Sequence[int]
"""(value, start, stop) of flattened labels."""

_WIDTH = 88
_HEAD = '''\
"""{title}

Made by napari-localdisc {version}.  It writes the labels to the file that is named on
the command line, by default labels.tif.
"""

import sys

import numpy as np
import tifffile

import napari_localdisc as ld
'''
_WRITE = '''

def write(labels, mask, value, overwrite=False):
    """Write a class where there is no other one, or over the others."""
    labels[mask & (overwrite | (labels == 0) | (labels == value))] = value
'''
_PAINT = '''

def paint(labels, runs):
    """Write (value, start, stop) runs of the flattened labels."""
    for value, start, stop in runs:
        labels.reshape(-1)[start:stop] = value
'''
_LEARNED = """
for value in np.unique(prediction):
    if value not in {skipped}:
        write(labels, prediction == value, value, overwrite={overwrite})
"""
_MODEL = """
{model} = ld.load_model({name!r})
if {model}.hash != {hash!r}:
    sys.exit("This is another model than the one that was used ({hash}).")
{embedding} = ld.embed(image, {model})
"""
_TAIL = """
tifffile.imwrite(sys.argv[1] if len(sys.argv) > 1 else "labels.tif", labels)
"""


@dataclass(frozen=True)
class Picture:
    """Where a script finds the pixels that were worked on.

    Attributes
    ----------
    name : str
        What the image is called.
    code : str
        An expression that reads all of it.
    index : tuple of (int or None)
        The plane of it, see `Plane.key`.
    content_hash : str
        Of the plane's pixels.
    shape : tuple of int
        (H, W) of the plane.
    """

    name: str
    code: str
    index: PlaneKey
    content_hash: str
    shape: tuple[int, int]

    @property
    def is_slice(self) -> bool:
        """Whether the image has more planes."""
        return any(at is not None for at in self.index)


def models_used(log: Iterable[Operation], plane: PlaneKey) -> list[ModelKey]:
    """Return the models that a plane's labels were made with, in their order."""
    writes = (entry for entry in _relevant(log, plane) if entry.kind == "write")
    keys = (_model_of(entry) for entry in writes)
    return list(dict.fromkeys(keys))


def replay(
    log: Iterable[Operation],
    plane: PlaneKey,
    shape: tuple[int, int],
    embedding_of: Callable[[ModelKey], Embedding],
) -> NDArray[np.uint16]:
    """Do again what made a plane's labels.

    Parameters
    ----------
    log : iterable of Operation
        What was done.
    plane : tuple
        On which plane.
    shape : tuple of int
        (H, W) of the plane.
    embedding_of : callable
        Gives the plane's embedding by a model.

    Returns
    -------
    ndarray
        (H, W) uint16.
    """
    labels = np.zeros(shape, np.uint16)
    for entry in _relevant(log, plane):
        if entry.kind == "erase":
            labels[labels == entry.parameters["value"]] = 0
            continue
        embedding = embedding_of(_model_of(entry))
        for value, mask in _masks(entry.parameters, embedding):
            free = np.ones(shape, dtype=bool)
            if not entry.parameters["overwrite"]:
                free = (labels == 0) | (labels == value)
            labels[mask & free] = value
    return labels


def differences(
    labels: NDArray[np.integer[Any]], replayed: NDArray[np.integer[Any]]
) -> list[list[int]]:
    """Return the runs that turn replayed labels into those that are there."""
    flat, made = np.asarray(labels).ravel(), np.asarray(replayed).ravel()
    changed = np.flatnonzero(flat != made)
    if not changed.size:
        return []
    values = flat[changed]
    breaks = np.flatnonzero((np.diff(changed) != 1) | (np.diff(values) != 0)) + 1
    starts = np.concatenate([[0], breaks])
    stops = np.concatenate([breaks, [changed.size]]) - 1
    return [
        [int(values[first]), int(changed[first]), int(changed[last]) + 1]
        for first, last in zip(starts, stops, strict=True)
    ]


def python_script(
    log: Iterable[Operation],
    picture: Picture,
    dtype: str = "uint8",
    painted: Sequence[Run] = (),
    clusters: tuple[ModelKey, int] | None = None,
    names: Mapping[int, str] | None = None,
) -> str:
    """Write a script that makes a plane's labels again.

    Parameters
    ----------
    log : iterable of Operation
        What was done.
    picture : Picture
        On what.
    dtype : str
        Of the labels.
    painted : sequence of runs
        `differences` to the labels that are there.
    clusters : tuple, optional
        Model, and number of structures that are shown.  Where nothing was written,
        they are the labels.
    names : dict of int to str, optional
        Names of the classes, for comments.

    Returns
    -------
    str
        Python that uses the public names of the package.
    """
    entries = _relevant(log, picture.index)
    keys = models_used(entries, picture.index)
    if clusters is not None and clusters[0] not in keys:
        keys.append(clusters[0])
    variables = {
        key: "embedding" if at == 0 else f"embedding_{at + 1}"
        for at, key in enumerate(keys)
    }
    body = [_read(picture), *(_load(key, variables[key]) for key in keys)]
    if clusters is not None:
        body.append(f"\nclusters = {variables[clusters[0]]}.clusters({clusters[1]})\n")
    if entries or painted or clusters is None:
        shape = "image.shape[:2]"
        body.append(f"\nlabels = np.zeros({shape}, np.{dtype})\n")
        body += [_said(entry, variables, names or {}) for entry in entries]
    else:
        body.append("labels = clusters\n")
    if painted:
        body.append(
            "\n# painted by hand\n" + _call("paint", ["labels", _runs(painted)])
        )
    code = "".join(body) + _TAIL
    title = f"Repeats what was done on {picture.name}, with the same labels."
    head = _HEAD.format(title=_in_docstring(title), version=version("napari-localdisc"))
    if "samples." in picture.code:
        head += "from napari_localdisc.io import samples\n"
    helpers = "".join(
        text for name, text in (("write(", _WRITE), ("paint(", _PAINT)) if name in code
    )
    return head + helpers + ("\n" if helpers else "") + code


def _relevant(log: Iterable[Operation], plane: PlaneKey) -> list[Operation]:
    """Return what changed a plane's labels; prompts and options are in the writes."""
    return [
        entry
        for entry in log
        if entry.kind == "erase"
        or (entry.kind == "write" and tuple(entry.plane) == tuple(plane))
    ]


def _model_of(entry: Operation) -> ModelKey:
    return str(entry.parameters["model"]), str(entry.parameters["model_hash"])


# What the sources of a mask mean


def _masks(
    parameters: Mapping[str, Any], embedding: Embedding
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return the class and the mask of each thing that was written."""
    source, value = parameters["source"], parameters["value"]
    if source["kind"] != "strokes":
        return [(value, _mask(source, embedding))]
    from napari_localdisc.core.learning.classifier import learn

    strokes = from_runs(source["strokes"], embedding.shape)
    prediction = learn(embedding, strokes).predict(embedding)
    if value is not None:
        return [(value, prediction == value)]
    skipped = {0, *source.get("background", ())}
    found = [int(each) for each in np.unique(prediction) if int(each) not in skipped]
    return [(each, prediction == each) for each in found]


def _mask(source: Mapping[str, Any], embedding: Embedding) -> NDArray[np.bool_]:
    kind, arguments = _arguments(source)
    if kind == "prompts":
        return embedding.mask(**arguments)
    if kind == "clusters":
        labels = embedding.clusters(arguments["number"])
        return np.isin(labels, arguments["clusters"])
    probability = embedding.structure(arguments["name"])
    return np.asarray(probability >= arguments["threshold"])


def _arguments(source: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Separate a source's kind, refusing one that a later version added."""
    kind = source["kind"]
    if kind not in ("prompts", "clusters", "structure"):
        raise ValueError(f"there is no source of masks {kind!r}")
    arguments = {key: value for key, value in source.items() if key != "kind"}
    for key in ("positive", "negative"):
        if key in arguments:
            arguments[key] = [tuple(point) for point in arguments[key]]
    return kind, arguments


# The same as text


def _read(picture: Picture) -> str:
    lines = [f"\nimage = {picture.code}\n"]
    if picture.is_slice:
        index = ", ".join(":" if at is None else str(at) for at in picture.index)
        lines.append(f"image = np.asarray(image[{index}])\n")
    lines.append(
        f"if ld.content_hash(image) != {picture.content_hash!r}:\n"
        '    sys.exit("This is another image than the one that was worked on.")\n'
    )
    return "".join(lines)


def _load(key: ModelKey, embedding: str) -> str:
    name, model_hash = key
    model = embedding.replace("embedding", "model")
    return _MODEL.format(model=model, name=name, hash=model_hash, embedding=embedding)


def _said(
    entry: Operation, variables: Mapping[ModelKey, str], names: Mapping[int, str]
) -> str:
    parameters = entry.parameters
    value = parameters["value"]
    named = names.get(value, "") if value is not None else ""
    comment = f"{entry.text}: {named}" if named else entry.text
    head = f"\n# {' '.join(comment.split())}\n"
    if entry.kind == "erase":
        return f"{head}labels[labels == {value}] = 0\n"
    embedding = variables[_model_of(entry)]
    source, overwrite = parameters["source"], bool(parameters["overwrite"])
    if source["kind"] == "strokes":
        skipped = sorted({0, *source.get("background", ())})
        strokes = _call("paint", ["strokes", _runs(source["strokes"])])
        learned = (
            f"{head}strokes = np.zeros(image.shape[:2], np.uint16)\n{strokes}"
            f"prediction = ld.learn({embedding}, strokes).predict({embedding})"
        )
        if value is None:
            return learned + _LEARNED.format(skipped=skipped, overwrite=overwrite)
        mask = f"prediction == {value}"
        return f"{learned}\nwrite(labels, {mask}, {value}, overwrite={overwrite})\n"
    mask = _mask_code(source, embedding)
    return f"{head}{mask}write(labels, mask, {value}, overwrite={overwrite})\n"


def _mask_code(source: Mapping[str, Any], embedding: str) -> str:
    kind, arguments = _arguments(source)
    if kind == "prompts":
        given = [f"{key}={value!r}" for key, value in arguments.items()]
        return _call(f"mask = {embedding}.mask", given)
    if kind == "clusters":
        number, chosen = arguments["number"], list(arguments["clusters"])
        return f"mask = np.isin({embedding}.clusters({number}), {chosen})\n"
    name, threshold = arguments["name"], arguments["threshold"]
    return f"mask = {embedding}.structure({name!r}) >= {threshold!r}\n"


def _call(function: str, arguments: Sequence[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line + "\n"
    inner = "\n".join(textwrap.indent(entry, "    ") + "," for entry in arguments)
    return f"{function}(\n{inner}\n)\n"


def _runs(entries: Sequence[Run]) -> str:
    text = str([tuple(int(number) for number in entry) for entry in entries])
    if len(text) < _WIDTH - 20:
        return text
    inner = "\n".join(
        textwrap.wrap(text[1:-1] + ",", _WIDTH - 8, break_long_words=False)
    )
    return "[\n" + textwrap.indent(inner, "    ") + "\n]"


def _in_docstring(text: str) -> str:
    """Keep a name from ending the docstring or its line."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())
