"""Plots of what was measured: calibres, density by ring, lesions by distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.colours import PALETTE

from .examined import Examined
from .landmarks import Point
from .units import DISC, MILLIMETRE, PIXEL, Length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

RINGS = 8
"""That density is told of, from the middle to the edge of what is in view."""

BINS = 24
"""Of the histogram of calibres at most."""

FEWEST_PIXELS = 50
"""In view that a ring must have for its density to be told."""


class Series(NamedTuple):
    """A bar a class of values.

    Attributes
    ----------
    name : str
        A structure.
    heights : ndarray
        (n,) of the bars.
    """

    name: str
    heights: Floats


@dataclass(frozen=True, eq=False)
class Plot:
    """Bars between edges.

    Attributes
    ----------
    title, across, up : str
        What it shows, and what its axes are.
    edges : ndarray
        (n + 1,) between the bars.
    series : tuple of Series
        A structure each.
    stacked : bool
        Whether bars stand upon each other, or are drawn as steps.
    """

    title: str
    across: str
    up: str
    edges: Floats
    series: tuple[Series, ...]
    stacked: bool = False

    def draw(self, axes: Axes, text: str, size: float = 9) -> None:
        """Draw it with matplotlib; text and axes in a colour, of a size in points."""
        bottom = np.zeros(len(self.edges) - 1)
        colours = PALETTE[:2] + PALETTE[3:]  # yellow is not seen on white
        wide = np.diff(self.edges)
        for series, colour in zip(self.series, colours, strict=False):
            if self.stacked or len(self.series) == 1:
                axes.bar(
                    self.edges[:-1],
                    series.heights,
                    wide,
                    bottom,
                    align="edge",
                    color=colour,
                    label=series.name,
                )
                bottom = bottom + np.nan_to_num(series.heights)
            else:
                axes.stairs(
                    series.heights,
                    self.edges,
                    color=colour,
                    linewidth=1.6,
                    label=series.name,
                )
        axes.set_xlabel(self.across, color=text, fontsize=size)
        axes.set_ylabel(self.up, color=text, fontsize=size)
        axes.set_title(
            self.title, color=text, fontsize=size, loc="left", fontweight="bold"
        )
        axes.set_facecolor("none")
        axes.tick_params(colors=text, labelsize=size)
        for name, side in axes.spines.items():
            side.set_visible(name in ("left", "bottom"))
            side.set_color(text)
        legend = axes.legend(frameon=False, fontsize=size, handlelength=1.2)
        for written in legend.get_texts():
            written.set_color(text)


def calibre_histogram(examined: Examined) -> Plot | None:
    """Tell how much length of vessels has which calibre.

    Parameters
    ----------
    examined : Examined
        With vessels, else there is none.

    Returns
    -------
    Plot or None
        Shares of the length, in percent; in millimetres' thousandths where known.
    """
    unit = _unit(examined, PIXEL)
    if unit.name == MILLIMETRE:
        unit = Length("µm", unit.pixels / 1000)
    known = {}
    for name, vessels in examined.vessels.items():
        tree = vessels.tree
        usable = np.isfinite(tree.calibre)
        if usable.any():
            known[name] = tree.calibre[usable] / unit.pixels, tree.length[usable]
    if not known:
        return None
    most = max(float(np.quantile(values, 0.995)) for values, _ in known.values())
    edges = _even_edges(most, BINS)
    series = []
    for name, (values, length) in known.items():
        bars, _ = np.histogram(np.minimum(values, most), edges, weights=length)
        series.append(Series(name, 100 * bars / length.sum()))
    across = f"calibre in {_plural(unit.name)}"
    return Plot("Calibre", across, "% of the length", edges, tuple(series))


def density_by_ring(examined: Examined) -> Plot | None:
    """Tell the share that vessels cover by the distance from the fovea.

    Where that is not known, from the disc; else from the middle of what is in view.

    Returns
    -------
    Plot or None
        In percent; a ring that is hardly in view has no bar.
    """
    if not examined.vessels:
        return None
    view = examined.subject.view
    centre, called = _centre(examined)
    down, right = (
        np.square(np.arange(side, dtype=np.float32) - at)
        for side, at in zip(view.shape, centre, strict=True)
    )
    away = np.sqrt(down[:, None] + right).astype(np.int32)  # whole pixels
    seen = np.bincount(away[view])
    if not len(seen):
        return None
    unit = _unit(examined, DISC)
    far = np.searchsorted(np.cumsum(seen), 0.99 * seen.sum()) + 1
    edges = _even_edges(far / unit.pixels, RINGS)
    ring = np.digitize((np.arange(len(seen)) + 0.5) / unit.pixels, edges) - 1

    def by_ring(pixels: NDArray[np.intp]) -> Floats:
        found = np.bincount(ring[: len(pixels)], pixels, len(edges))
        return np.asarray(found[: len(edges) - 1])

    total = by_ring(seen)
    series = []
    for name, vessels in examined.vessels.items():
        covered = by_ring(np.bincount(away[vessels.mask]))
        share = np.where(
            total >= FEWEST_PIXELS, 100 * covered / np.maximum(total, 1), 0
        )
        series.append(Series(name, share))
    across = f"distance from {called} in {_plural(unit.name)}"
    return Plot("Density by ring", across, "% covered", edges, tuple(series))


def lesions_by_distance(examined: Examined) -> Plot | None:
    """Tell how many lesions lie how far from the fovea, or from where density is told.

    Returns
    -------
    Plot or None
        Counts of pieces.
    """
    centre, called = _centre(examined)
    unit = _unit(examined, DISC)
    away = {
        name: np.hypot(*(pieces.centres - centre).T) / unit.pixels
        for name, pieces in examined.pieces.items()
        if examined.role(name) == "lesion" and pieces.count
    }
    if not away:
        return None
    edges = _even_edges(max(float(values.max()) for values in away.values()), 12)
    series = tuple(
        Series(name, np.histogram(values, edges)[0].astype(float))
        for name, values in away.items()
    )
    across = f"distance from {called} in {_plural(unit.name)}"
    return Plot("Lesions by distance", across, "lesions", edges, series, stacked=True)


PLOTS: dict[str, Callable[[Examined], Plot | None]] = {
    "calibre": calibre_histogram,
    "density by ring": density_by_ring,
    "lesions by distance": lesions_by_distance,
}
"""Names and makers of plots; None where there is nothing to show."""


def every_plot(examined: Examined) -> dict[str, Plot]:
    """Make the plots that there is something to show in."""
    made = {name: make(examined) for name, make in PLOTS.items()}
    return {name: plot for name, plot in made.items() if plot is not None}


def _centre(examined: Examined) -> tuple[Point, str]:
    landmarks = examined.landmarks
    if landmarks.fovea is not None:
        return landmarks.fovea, "the fovea"
    if landmarks.disc is not None:
        return landmarks.disc.centre, "the disc's centre"
    rows, columns = (
        np.flatnonzero(examined.subject.view.any(axis=axis)) for axis in (1, 0)
    )
    if not len(rows):
        return (0.0, 0.0), "the corner"
    middle = (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2
    return (float(middle[0]), float(middle[1])), "the middle"


def _unit(examined: Examined, otherwise: str) -> Length:
    """Return millimetres where they are known, else another unit, else pixels."""
    lengths = {length.name: length for length in examined.landmarks.units.lengths}
    for name in (MILLIMETRE, otherwise):
        if name in lengths:
            return lengths[name]
    return lengths[PIXEL]


def _plural(unit: str) -> str:
    return unit if unit in (MILLIMETRE, "µm") else f"{unit}s"


def _even_edges(most: float, bins: int) -> Floats:
    """Return edges at round numbers, from 0 to at least the largest value."""
    rough = max(most, 1e-6) / bins
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(f * power for f in (1.0, 2.0, 2.5, 5.0, 10.0) if f * power >= rough)
    count = max(1, int(np.ceil(most / step - 1e-9)))
    return np.asarray(np.arange(count + 1) * step)
