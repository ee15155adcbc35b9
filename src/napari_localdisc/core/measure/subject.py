"""What is measured, checked: masks, what can be seen of them, a picture, maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.core.errors import PromptError

from .structures import Role, role_of

Mask = NDArray[np.bool_]
Labels = ArrayLike | Mapping[str, ArrayLike]

VESSELS: tuple[Role, ...] = ("vessel", "artery", "vein")


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured, checked and within what can be seen.

    Attributes
    ----------
    masks : dict
        (H, W) bool by structure.
    view : ndarray
        (H, W) bool.
    view_name : str
        What the whole of it is called.
    picture : ndarray or None
        (H, W) or (H, W, 3) with its own values.
    probabilities : dict
        (H, W) by structure, of those that have one.
    """

    masks: dict[str, Mask]
    view: Mask
    view_name: str = "image"
    picture: NDArray[Any] | None = None
    probabilities: dict[str, NDArray[np.floating]] = field(default_factory=dict)

    @classmethod
    def checked(
        cls,
        labels: Labels,
        names: Mapping[int, str] | str | None,
        image: ArrayLike | None,
        probability: Mapping[str, ArrayLike] | ArrayLike | None,
        field_of_view: ArrayLike | None,
        is_fundus: bool,
    ) -> Subject:
        """Check what `measure` is given, and keep what lies within what can be seen.

        Raises
        ------
        PromptError
            If something does not fit the labels.
        """
        masks, shape = _masks(labels, names)
        picture = _picture(image, shape)
        view, view_name = _view(field_of_view, picture, is_fundus, shape)
        seen = {name: mask & view for name, mask in masks.items()}
        maps = _probabilities(probability, masks, shape)
        return cls(seen, view, view_name, picture, maps)

    def of(self, *roles: Role) -> dict[str, Mask]:
        """Return the structures that are one of these to the measures."""
        return {name: m for name, m in self.masks.items() if role_of(name) in roles}

    def union(self, *roles: Role) -> Mask | None:
        """Return where one of the structures of these roles is; None: there is none."""
        found = list(self.of(*roles).values())
        return np.logical_or.reduce(found) if found else None

    @cached_property
    def brightness(self) -> NDArray[np.float32] | None:
        """(H, W) the channel in which a retina shows most: the green one."""
        if self.picture is None:
            return None
        one = self.picture if self.picture.ndim == 2 else self.picture[..., 1]
        return np.ascontiguousarray(one, np.float32)


def class_masks(
    labels: ArrayLike, names: Mapping[int, str] | str | None = None
) -> dict[str, Mask]:
    """Return a mask a class, by its name, in the order of values.

    Parameters
    ----------
    labels, names
        As of `measure`.

    Returns
    -------
    dict
        (H, W) bool of classes that occur or have a name; classes of one name are one.

    Raises
    ------
    PromptError
        If the labels are no plane of whole numbers.
    """
    array = np.asarray(labels)
    _plane_of(array)
    if array.dtype.kind not in "bui":
        raise PromptError(
            f"Labels are whole numbers, not values of type {array.dtype}: cut a "
            "probability first."
        )
    if isinstance(names, str):
        return {names: array != 0}
    called = dict(names or {})
    if array.dtype == np.bool_:
        return {called.get(1, "label 1"): array}
    if array.min() >= 0 and array.max() < 1 << 16:
        values = np.flatnonzero(np.bincount(array.ravel()))
    else:
        values = np.unique(array)
    masks: dict[str, Mask] = {}
    for value in sorted({*values.tolist(), *called} - {0}):
        name = called.get(value) or f"label {value}"
        mask = array == value
        masks[name] = masks[name] | mask if name in masks else mask
    return masks


def _masks(
    labels: Labels, names: Mapping[int, str] | str | None
) -> tuple[dict[str, Mask], tuple[int, int]]:
    """Return a mask a structure, by its name, and their shape."""
    if not isinstance(labels, Mapping):
        return class_masks(labels, names), _plane_of(np.asarray(labels))
    masks = {name: np.asarray(mask) != 0 for name, mask in labels.items()}
    shapes = {_plane_of(mask) for mask in masks.values()}
    if len(shapes) != 1:
        raise PromptError(
            "The masks differ in shape." if shapes else "There is no mask."
        )
    return masks, shapes.pop()


def _plane_of(array: NDArray[Any]) -> tuple[int, int]:
    if array.ndim != 2 or not array.size:
        shape = "×".join(map(str, array.shape))
        raise PromptError(f"Labels are one plane of pixels, not an array of {shape}.")
    return int(array.shape[0]), int(array.shape[1])


def _picture(image: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[Any] | None:
    if image is None:
        return None
    picture = np.asarray(image)
    if picture.shape[:2] != shape or picture.ndim not in (2, 3):
        raise PromptError("The picture has another size than the labels.")
    if picture.ndim == 3:
        picture = picture[..., :3] if picture.shape[2] >= 3 else picture[..., 0]
    return picture


def _view(
    given: ArrayLike | None,
    picture: NDArray[Any] | None,
    is_fundus: bool,
    shape: tuple[int, ...],
) -> tuple[Mask, str]:
    """Return what can be seen and what it is called."""
    if given is not None:
        view = np.asarray(given) != 0
        if view.shape != shape:
            raise PromptError("The field of view has another size than the labels.")
        return view, "field of view"
    if picture is not None and is_fundus:
        # They need torch, which labels alone do not
        from napari_localdisc.core.image.field_of_view import find_field_of_view
        from napari_localdisc.core.image.working import as_rgb

        return find_field_of_view(as_rgb(picture), "fundus"), "field of view"
    return np.ones(shape, bool), "image"


def _probabilities(
    given: Mapping[str, ArrayLike] | ArrayLike | None,
    masks: Mapping[str, Mask],
    shape: tuple[int, ...],
) -> dict[str, NDArray[np.floating]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        own = [name for name in masks if role_of(name) in VESSELS]
        if len(own) != 1:
            raise PromptError(
                "One probability is of one kind of vessels; give a mapping of names to "
                "probabilities."
            )
        given = {own[0]: given}
    found = {name: np.asarray(values) for name, values in given.items()}
    for name, values in found.items():
        if values.shape != shape:
            raise PromptError(f"The probability of {name} has another size.")
        if values.dtype.kind != "f" or not (
            np.nanmin(values) >= 0 and np.nanmax(values) <= 1
        ):
            raise PromptError(f"The probability of {name} is not between 0 and 1.")
    return found
