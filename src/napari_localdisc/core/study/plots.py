"""Pictures of how two graders agree, drawn without a window."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from napari_localdisc.core.files import new_file

from .graders import BlandAltman

COLUMNS = 3
_POINT, _LINE = "#0072b2", "#d55e00"  # told apart by colour-blind eyes


def draw_bland_altman(axes: Any, found: BlandAltman, ink: str = "black") -> None:
    """Draw differences over means, their bias and limits of agreement.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Cleared first.
    found : BlandAltman
        With one pair at least.
    ink : str
        Colour of text and frame.
    """
    axes.clear()
    axes.axhline(0, color=ink, linewidth=0.5, alpha=0.4)
    axes.plot(found.means, found.differences, "o", color=_POINT, markersize=4)
    levels = [(found.bias, "-")]
    levels += [(limit, "--") for limit in found.limits or ()]
    for level, style in levels:
        axes.axhline(level, color=_LINE, linewidth=1, linestyle=style)
        axes.annotate(
            f"{level:.3g}",
            (1, level),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7,
            color=ink,
        )
    axes.margins(y=0.2)
    unit = f" ({found.unit})" if found.unit else ""
    axes.set_title(found.title, fontsize=9, color=ink)
    axes.set_xlabel(f"mean of both{unit}", fontsize=8, color=ink)
    axes.set_ylabel("first − second", fontsize=8, color=ink)
    axes.tick_params(labelsize=7, colors=ink)
    for spine in axes.spines.values():
        spine.set_color(ink)


def save_bland_altman(path: Path, found: Sequence[BlandAltman]) -> None:
    """Write a PNG of one plot a measure.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = ceil(len(found) / COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 3 * rows), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for place, each in enumerate(found, 1):
        draw_bland_altman(figure.add_subplot(rows, COLUMNS, place), each)
    with new_file(path) as temporary, temporary.open("wb") as file:
        canvas.print_png(file)
