"""Labels → a table: `measure`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

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
from .subject import VESSELS, Labels, Subject
from .table import Row, Table
from .tree import VesselTree, trace_vessels
from .units import Units
from .vessels import Vessels, measure_segments, measure_vessels

Kind = Literal["fundus", "chest", "any"]
KINDS: tuple[Kind, ...] = ("fundus", "chest", "any")
Mask = NDArray[np.bool_]


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
    subject = Subject.checked(
        labels, names, image, probability, field_of_view, kind == "fundus"
    )
    landmarks = _landmarks(subject, kind, scale, disc_mm, disc, fovea, eye)
    asked = _grids(regions, landmarks, kind)
    places = [
        region
        for grid in asked
        for region in grid_regions(grid, subject.view, landmarks)
    ]
    rows = _rows(subject, kind, landmarks, places, pieces)
    return Table(_written(rows, landmarks.units, name))


Found = tuple[str, Region, Quantity]


def _rows(
    subject: Subject,
    kind: Kind,
    landmarks: Landmarks,
    places: Sequence[Region],
    pieces: bool,
) -> Iterator[Found]:
    whole = Region(landmarks.view_name, subject.view)
    if kind == "fundus":
        yield from _of_landmarks(landmarks, whole)
        yield from _of_vessels(subject, landmarks, places, whole, pieces)
    completed = _completed(subject)
    for name, mask in subject.masks.items():
        role = role_of(name) if kind == "fundus" else "other"
        if role in VESSELS:
            continue
        parts = Pieces(completed.get(role, mask))
        for place in places:
            found = list(measure_class(parts, place, subject.picture))
            if role == "lesion":
                found += measure_lesions(parts, place, landmarks)
            for quantity in place.tell(found):
                yield name, place, quantity
        own = list(measure_shape(parts))
        if role == "disc":
            cup = completed.get("cup")
            own += measure_disc(parts.mask, cup, subject.view, landmarks.eye)
        if pieces and (role == "lesion" or parts.count > 1):
            own += measure_pieces(parts, subject.picture)
        if pieces and role == "lesion":
            own += measure_each_lesion(parts, landmarks)
        for quantity in own:
            yield name, whole, quantity
    if kind == "chest":
        for name, quantity in _chest(subject):
            yield name, whole, quantity


def _of_vessels(
    subject: Subject,
    landmarks: Landmarks,
    places: Sequence[Region],
    whole: Region,
    pieces: bool,
) -> Iterator[Found]:
    """Measure vessels of each kind; arteries and veins together are vessels as well."""
    masks = subject.of(*VESSELS)
    both = subject.union("artery", "vein")
    kinds = {role_of(name) for name in masks}
    if both is not None and kinds == {"artery", "vein"}:
        masks["vessel"] = both
    trees: dict[Role, VesselTree] = {}
    for name, mask in masks.items():
        probability = subject.probabilities.get(name)
        tree = trace_vessels(mask, probability, subject.brightness)
        trees[role_of(name)] = tree
        vessels = Vessels(mask, tree)
        for place in places:
            for quantity in place.tell(measure_vessels(vessels, place)):
                yield name, place, quantity
        for quantity in measure_segments(vessels) if pieces else ():
            yield name, whole, quantity
    if "artery" in trees and "vein" in trees:
        zones = grid_regions(ZONES, subject.view, landmarks)
        (zone,) = (region for region in zones if region.name == "zone B")
        for quantity in zone.tell(_equivalents(trees, landmarks)):
            yield "vessel", zone, quantity


def _completed(subject: Subject) -> dict[Role, Mask]:
    """Return disc and cup with what lies over them, of those that are labelled."""
    vessels, cup = subject.union(*VESSELS), subject.union("cup")
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
    trees: Mapping[Role, VesselTree], landmarks: Landmarks
) -> Iterator[Quantity]:
    values, reasons = {}, {}
    method = "Knudtson 2003, six widest vessels in zone B"
    kinds: tuple[tuple[str, Role, float], ...] = (
        ("CRAE", "artery", ARTERY),
        ("CRVE", "vein", VEIN),
    )
    for name, role, coefficient in kinds:
        value, reason = float("nan"), landmarks.no_disc
        if landmarks.disc is not None:
            value, reason = zone_equivalent(trees[role], landmarks.disc, coefficient)
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


def _landmarks(
    subject: Subject,
    kind: Kind,
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
        return Landmarks(Units.of(mm), subject.view_name)
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
    return Landmarks(units, subject.view_name, found, fovea, eye, source)


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
