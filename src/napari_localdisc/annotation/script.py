"""What was done on an image, done again: by the package, or by a script for the user.

`replay` does it and `python_script` says it with the public names; what each source of
labels means for the two stands side by side in `sources`.  What a hand painted is in no
log; it is what is left between the two and the labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .sources import Structure, paint_code, source_from_json
from .state import Operation, PlaneKey, Run, by_group, merge_classes, runs, take_back

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

ModelKey = tuple[str, str, float | None]
"""A model's name and hash, and the magnification where the user chose one."""

Maps = dict[int, NDArray[np.integer[Any]]]
"""(H, W) labels of each group of classes."""

SAMPLE = "ld.read_image(samples.sample_path())"
"""Reads the sample photograph."""

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
_TAKE_BACK = '''

def take_back(labels, mask, value):
    """Take away what was written earlier, and is no longer meant."""
    labels[mask & (labels == value)] = 0
'''
_PAINT = '''

def paint(labels, runs):
    """Write (value, start, stop) runs of the flattened labels."""
    for value, start, stop in runs:
        labels.reshape(-1)[start:stop] = value
'''
_APART = '''

def put_into(maps, group, value):
    """Let a class lie in the map of a group, where it excludes those that it has."""
    for other, labels in maps.items():
        mask = labels == value
        if other != group and mask.any():
            labels[mask] = 0
            write(maps[group], mask, value)
'''
_HELPERS = {
    "put_into(": _APART,
    "write(": _WRITE,
    "take_back(": _TAKE_BACK,
    "paint(": _PAINT,
}
_TAIL = """
tifffile.imwrite(sys.argv[1] if len(sys.argv) > 1 else "labels.tif", labels)
"""
_TAIL_OF_GROUPS = """
out = Path(sys.argv[1] if len(sys.argv) > 1 else "labels.tif")
for group, labels in maps.items():
    name = f"{out.stem}.map{group + 1}{out.suffix}" if group else out.name
    tifffile.imwrite(out.with_name(name), labels)
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
        The plane of it, see `Plane.index`.
    content_hash : str
        Of the plane's pixels.
    shape : tuple of int
        (H, W) of the plane.
    is_plane : bool
        Whether the expression reads that plane alone.
    """

    name: str
    code: str
    index: PlaneKey
    content_hash: str
    shape: tuple[int, int]
    is_plane: bool = False


def models_used(log: Iterable[Operation], plane: PlaneKey) -> list[ModelKey]:
    """Return the models that a plane's labels were made with, in their order."""
    writes = [entry for entry in _relevant(log, plane) if entry.kind == "write"]
    return list(dict.fromkeys(map(_model_of, writes)))


def replay(
    log: Iterable[Operation],
    plane: PlaneKey,
    shape: tuple[int, int],
    embedding_of: Callable[[ModelKey], Embedding],
) -> Maps:
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
    dict of int to ndarray
        (H, W) uint16 labels of each group of classes that was written to, and of 0.
    """
    maps: Maps = {0: np.zeros(shape, np.uint16)}
    for entry in _relevant(log, plane):
        value = entry.parameters["value"]
        if entry.kind == "erase":
            for labels in maps.values():
                labels[labels == value] = 0
            continue
        for each, group in _groups_in(entry).items():
            _put_into(maps, group, each)
        if entry.kind == "group":
            continue
        embedding = embedding_of(_model_of(entry))
        whole = source_from_json(entry.parameters["source"]).labels(embedding, value)
        overwrite = bool(entry.parameters["overwrite"])
        instead = entry.parameters.get("instead")
        for group, wanted in by_group(whole, _groups_in(entry)).items():
            labels = maps.setdefault(group, np.zeros(shape, np.uint16))
            if instead is not None:
                earlier = source_from_json(instead).labels(embedding, value)
                labels = take_back(labels, wanted, earlier)
            maps[group] = merge_classes(labels, wanted, overwrite)
    return maps


def _groups_in(entry: Operation) -> dict[int, int]:
    """Return into which groups an operation puts classes; where none is said, 0."""
    said = entry.parameters
    groups = {int(each): int(group) for each, group in said.get("groups", {}).items()}
    if entry.kind != "erase" and said["value"] is not None:
        groups.setdefault(int(said["value"]), int(said.get("group", 0)))
    return groups


def _put_into(maps: Maps, group: int, value: int) -> None:
    for other, labels in list(maps.items()):
        mask = labels == value
        if other != group and mask.any():
            labels[mask] = 0
            there = maps.setdefault(group, np.zeros_like(labels))
            there[mask & (there == 0)] = value


def differences(
    labels: NDArray[np.integer[Any]], replayed: NDArray[np.integer[Any]]
) -> list[Run]:
    """Return the runs that turn replayed labels into those that are there."""
    changed = np.where(labels != replayed, np.asarray(labels, np.int64) + 1, 0)
    return [(value - 1, start, stop) for value, start, stop in runs(changed)]


def python_script(
    log: Iterable[Operation],
    picture: Picture,
    dtype: str = "uint8",
    painted: Mapping[int, Sequence[Run]] | None = None,
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
    painted : mapping of int to sequence of runs
        `differences` to the labels that are there, by the group of their classes.
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
    entries, painted = _relevant(log, picture.index), painted or {0: ()}
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
    groups = sorted(
        {0, *painted, *(g for e in entries for g in _groups_in(e).values())}
    )
    if len(groups) > 1:
        body.append(
            "\n# classes of one map exclude each other, those of others they overlap\n"
            f"groups = {groups}\n"
            f"maps = {{g: np.zeros(image.shape[:2], np.{dtype}) for g in groups}}\n"
        )
        body += _said_in_groups(entries, variables, names or {})
    elif entries or painted[0] or clusters is None:
        body.append(f"\nlabels = np.zeros(image.shape[:2], np.{dtype})\n")
        body += [_said(entry, variables, names or {}) for entry in entries]
    else:
        body.append("labels = clusters\n")
    for group, each in painted.items():
        labels = f"maps[{group}]" if len(groups) > 1 else "labels"
        if each:
            body.append("\n# painted by hand\n" + paint_code(labels, each))
    code = "".join(body) + (_TAIL_OF_GROUPS if len(groups) > 1 else _TAIL)
    title = f"Repeats what was done on {picture.name}, with the same labels."
    # A name must not end the docstring or its line
    title = " ".join(title.replace("\\", "/").replace('"', "'").split())
    head = _HEAD.format(title=title, version=version("napari-localdisc"))
    if picture.code == SAMPLE:
        head += "from napari_localdisc.io import samples\n"
    if len(groups) > 1:
        head = head.replace("import sys\n", "import sys\nfrom pathlib import Path\n")
    helpers = "".join(text for name, text in _HELPERS.items() if name in code)
    return head + helpers + ("\n" if helpers else "") + code


def _relevant(log: Iterable[Operation], plane: PlaneKey) -> list[Operation]:
    """Return what changed a plane's labels; prompts and options are in the writes."""
    return [
        entry
        for entry in log
        if entry.kind in ("erase", "group")
        or (entry.kind == "write" and entry.plane == plane)
    ]


def _model_of(entry: Operation) -> ModelKey:
    return model_key(entry.parameters)


def model_key(made: Mapping[str, Any]) -> ModelKey:
    """Read by what something was made, as `Embedded.provenance` says it."""
    chosen = made.get("magnification")
    key = str(made["model"]), str(made["model_hash"])
    return *key, None if chosen is None else float(chosen)


# The same as text


def _read(picture: Picture) -> str:
    lines = [f"\nimage = {picture.code}\n"]
    if not picture.is_plane and any(at is not None for at in picture.index):
        index = ", ".join(":" if at is None else str(at) for at in picture.index)
        lines.append(f"image = np.asarray(image[{index}])\n")
    lines.append(
        f"if ld.content_hash(image) != {picture.content_hash!r}:\n"
        '    sys.exit("This is another image than the one that was worked on.")\n'
    )
    return "".join(lines)


def _load(key: ModelKey, embedding: str) -> str:
    name, model_hash, magnification = key
    chosen = "" if magnification is None else f", magnification={magnification}"
    model = embedding.replace("embedding", "model")
    other = f"This is another model than the one that was used ({model_hash})."
    return (
        f"\n{model} = ld.load_model({name!r})\n"
        f"if {model}.hash != {model_hash!r}:\n"
        f"    sys.exit({json.dumps(other, ensure_ascii=False)})\n"
        f"{embedding} = ld.embed(image, {model}{chosen})\n"
    )


def _said(
    entry: Operation, variables: Mapping[ModelKey, str], names: Mapping[int, str]
) -> str:
    parameters, value = entry.parameters, entry.parameters["value"]
    name = names.get(value, "")
    named = f": {name}" if name and f"“{name}”" not in entry.text else ""
    head = f"\n# {' '.join((entry.text + named).split())}\n"
    if entry.kind == "erase":
        return f"{head}labels[labels == {int(value)}] = 0\n"
    source = source_from_json(parameters["source"])
    embedding, overwrite = variables[_model_of(entry)], bool(parameters["overwrite"])
    instead = parameters.get("instead")
    earlier = None if instead is None else source_from_json(instead)
    if isinstance(source, Structure) and isinstance(earlier, Structure):
        return head + source.code_instead(embedding, int(value), overwrite, earlier)
    return head + source.code(
        embedding, None if value is None else int(value), overwrite
    )


def _said_in_groups(
    entries: Iterable[Operation],
    variables: Mapping[ModelKey, str],
    names: Mapping[int, str],
) -> Iterator[str]:
    """Say into which map each class goes, too."""
    held: dict[int, int] = {}
    for entry in entries:
        groups, value = _groups_in(entry), entry.parameters["value"]
        moved = {v: g for v, g in groups.items() if held.get(v, g) != g}
        held |= groups
        if entry.kind == "erase":
            text = _said(entry, variables, names)
            head, _, line = text.rstrip().rpartition("\n")
            yield f"{head}\nfor labels in maps.values():\n    {line}\n"
            continue
        before = "".join(f"put_into(maps, {g}, {v})\n" for v, g in moved.items())
        if entry.kind == "group":
            yield f"\n# {' '.join(entry.text.split())}\n{before}" if before else ""
        elif value is not None:
            text = _said(entry, variables, names)
            head, _, rest = text[1:].partition("\n")
            yield f"\n{head}\n{before}labels = maps[{groups[int(value)]}]\n{rest}"
        else:
            where = f"maps[{groups}.get(int(value), 0)]" if groups else "maps[0]"
            text = _said(entry, variables, names)
            text = text[1:].replace("write(labels,", f"write({where},")
            yield f"\n{before}{text}"
