"""Lesions: how many, how large, where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .grids import Region
from .landmarks import Landmarks
from .quantities import Quantity, known
from .regions import Pieces

Floats = NDArray[np.float64]

_FOVEA, _DISC = "distance to the fovea", "distance to the disc"
_METHODS = {
    _FOVEA: "from the centre of mass",
    _DISC: "from the centre of mass to the disc's circle, 0 within",
}


def measure_lesions(
    pieces: Pieces, region: Region, landmarks: Landmarks
) -> Iterator[Quantity]:
    """Yield count, largest and distances of the pieces in a region.

    A piece is in the region where its centre of mass is, which may lie beside a bent
    piece.

    Parameters
    ----------
    pieces : Pieces
        Of a kind of lesion.
    region : Region
        Where.
    landmarks : Landmarks
        Fovea and disc.
    """
    here = region.contains(pieces.centres)
    count = float(np.count_nonzero(here))
    yield Quantity("count", count, unit="count", method="pieces of 8 neighbours")
    largest = float(pieces.areas[here].max()) if here.any() else np.nan
    none = "no lesion there"
    yield known("largest area", largest, none, power=2, method="pixels counted")
    for name, (values, reason) in _distances(pieces, landmarks).items():
        for kind, of in (("nearest", np.min), ("mean", np.mean)):
            usable = here.any() and not reason
            yield known(
                f"{kind} {name}",
                float(of(values[here])) if usable else np.nan,
                reason or none,
                power=1,
                method=_METHODS[name],
            )


def measure_each_lesion(pieces: Pieces, landmarks: Landmarks) -> Iterator[Quantity]:
    """Yield the distances of each piece, numbered from 1."""
    distances = _distances(pieces, landmarks)
    for index in range(pieces.count):
        for name, (values, reason) in distances.items():
            yield known(
                name,
                float(values[index]),
                reason,
                power=1,
                method=_METHODS[name],
                piece=index + 1,
            )


def _distances(pieces: Pieces, landmarks: Landmarks) -> dict[str, tuple[Floats, str]]:
    """Return distances of the pieces in pixels, and why they are missing."""
    missing = np.full(pieces.count, np.nan)
    found = {
        _FOVEA: (missing, landmarks.no_fovea),
        _DISC: (missing, landmarks.no_disc),
    }
    if landmarks.fovea is not None:
        away = np.hypot(*(pieces.centres - landmarks.fovea).T)
        found[_FOVEA] = (away, "")
    if landmarks.disc is not None:
        away = np.hypot(*(pieces.centres - landmarks.disc.centre).T)
        beyond = np.maximum(away - landmarks.disc.diameter / 2, 0)
        found[_DISC] = (beyond, "")
    return found
