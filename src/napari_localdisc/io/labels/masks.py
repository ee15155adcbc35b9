"""One binary PNG per class: ``NAME_vessel.png`` beside ``NAME_disc.png``.

The names are those that `localdisc evaluate` and `localdisc finetune` look for beside
an image.
"""

from dataclasses import replace
from pathlib import Path

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import check_replaceable, new_file
from napari_localdisc.core.names import plain_name

from .label_map import LabelMap, note_of
from .png import is_ours, png_text

NAME = "One PNG per class"
ENDINGS = (".masks.png",)


def check(labels: LabelMap) -> None:
    """Raise a FileError for what cannot be told apart, or is no picture."""
    for each in labels.maps:
        each.plane(NAME)
    if not any(True for _ in labels.each_class()):
        raise FileError("The labels are empty: there is no class to write a mask of.")
    file_names(labels)


def file_names(labels: LabelMap) -> list[str]:
    """Return what follows the base name for each class of all maps.

    A FileError says if two would become one file, or a name is no file name.
    """
    names: list[str] = []
    for each, value in labels.each_class():
        name = plain_name(each.class_name(value))
        if any(letter in name for letter in '/\\:*?"<>|'):
            raise FileError(
                f"The class name {each.names[value]!r} cannot be part of a file's "
                "name: give it another one."
            )
        if name in names:
            raise FileError(
                f"Two classes are called {name!r} and would become one file: give "
                "one of them another name."
            )
        names.append(name)
    return names


def targets(path: Path, labels: LabelMap) -> list[Path]:
    """Return the file of each class, as `write` makes them; errors of `file_names`."""
    name = path.name
    for ending in (*ENDINGS, path.suffix):
        name = name.removesuffix(ending) if ending else name
    endings = file_names(labels)
    return [path.with_name(f"{name}_{ending}.png") for ending in endings]


def write(path: Path, labels: LabelMap) -> list[Path]:
    """Write a 1-bit PNG file per class, black and white in every program.

    ``FOLDER/NAME.masks.png`` or ``FOLDER/NAME.png`` means ``FOLDER/NAME_<class>.png``
    for each class that occurs or has a name.  Files of other programs are not replaced.
    """
    from PIL import Image

    files = targets(path, labels)
    for target in files:
        check_replaceable(target, is_ours)
    for (each, value), target in zip(labels.each_class(), files, strict=True):
        whole = note_of(replace(each, others=()))
        own = {str(value): whole["classes"].get(str(value), {})}
        note = {**whole, "classes": own, "mask_of": value}
        with new_file(target, is_ours) as temporary:
            mask = Image.fromarray(each.plane(NAME) == value)
            mask.save(temporary, "PNG", pnginfo=png_text(note))
    return files
