"""Structures that follow from others: found in an image, not by a network's channel.

The fovea lies where it must beside the optic disc, the cup is the disc's bright middle.
To add one, write its module and enter it in `DERIVED`: a model whose card names what it
is found by offers it beside its own, in panel, command line and folders.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]

Find = Callable[[FloatImage, Mask, Mapping[str, FloatImage]], FloatImage]
"""(h, w, 3) colour in [0, 1], (h, w) field of view and (h, w) presence of what it is
found by, on the working grid → (h, w) in [0, 1]."""


@dataclass(frozen=True)
class Derived:
    """A structure that follows from others.

    Attributes
    ----------
    name : str
        As a model's card would name it; a card that does has a channel for it.
    of : tuple of str
        Structures that it is found by.
    find : callable
        See `Find`.
    is_region : bool
        Whether it is a cluster of its own.
    """

    name: str
    of: tuple[str, ...]
    find: Find
    is_region: bool = False


def _call(module: str, function: str, *given: Any) -> Any:
    """Call a function of a module of this package, which is imported only now."""
    return getattr(import_module(f".{module}", __package__), function)(*given)


def _union(rgb: FloatImage, inside: Mask, of: Mapping[str, FloatImage]) -> FloatImage:
    return reduce(np.maximum, of.values())


DERIVED = {
    row.name: row
    for row in (
        Derived(
            "fovea",
            ("optic disc", "vessel"),
            partial(_call, "fovea", "fovea_map"),
            is_region=True,
        ),
        Derived("optic cup", ("optic disc",), partial(_call, "cup", "cup_map")),
        Derived("bright lesion", ("hard exudate", "cotton wool spot"), _union),
        Derived("dark lesion", ("haemorrhage", "microaneurysm"), _union),
    )
}


def derived_from(named: Collection[str]) -> dict[str, Derived]:
    """Return the structures that follow from those that a card names."""
    return {
        name: row
        for name, row in DERIVED.items()
        if name not in named and set(row.of) <= set(named)
    }


def every_structure(named: Collection[str]) -> tuple[str, ...]:
    """Return the names that can be asked for: a card's own, then what follows."""
    return (*named, *derived_from(named))
