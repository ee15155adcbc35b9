"""Labels → a table: `measure`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.version import __version__

from .chest import measure_heart, measure_lungs, two_lungs
from .disc import measure_disc, whole_disc
from .equivalents import ARTERY, VEIN, zone_equivalent
from .grids import ETDRS, FIELD, GRIDS, QUADRANTS, ZONES, Region, grid_regions
from .landmarks import Disc, Eye, Landmarks, Point, eye_of, find_fovea
from .lesions import measure_each_lesion, measure_lesions
from .quantities import Quantity, known
from .regions import Pieces, measure_class, measure_pieces, measure_shape
from .structures import Role, role_of
from .table import Row, Table
from .tree import trace_vessels
from .units import Units
from .vessels import Vessels, measure_segments, measure_vessels

Kind = Literal["fundus", "chest", "any"]
KINDS: tuple[Kind, ...] = ("fundus", "chest", "any")
Mask = NDArray[np.bool_]
Labels = ArrayLike | Mapping[str, ArrayLike]

_VESSELS: tuple[Role, ...] = ("vessel", "artery", "vein")
_LEAST_AREA = 0.5


def measure(
    labels: Labels,
    kind: Kind = "fundus",
    *,
    names: Mapping[int, str] | str | None = None,
    image: ArrayLike | None = None,
    probability: Mapping[str, ArrayLike] | ArrayLike | None = None,
    field_of_view: ArrayLike | None = None,
    scale: float | Sequence[float] | None = None,
    disc_mm: float | None = None,
    disc: tuple[float, float, float] | None = None,
    fovea: Point | None = None,
    eye: Eye | None = None,
    regions: Iterable[str] | None = None,
    pieces: bool = True,
    name: str = "",
) -> Table:
    """Measure what labels show: no model is needed.

    Parameters
    ----------
    labels : array_like or mapping of str to array_like
        (H, W) whole numbers, a class each, 0 for nothing; a mask; or a mask by the name
        of each structure, which may lie over each other.
    kind : {"fundus", "chest", "any"}
        ``"any"`` measures size, shape and brightness of every class.  ``"fundus"`` and
        ``"chest"`` add what names of classes mean there: vessel, artery, vein, optic
        disc, optic cup and lesions (exudate, haemorrhage, drusen, …); lung (or right
        lung, left lung) and heart.
    names : mapping of int to str, or str, optional
        Classes by their value; one name for all that is not 0.  Others are called
        ``label 1`` and so on.
    image : array_like, optional
        (H, W) or (H, W, 3) picture: for brightness, for calibres where there is no
        probability, to find the fovea and the field of view.
    probability : array_like or mapping of str to array_like, optional
        (H, W) in [0, 1] of vessels, or by structure: calibres are measured in it.
    field_of_view : array_like, optional
        (H, W) bool: what can be seen.  By default what is found in a fundus picture,
        else everything.
    scale : float or pair of float, optional
        Millimetres of a pixel: of rows and columns, which must be equal.
    disc_mm : float, optional
        Diameter that the optic disc is taken for, usually 1.8 mm; without a scale it
        makes millimetres, and the table says so.
    disc : tuple of float, optional
        (row, column, diameter) of the optic disc in pixels, where it is not labelled.
    fovea : tuple of float, optional
        (row, column) in pixels; by default found in the picture.
    eye : {"left", "right"}, optional
        By default told by disc and fovea.
    regions : iterable of str, optional
        Of ``"field"``, ``"etdrs"`` (rings and their quadrants around the fovea),
        ``"quadrants"`` (around the fovea), ``"zones"`` (A, B, C around the disc); by
        default the field and whatever is known enough to be laid out.
    pieces : bool
        Whether each piece and each segment of a vessel has rows of its own.
    name : str
        What the table calls the image.

    Returns
    -------
    Table
        One value a row; lengths and areas in each unit that is known.  A value is
        missing, with the reason, where less than half of its region is in view.

    Raises
    ------
    PromptError
        If arrays differ in shape, an option is unknown, or pixels are not square.

    Examples
    --------
    >>> table = measure(mask, names="vessel")  # doctest: +SKIP
    >>> table.value(measure="calibre median", unit="pixel")  # doctest: +SKIP
    """
    if kind not in KINDS:
        raise PromptError(f"There is no kind {kind!r}; there are {', '.join(KINDS)}.")
    masks, shape = _masks(labels, names)
    picture = _picture(image, shape)
    view, view_name = _view(field_of_view, picture, kind, shape)
    masks = {called: mask & view for called, mask in masks.items()}
    subject = Subject(masks, view, picture, _probabilities(probability, masks, shape))
    landmarks = _landmarks(subject, kind, view_name, scale, disc_mm, disc, fovea, eye)
    asked = _grids(regions, landmarks, kind)
    places = [
        region for grid in asked for region in grid_regions(grid, view, landmarks)
    ]
    rows = _rows(subject, kind, landmarks, places, pieces)
    return Table(_written(rows, landmarks.units, name))


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured, checked and within what can be seen.

    Attributes
    ----------
    masks : dict
        (H, W) bool by structure.
    view : ndarray
        (H, W) bool.
    picture : ndarray or None
        (H, W) or (H, W, 3) with its own values.
    probabilities : dict
        (H, W) by structure, of those that have one.
    """

    masks: dict[str, Mask]
    view: Mask
    picture: NDArray[Any] | None = None
    probabilities: dict[str, NDArray[np.floating]] = field(default_factory=dict)

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


Found = tuple[str, Region, Quantity]


def _rows(
    subject: Subject,
    kind: Kind,
    landmarks: Landmarks,
    places: Sequence[Region],
    pieces: bool,
) -> Iterator[Found]:
    whole = Region(landmarks.view_name, subject.view)
    yield from _of_landmarks(landmarks, whole)
    masks = dict(subject.masks)
    if kind == "fundus":
        arteries, veins = subject.of("artery"), subject.of("vein")
        if arteries and veins and not subject.of("vessel"):
            both = subject.union("artery", "vein")
            assert both is not None
            masks["vessel"] = both
    completed = _completed(subject)
    trees: dict[Role, Vessels] = {}
    for name, mask in masks.items():
        role = role_of(name) if kind != "any" else "other"
        if kind == "fundus" and role in _VESSELS:
            probability = subject.probabilities.get(name)
            tree = trace_vessels(mask, probability, subject.brightness)
            vessels = trees[role] = Vessels(mask, tree)
            for place in places:
                for quantity in place.tell(measure_vessels(vessels, place)):
                    yield name, place, quantity
            if pieces:
                for quantity in measure_segments(vessels):
                    yield name, whole, quantity
            continue
        if kind == "fundus" and role in ("disc", "cup"):
            mask = completed[role]
        parts = Pieces(mask)
        is_lesion = kind == "fundus" and role == "lesion"
        for place in places:
            found = list(measure_class(parts, place, subject.picture))
            if is_lesion:
                found += measure_lesions(parts, place, landmarks)
            for quantity in place.tell(found):
                yield name, place, quantity
        own = list(measure_shape(parts))
        if kind == "fundus" and role == "disc":
            cup = completed.get("cup")
            own += measure_disc(mask, cup, subject.view, landmarks.eye)
        if pieces and (is_lesion or parts.count > 1):
            own += measure_pieces(parts, subject.picture)
            if is_lesion:
                own += measure_each_lesion(parts, landmarks)
        for quantity in own:
            yield name, whole, quantity
    if kind == "fundus":
        for quantity in _equivalents(trees, landmarks):
            yield "vessel", whole, quantity
    if kind == "chest":
        for name, quantity in _chest(subject):
            yield name, whole, quantity


def _completed(subject: Subject) -> dict[Role, Mask]:
    """Return disc and cup with what lies over them, of those that are labelled."""
    vessels, cup = subject.union(*_VESSELS), subject.union("cup")
    found: dict[Role, Mask] = {}
    if cup is not None:
        cup = found["cup"] = whole_disc(cup, None, vessels)
    disc = subject.union("disc")
    if disc is not None:
        found["disc"] = whole_disc(disc, cup, vessels)
    return found


def _of_landmarks(landmarks: Landmarks, whole: Region) -> Iterator[Found]:
    """Say what regions and units were laid out by."""
    if landmarks.disc is not None:
        disc = landmarks.disc
        for axis, at in zip(("row", "column"), disc.centre, strict=True):
            place = Quantity(f"centre {axis}", at, unit="pixel", method=disc.source)
            yield "optic disc", whole, place
        said = f"circle of the same area, {disc.source}"
        yield "optic disc", whole, Quantity("diameter", disc.diameter, 1, method=said)
    if landmarks.fovea is not None:
        for axis, at in zip(("row", "column"), landmarks.fovea, strict=True):
            said = landmarks.fovea_source
            yield "fovea", whole, Quantity(axis, at, unit="pixel", method=said)


def _equivalents(
    trees: Mapping[Role, Vessels], landmarks: Landmarks
) -> Iterator[Quantity]:
    if "artery" not in trees or "vein" not in trees:
        return
    values, reasons = {}, {}
    method = "Knudtson 2003, six widest vessels in zone B"
    for name, role, coefficient in (("CRAE", "artery", ARTERY), ("CRVE", "vein", VEIN)):
        value, reason = float("nan"), landmarks.no_disc
        if landmarks.disc is not None:
            tree = trees[role].tree  # type: ignore[index]
            value, reason = zone_equivalent(tree, landmarks.disc, coefficient)
        values[name], reasons[name] = value, reason
        yield known(name, value, reason, power=1, method=method)
    reason = reasons["CRAE"] or reasons["CRVE"]
    ratio = values["CRAE"] / values["CRVE"]
    yield known("AVR", ratio, reason, unit="ratio", method=method)


def _chest(subject: Subject) -> Iterator[tuple[str, Quantity]]:
    right, left = subject.union("right lung"), subject.union("left lung")
    lungs = subject.union("lungs")
    if (right is None or left is None) and lungs is not None:
        sides = two_lungs(lungs)
        if sides is not None:
            right, left = sides
    if right is None or left is None:
        return
    for quantity in measure_lungs(right, left):
        yield "lung", quantity
    heart = subject.union("heart")
    if heart is not None:
        for quantity in measure_heart(heart, right, left):
            yield "heart", quantity


def _written(found: Iterable[Found], units: Units, image: str) -> Iterator[Row]:
    for structure, region, quantity in found:
        for value, unit, method in units.of_quantity(quantity):
            yield Row(
                image,
                structure,
                quantity.piece,
                region.name,
                quantity.measure,
                value,
                unit,
                region.share,
                method,
                quantity.reason,
                __version__,
            )


def _masks(
    labels: Labels, names: Mapping[int, str] | str | None
) -> tuple[dict[str, Mask], tuple[int, int]]:
    """Return a mask a structure, by name in the order of values, and their shape."""
    if isinstance(labels, Mapping):
        masks = {name: np.asarray(mask) != 0 for name, mask in labels.items()}
        shapes = {_plane_of(mask) for mask in masks.values()}
        if len(shapes) != 1:
            raise PromptError(
                "The masks differ in shape." if shapes else "There is no mask."
            )
        return masks, shapes.pop()
    array = np.asarray(labels)
    shape = _plane_of(array)
    if array.dtype.kind not in "bui":
        raise PromptError(
            f"Labels are whole numbers, not values of type {array.dtype}: cut a "
            "probability first."
        )
    if isinstance(names, str):
        return {names: array != 0}, shape
    called = dict(names or {})
    if array.dtype == np.bool_:
        return {called.get(1, "label 1"): array}, shape
    if array.min() >= 0 and array.max() < 1 << 16:
        values = np.flatnonzero(np.bincount(array.ravel()))
    else:
        values = np.unique(array)
    masks = {}
    for value in sorted({*values.tolist(), *called} - {0}):
        name = called.get(value) or f"label {value}"
        mask = array == value
        masks[name] = masks[name] | mask if name in masks else mask
    return masks, shape


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
    kind: Kind,
    shape: tuple[int, ...],
) -> tuple[Mask, str]:
    """Return what can be seen and what it is called."""
    if given is not None:
        view = np.asarray(given) != 0
        if view.shape != shape:
            raise PromptError("The field of view has another size than the labels.")
        return view, "field of view"
    if picture is not None and kind == "fundus":
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
        own = [name for name in masks if role_of(name) in _VESSELS]
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


def _landmarks(
    subject: Subject,
    kind: Kind,
    view_name: str,
    scale: float | Sequence[float] | None,
    disc_mm: float | None,
    disc: tuple[float, float, float] | None,
    fovea: Point | None,
    eye: Eye | None,
) -> Landmarks:
    mm = _square(scale)
    if disc_mm is not None and not disc_mm > 0:
        raise PromptError("The disc's diameter in millimetres must be above 0.")
    if eye not in (None, "left", "right"):
        raise PromptError(f"An eye is left or right, not {eye!r}.")
    if kind != "fundus":
        return Landmarks(Units.of(mm), view_name)
    found: Disc | None = None
    if disc is not None:
        row, column, diameter = map(float, disc)
        if not diameter > 0:
            raise PromptError("The disc's diameter must be above 0.")
        found = Disc((row, column), diameter)
    else:
        mask = _completed(subject).get("disc")
        found = None if mask is None else Disc.of(mask)
    units = Units.of(mm, found.diameter if found else None, disc_mm)
    source = "given"
    if fovea is None and found is not None and subject.brightness is not None:
        fovea = find_fovea(subject.brightness, subject.view, found, eye)
        source = "found: the darkest spot at its usual distance from the disc"
    elif fovea is not None:
        fovea = float(fovea[0]), float(fovea[1])
    if eye is None and found is not None and fovea is not None:
        eye = eye_of(found.centre, fovea)
    return Landmarks(units, view_name, found, fovea, eye, source)


def _square(scale: float | Sequence[float] | None) -> float | None:
    if scale is None:
        return None
    sides = np.atleast_1d(np.asarray(scale, float))
    if sides.size > 2 or not (np.isfinite(sides).all() and (sides > 0).all()):
        raise PromptError("A scale is one or two lengths of a pixel in millimetres.")
    if np.ptp(sides) > 0.005 * sides.max():
        raise PromptError(
            "Pixels are not square, so that lengths depend on direction: resample the "
            "labels to square pixels first."
        )
    return float(sides.mean())


def _grids(asked: Iterable[str] | None, landmarks: Landmarks, kind: Kind) -> list[str]:
    if asked is not None:
        given = [asked] if isinstance(asked, str) else list(asked)
        unknown = [grid for grid in given if grid not in GRIDS]
        if unknown:
            known_ones = ", ".join(GRIDS)
            raise PromptError(f"There are no regions {unknown[0]!r}, but {known_ones}.")
        return given
    if kind != "fundus":
        return [FIELD]
    chosen = [FIELD]
    if landmarks.fovea is not None:
        chosen += [ETDRS] if landmarks.units.millimetre else []
        chosen += [QUADRANTS]
    if landmarks.disc is not None:
        chosen += [ZONES]
    return chosen
