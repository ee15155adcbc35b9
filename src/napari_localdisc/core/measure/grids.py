"""Where is measured: the field of view, ETDRS rings, quadrants, zones of the disc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .landmarks import Landmarks
from .quantities import Quantity

Mask = NDArray[np.bool_]
Point = tuple[float, float]

FIELD, ETDRS, QUADRANTS, ZONES = "field", "etdrs", "quadrants", "zones"
GRIDS = (FIELD, ETDRS, QUADRANTS, ZONES)
"""What can be asked for."""

LEAST_SHARE = 0.5
"""Of a region that must be in view for values of it to be told."""

ETDRS_RADII_MM = (0.5, 1.5, 3.0)
"""Of the three circles (Early Treatment Diabetic Retinopathy Study, report 10, 1991).
"""

ZONE_EDGES = {"zone A": (0.0, 0.5), "zone B": (0.5, 1.0), "zone C": (0.5, 2.0)}
"""In disc diameters from the disc's margin (Hubbard et al., Ophthalmology 106, 1999;
zone C: Cheung et al., Invest. Ophthalmol. Vis. Sci. 51, 2010)."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the image.

    Attributes
    ----------
    name : str
        What it is called.
    inside : ndarray
        (H, W) bool: what of it is in view.
    share : float
        How much of it is, in [0, 1].
    reason : str
        Why nothing can be told of it; empty: something can.
    """

    name: str
    inside: Mask
    share: float = 1.0
    reason: str = ""

    def contains(self, points: NDArray[np.float64]) -> Mask:
        """(n,) whether points (row, column) are in it, in view."""
        if not len(points):
            return np.zeros(0, bool)
        last = np.subtract(self.inside.shape, 1)
        rows, columns = np.clip(np.rint(points).astype(int), 0, last).T
        return np.asarray(self.inside[rows, columns])

    def tell(self, found: Iterable[Quantity]) -> Iterator[Quantity]:
        """Yield quantities, without their values where nothing can be told."""
        for quantity in found:
            if self.reason:
                yield replace(quantity, value=None, reason=self.reason)
            else:
                yield quantity


@dataclass(frozen=True)
class Sector:
    """A part of a ring.

    Attributes
    ----------
    centre : tuple of float
        (row, column) in pixels.
    inner, outer : float
        Radii in pixels; the outer one may be infinite.
    middle : float
        Its direction in degrees, from the right over the top; of a whole ring anything.
    span : float
        Degrees that it covers.
    """

    centre: Point
    inner: float
    outer: float
    middle: float = 0.0
    span: float = 360.0

    @property
    def area(self) -> float:
        """In pixels², beyond the image as well."""
        return float(np.pi * (self.outer**2 - self.inner**2) * self.span / 360)

    def pixels(self, shape: tuple[int, ...]) -> Mask:
        """(H, W) bool: the pixels whose centres are in it."""
        found = np.zeros(shape, bool)
        window = []
        for side, middle in zip(shape, self.centre, strict=True):
            low = max(0, int(max(middle - self.outer, 0)))
            window.append(slice(low, max(low, int(min(middle + self.outer + 2, side)))))
        rows, columns = np.ogrid[tuple(window)]
        up, right = self.centre[0] - rows, columns - self.centre[1]
        square = up**2 + right**2
        inside = (square >= self.inner**2) & (square < self.outer**2)
        if self.span < 360:
            angle = np.degrees(np.arctan2(up, right))
            inside &= (angle - self.middle + self.span / 2) % 360 < self.span
        found[tuple(window)] = inside
        return found


def grid_regions(grid: str, view: Mask, landmarks: Landmarks) -> Iterator[Region]:
    """Yield the regions of one of `GRIDS`.

    Parameters
    ----------
    grid : str
        Which.
    view : ndarray
        (H, W) bool: what can be seen.
    landmarks : Landmarks
        What is known of the image.
    """
    if grid == FIELD:
        yield Region(landmarks.view_name, view)
        return
    makers = {ETDRS: _etdrs, QUADRANTS: _quadrants, ZONES: _zones}
    missing, sectors = makers[grid](landmarks)
    for name, sector in sectors.items():
        if sector is None:
            yield Region(name, np.zeros(view.shape, bool), 0.0, missing)
            continue
        whole = sector.pixels(view.shape)
        seen = whole & view
        total = sector.area
        if not np.isfinite(total):  # a quarter of what is in view is all of it
            total = np.count_nonzero(view) * sector.span / 360
        share = min(1.0, np.count_nonzero(seen) / max(total, 1))
        region = Region(name, seen, share)
        if share < LEAST_SHARE:
            said = f"only {100 * share:.0f} % of the region is in view"
            region = replace(region, reason=said)
        yield region


Sectors = dict[str, Sector | None]


def _directions(landmarks: Landmarks) -> dict[str, float]:
    """Return the four quadrants' names and directions."""
    side = landmarks.eye
    if side is None:
        return {"superior": 90, "inferior": 270, "left": 180, "right": 0}
    nasal = 0 if side == "right" else 180
    return {"superior": 90, "inferior": 270, "nasal": nasal, "temporal": 180 - nasal}


def _etdrs(landmarks: Landmarks) -> tuple[str, Sectors]:
    fovea, size = landmarks.fovea, landmarks.units.millimetre
    missing = landmarks.no_fovea
    if fovea is not None and size is None:
        missing = (
            "the length of a millimetre is not known: give a scale, or say what the "
            "disc's diameter is taken for"
        )
    rings = zip(("inner", "outer"), ETDRS_RADII_MM, ETDRS_RADII_MM[1:], strict=False)
    sectors: Sectors = {"ETDRS centre": None}
    found = fovea is not None and size is not None
    if fovea is not None and size is not None:
        sectors["ETDRS centre"] = Sector(fovea, 0, ETDRS_RADII_MM[0] * size)
    for ring, inner, outer in rings:
        whole = None
        if fovea is not None and size is not None:
            whole = Sector(fovea, inner * size, outer * size)
        sectors[f"ETDRS {ring} ring"] = whole
        for name, middle in _directions(landmarks).items():
            part = None if whole is None else replace(whole, middle=middle, span=90)
            sectors[f"ETDRS {ring} {name}"] = part
    return ("" if found else missing), sectors


def _quadrants(landmarks: Landmarks) -> tuple[str, Sectors]:
    fovea = landmarks.fovea
    return landmarks.no_fovea, {
        f"{name} quadrant": fovea and Sector(fovea, 0, np.inf, middle, 90)
        for name, middle in _directions(landmarks).items()
    }


def _zones(landmarks: Landmarks) -> tuple[str, Sectors]:
    disc = landmarks.disc
    sectors: Sectors = dict.fromkeys(ZONE_EDGES)
    if disc is not None:
        for name, edges in ZONE_EDGES.items():
            inner, outer = ((0.5 + edge) * disc.diameter for edge in edges)
            sectors[name] = Sector(disc.centre, inner, outer)
    return landmarks.no_disc, sectors
