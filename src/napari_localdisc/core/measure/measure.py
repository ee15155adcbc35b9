"""Labels → a table: `measure`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from numpy.typing import ArrayLike

from napari_localdisc.core.version import __version__

from .chest import measure_heart, measure_lungs
from .disc import measure_disc
from .equivalents import ARTERY, VEIN, zone_equivalent
from .examined import KINDS, Examined, Kind, examine
from .grids import ZONES, Region, grid_regions
from .landmarks import Eye, Landmarks, Point
from .lesions import measure_each_lesion, measure_lesions
from .quantities import Quantity, known
from .regions import measure_class, measure_pieces, measure_shape
from .structures import Role
from .subject import Labels
from .table import Row, Table
from .tree import VesselTree
from .units import Units
from .vessels import measure_segments, measure_vessels

__all__ = ["KINDS", "Kind", "measure", "tabulate"]


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
    examined = examine(
        labels,
        kind,
        names=names,
        image=image,
        probability=probability,
        field_of_view=field_of_view,
        scale=scale,
        disc_mm=disc_mm,
        disc=disc,
        fovea=fovea,
        eye=eye,
        regions=regions,
    )
    return tabulate(examined, pieces=pieces, name=name)


def tabulate(examined: Examined, *, pieces: bool = True, name: str = "") -> Table:
    """Measure what was examined.

    Parameters
    ----------
    examined : Examined
        From `examine`.
    pieces, name
        As of `measure`.

    Returns
    -------
    Table
    """
    rows = _rows(examined, pieces)
    return Table(_written(rows, examined.landmarks.units, name))


Found = tuple[str, Region, Quantity]


def _rows(examined: Examined, pieces: bool) -> Iterator[Found]:
    whole, landmarks = examined.whole, examined.landmarks
    if examined.kind == "fundus":
        yield from _of_landmarks(landmarks, whole)
        yield from _of_vessels(examined, pieces)
    picture = examined.subject.picture
    for name, parts in examined.pieces.items():
        role = examined.role(name)
        for place in examined.regions:
            found = list(measure_class(parts, place, picture))
            if role == "lesion":
                found += measure_lesions(parts, place, landmarks)
            for quantity in place.tell(found):
                yield name, place, quantity
        own = list(measure_shape(parts))
        if role == "disc":
            cup = examined.mask_of("cup")
            own += measure_disc(parts.mask, cup, whole.inside, landmarks.eye)
        if pieces and (role == "lesion" or parts.count > 1):
            own += measure_pieces(parts, picture)
        if pieces and role == "lesion":
            own += measure_each_lesion(parts, landmarks)
        for quantity in own:
            yield name, whole, quantity
    if examined.kind == "chest":
        for name, quantity in _chest(examined):
            yield name, whole, quantity


def _of_vessels(examined: Examined, pieces: bool) -> Iterator[Found]:
    trees: dict[Role, VesselTree] = {}
    for name, vessels in examined.vessels.items():
        trees[examined.role(name)] = vessels.tree
        for place in examined.regions:
            for quantity in place.tell(measure_vessels(vessels, place)):
                yield name, place, quantity
        for quantity in measure_segments(vessels) if pieces else ():
            yield name, examined.whole, quantity
    if "artery" in trees and "vein" in trees:
        zones = grid_regions(ZONES, examined.subject.view, examined.landmarks)
        (zone,) = (region for region in zones if region.name == "zone B")
        for quantity in zone.tell(_equivalents(trees, examined.landmarks)):
            yield "vessel", zone, quantity


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


def _chest(examined: Examined) -> Iterator[tuple[str, Quantity]]:
    if examined.lungs is None:
        return
    right, left = examined.lungs
    for quantity in measure_lungs(right, left):
        yield "lung", quantity
    heart = examined.subject.union("heart")
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
