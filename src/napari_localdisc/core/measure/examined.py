"""What is measured, and what its numbers and drawings are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.core.errors import PromptError

from .chest import two_lungs
from .disc import whole_disc
from .grids import ETDRS, FIELD, GRIDS, QUADRANTS, ZONES, Region, grid_regions
from .landmarks import Disc, Eye, Landmarks, Point, eye_of, find_fovea
from .regions import Pieces
from .structures import Role, role_of
from .subject import VESSELS, Labels, Subject
from .tree import trace_vessels
from .units import Units
from .vessels import Vessels

Kind = Literal["fundus", "chest", "any"]
KINDS: tuple[Kind, ...] = ("fundus", "chest", "any")
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Examined:
    """Labels that were checked, and what is made of them once.

    Attributes
    ----------
    subject : Subject
        Masks, what can be seen, picture, probabilities.
    kind : {"fundus", "chest", "any"}
        What names of classes mean.
    landmarks : Landmarks
        Disc, fovea, eye, units.
    regions : tuple of Region
        Where is measured.
    in_picture : bool
        Whether calibres are measured in the picture where there is no probability.
    before : Examined, optional
        An earlier state: what is made of masks that are the same is taken from it.
    """

    subject: Subject
    kind: Kind
    landmarks: Landmarks
    regions: tuple[Region, ...]
    in_picture: bool = True
    before: Examined | None = None

    @cached_property
    def whole(self) -> Region:
        """All that can be seen."""
        return Region(self.landmarks.view_name, self.subject.view)

    @cached_property
    def vessels(self) -> dict[str, Vessels]:
        """Vessels of each kind; arteries and veins together are vessels as well."""
        if self.kind != "fundus":
            return {}
        masks = self.subject.of(*VESSELS)
        both = self.subject.union("artery", "vein")
        kinds = {role_of(name) for name in masks}
        if both is not None and kinds == {"artery", "vein"}:
            masks["vessel"] = both
        return {name: self._trace(name, mask) for name, mask in masks.items()}

    def _trace(self, name: str, mask: Mask) -> Vessels:
        subject, before = self.subject, self.before
        probability = subject.probabilities.get(name)
        if before is not None and name in before.vessels:
            old = before.vessels[name]
            of_old = before.subject.probabilities.get(name)
            if (
                np.array_equal(old.mask, mask)
                and _alike(before.subject.picture, subject.picture)
                and _alike(of_old, probability)
                and before.in_picture == self.in_picture
            ):
                return old
        picture = subject.brightness if self.in_picture else None
        return Vessels(mask, trace_vessels(mask, probability, picture))

    @cached_property
    def pieces(self) -> dict[str, Pieces]:
        """What is no vessel, as pieces; disc and cup with what lies over them."""
        whole = completed(self.subject) if self.kind == "fundus" else {}
        found = {}
        for name, mask in self.subject.masks.items():
            role = self.role(name)
            if role not in VESSELS:
                found[name] = self._cut(name, whole.get(role, mask))
        return found

    def _cut(self, name: str, mask: Mask) -> Pieces:
        if self.before is not None and name in self.before.pieces:
            old = self.before.pieces[name]
            if np.array_equal(old.mask, mask):
                return old
        return Pieces(mask)

    def role(self, name: str) -> Role:
        """Return what a structure is to the measures."""
        if self.kind == "fundus":
            return role_of(name)
        return "other"

    def mask_of(self, role: Role) -> Mask | None:
        """(H, W) bool of the first structure of a role that is no vessel, if any."""
        names = (name for name in self.pieces if self.role(name) == role)
        name = next(names, None)
        return None if name is None else self.pieces[name].mask

    def region(self, name: str) -> Region:
        """Return the region of a name; of an unknown one all that can be seen."""
        return next((each for each in self.regions if each.name == name), self.whole)

    @cached_property
    def lungs(self) -> tuple[Mask, Mask] | None:
        """(H, W) right and left lung of a chest, where both are labelled."""
        subject = self.subject
        right, left = subject.union("right lung"), subject.union("left lung")
        lungs = subject.union("lungs")
        if (right is None or left is None) and lungs is not None:
            return two_lungs(lungs)
        return None if right is None or left is None else (right, left)

    def forget_before(self) -> None:
        """Make all that is asked for, and keep the earlier state no longer."""
        _ = self.vessels, self.pieces
        object.__setattr__(self, "before", None)


def examine(
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
    in_picture: bool = True,
    before: Examined | None = None,
) -> Examined:
    """Check what is to be measured, and find what it is laid out by.

    Parameters
    ----------
    labels, kind, names, image, probability, field_of_view, scale, disc_mm, disc, fovea
        As of `measure`.
    eye, regions
        As of `measure`.
    in_picture : bool
        Whether calibres are measured in the picture where there is no probability.
    before : Examined, optional
        The same image as it was before an edit: what did not change is not traced
        again.

    Returns
    -------
    Examined

    Raises
    ------
    PromptError
        As `measure`.
    """
    if kind not in KINDS:
        raise PromptError(f"There is no kind {kind!r}; there are {', '.join(KINDS)}.")
    subject = Subject.checked(
        labels, names, image, probability, field_of_view, kind == "fundus"
    )
    landmarks = _landmarks(subject, kind, scale, disc_mm, disc, fovea, eye)
    places = tuple(
        region
        for grid in _grids(regions, landmarks, kind)
        for region in grid_regions(grid, subject.view, landmarks)
    )
    examined = Examined(subject, kind, landmarks, places, in_picture, before)
    if before is not None:
        examined.forget_before()
    return examined


def _alike(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def completed(subject: Subject) -> dict[Role, Mask]:
    """Return disc and cup with what lies over them, of those that are labelled."""
    vessels, cup = subject.union(*VESSELS), subject.union("cup")
    found: dict[Role, Mask] = {}
    if cup is not None:
        cup = found["cup"] = whole_disc(cup, None, vessels)
    disc = subject.union("disc")
    if disc is not None:
        found["disc"] = whole_disc(disc, cup, vessels)
    return found


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
        mask = completed(subject).get("disc")
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
