"""Folders of images with reference masks, as `localdisc evaluate` takes them.

``NAME.ext`` is an image, ``NAME_<structure>.png`` the mask of a structure in it and,
optionally, ``NAME_fov.png`` its field of view; of several images whose names begin so
the longest name wins.  In a structure's name blanks, ``-`` and
``_`` are alike, and so are upper and lower case.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.evaluation.evaluate import Case
from napari_localdisc.core.files import given_path
from napari_localdisc.core.image.files import image_files, read_image, roles_of
from napari_localdisc.core.image.upright import ORIENTATION, UPRIGHT, turned
from napari_localdisc.core.names import find_name

from .labels.formats import read_made_by

FIELD_OF_VIEW = "fov"


@dataclass(frozen=True)
class LabelledImage:
    """An image file and the files that belong to it.

    Attributes
    ----------
    path : Path
        The image.
    masks : dict of str to Path
        Structure → file; the field of view is ``"fov"``.
    """

    path: Path
    masks: dict[str, Path] = field(default_factory=dict)

    def has(self, structure: str) -> bool:
        """Whether there is a mask of the structure, or of a part ``a+b`` of it."""
        return any(find_name(self.masks, part) for part in structure.split("+"))

    def case(self, structure: str) -> Case:
        """Read the image with the mask of a structure; ``a+b`` is a union of masks.

        Raises
        ------
        FileError
            If a file cannot be read or a mask has another size than its image.
        """
        image = read_image(self.path)
        shape = image.shape[:2]
        reference = np.zeros(shape, dtype=bool)
        for part in structure.split("+"):
            mask = self._mask(part, shape)
            if mask is not None:
                reference |= mask
        seen = self._mask(FIELD_OF_VIEW, shape)
        return Case(self.path.name, image, reference, seen)

    def _mask(self, structure: str, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Read the mask of a structure, if there is one."""
        name = find_name(self.masks, structure)
        if name is None:
            return None
        path = self.masks[name]
        values = read_image(path)
        if values.ndim == 3:
            values = values[:, :, :3].max(axis=2)
        # Made on the image as its file stores it, which is read upright
        made_by = read_made_by(path) or {}
        values = turned(values, made_by.get(ORIENTATION, UPRIGHT))
        if values.shape != shape:
            sizes = ["×".join(map(str, size)) for size in (values.shape, shape)]
            raise FileError(
                f"The mask {path} has {sizes[0]} pixels, but its image "
                f"{self.path.name} has {sizes[1]}."
            )
        mask: NDArray[np.bool_] = values > values.max() / 2
        return mask


def labelled_images(
    folder: str | Path, remark_on: Callable[[str], None] | None = None
) -> list[LabelledImage]:
    """Find a folder's images and their masks.

    Parameters
    ----------
    folder : str or Path
        Where they are.
    remark_on : callable, optional
        Gets sentences about names that could be understood otherwise.

    Raises
    ------
    FileError
        If there is no such folder, it holds no image, or a mask's name is ambiguous.
    """
    folder = given_path(folder)
    if not folder.is_dir():
        raise FileError(f"There is no folder {folder}.")
    files = image_files(folder)
    if not files:
        raise FileError(f"The folder {folder} holds no image file.")
    roles = roles_of(files)
    if roles.conflicts:
        raise FileError(roles.conflicts[0])
    if remark_on is not None:
        for remark in roles.remarks:
            remark_on(remark)
    return [LabelledImage(path, roles.masks.get(path, {})) for path in roles.images]


def with_structure(
    images: list[LabelledImage], structure: str, folder: str | Path
) -> list[LabelledImage]:
    """Return the images that have a mask of a structure.

    Raises
    ------
    FileError
        If none has; the message names the structures there are.
    """
    chosen = [image for image in images if image.has(structure)]
    if not chosen:
        names = sorted({name for image in images for name in image.masks})
        known = ", ".join(name for name in names if name != FIELD_OF_VIEW) or "none"
        file = "_".join(structure.split())
        raise FileError(
            f"No image in {folder} has a mask of {structure!r} beside it "
            f"(NAME_{file}.png); structures with masks there: {known}."
        )
    return chosen
