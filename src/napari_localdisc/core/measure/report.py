"""A page about one image: picture with outlines, numbers, plots, settings."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_localdisc.core.colours import PALETTE
from napari_localdisc.core.files import new_file
from napari_localdisc.core.version import __version__

from .evidence import outline
from .examined import Examined
from .plots import Plot, every_plot
from .table import Row, value_text

LARGEST = 1400
"""Pixels of the picture's longer side in a report."""

_QUALITY = 88
_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 24px auto; max-width: 1080px;
       padding: 0 16px; color: #1b1b1b; background: #fff; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 20px 0 4px; }
h3 { font-size: 14px; margin: 12px 0 2px; }
.top { display: flex; gap: 20px; align-items: flex-start; flex-wrap: wrap; }
.top img { width: 620px; max-width: 100%; } .plots { width: 420px; }
.plots svg { width: 100%; height: auto; }
table { border-collapse: collapse; margin: 4px 0; font-size: 13px; }
th, td { text-align: right; padding: 1px 10px 1px 0; border-bottom: 1px solid #ddd;
         vertical-align: bottom; font-weight: normal; }
th:first-child, .made td { text-align: left; } tr:first-child th { color: #555; }
.small { color: #555; font-size: 11px; margin: 2px 0; }
.key span { display: inline-block; width: 12px; height: 12px; margin: 0 4px 0 12px; }
@media print { body { margin: 0; font-size: 11px; } .top img { width: 52%; }
               .plots { width: 44%; } table { font-size: 9px; } }
"""


def write_report(
    path: Path,
    examined: Examined,
    rows: Iterable[Row],
    *,
    title: str,
    settings: Mapping[str, str],
    colours: Mapping[str, str] | None = None,
) -> None:
    """Write a page that needs no other file.

    Parameters
    ----------
    path : Path
        Ends with .html; the file appears whole or not at all.
    examined : Examined
        What was measured: its picture, outlines and plots are shown.
    rows : iterable of Row
        The numbers.
    title : str
        The image's name.
    settings : mapping of str to str
        What else made the numbers: the model, a scale.
    colours : mapping of str to str, optional
        ``#rrggbb`` of structures' outlines.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    text = report(examined, rows, title=title, settings=settings, colours=colours)
    with new_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def report(
    examined: Examined,
    rows: Iterable[Row],
    *,
    title: str,
    settings: Mapping[str, str],
    colours: Mapping[str, str] | None = None,
) -> str:
    """Return the page of `write_report` as HTML."""
    masks = _masks(examined)
    own = dict(colours or {})
    inks = {
        name: own.get(name) or PALETTE[index % len(PALETTE)]
        for index, name in enumerate(masks)
    }
    key = "".join(
        f'<span style="background:{escape(ink)}"></span>{escape(name)}'
        for name, ink in inks.items()
    )
    picture = _outlined(examined, masks, inks)
    plots = "".join(_svg(plot) for plot in every_plot(examined).values())
    said = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in {**settings, "napari-localdisc": __version__}.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>"
        '<p class="small">Measures of labels. No medical device: not for diagnosis.</p>'
        f'<div class="top"><div><img alt="Picture with outlines" src="{picture}">'
        f'<p class="key">{key}</p></div><div class="plots">{plots}</div></div>'
        f"<h2>Numbers</h2>{_tables(rows)}"
        f'<h2>Made with</h2><table class="made">{said}</table></html>\n'
    )


def _masks(examined: Examined) -> dict[str, NDArray[np.bool_]]:
    vessels = {name: each.mask for name, each in examined.vessels.items()}
    return vessels | {name: each.mask for name, each in examined.pieces.items()}


def _outlined(
    examined: Examined,
    masks: Mapping[str, NDArray[np.bool_]],
    inks: Mapping[str, str],
) -> str:
    """Return the picture with outlines, as the address of a JPEG within the page."""
    picture = examined.subject.picture
    shape = examined.subject.view.shape
    shown = Image.fromarray(_bytes(picture, shape)).convert("RGB")
    scale = min(1.0, LARGEST / max(shape))
    size = round(shape[1] * scale), round(shape[0] * scale)
    shown = shown.resize(size, Image.Resampling.LANCZOS)
    drawing = ImageDraw.Draw(shown)
    for name, mask in masks.items():
        lines = (outline(mask) + 0.5) * scale
        for (row, column), (row2, column2) in lines.tolist():
            drawing.line((column, row, column2, row2), fill=inks[name], width=2)
    held = io.BytesIO()
    shown.save(held, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"


def _bytes(picture: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a picture in 8 bits; grey without one."""
    if picture is None:
        return np.full(shape, 60, np.uint8)
    if picture.dtype == np.uint8:
        return np.ascontiguousarray(picture)
    values = np.nan_to_num(np.asarray(picture, np.float32))
    low, high = (float(end) for end in np.percentile(values, (0.1, 99.9)))
    even = (values - low) / max(high - low, 1e-12)
    return np.asarray(np.clip(255 * even, 0, 255).astype(np.uint8))


def _svg(plot: Plot) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 2.3), layout="constrained")
    FigureCanvasSVG(figure)
    plot.draw(figure.subplots(), "#1b1b1b")
    held = io.StringIO()
    figure.savefig(held, format="svg", transparent=True, metadata={"Date": None})
    return held.getvalue()[held.getvalue().index("<svg") :]


def _tables(rows: Iterable[Row]) -> str:
    """Return tables of each structure: regions by measures, then pieces by measures."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.structure, []).append(row)
    parts = []
    for structure, own in grouped.items():
        whole = [row for row in own if row.piece is None]
        pieces = [row for row in own if row.piece is not None]
        parts.append(f"<h3>{escape(structure)}</h3>")
        parts.append(_matrix(whole, lambda row: row.region))
        parts.append(_matrix(pieces, lambda row: f"no. {row.piece}"))
        parts.append(f'<p class="small">{_methods(own)}</p>')
    return "".join(parts)


def _matrix(rows: Sequence[Row], place: Callable[[Row], str]) -> str:
    """Return places and measures as the lines and columns of a table.

    What is more, and so would not fit the page beside each other, is below each other.
    """
    if not rows:
        return ""
    cells = {(place(row), _heading(row)): row for row in rows}
    places, measures = (
        list(dict.fromkeys(names)) for names in zip(*cells, strict=True)
    )
    lines, columns = measures, places
    if len(places) > len(measures):
        lines, columns = places, measures
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = []
    for line in lines:
        found = (
            cells.get((line, name) if lines is places else (name, line))
            for name in columns
        )
        values = "".join(_cell(row) for row in found)
        body.append(f"<tr><th>{escape(line)}</th>{values}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(body)}</table>"


def _heading(row: Row) -> str:
    return f"{row.measure}, {row.unit}" if row.unit else row.measure


def _cell(row: Row | None) -> str:
    if row is None:
        return "<td></td>"
    return f'<td title="{escape(row.reason)}">{value_text(row.value)}</td>'


def _methods(rows: Iterable[Row]) -> str:
    """Say how each measure was made, and why values are missing."""
    methods: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    for row in rows:
        methods.setdefault(row.method, []).append(row.measure)
        if row.reason:
            missing.setdefault(row.reason, []).append(row.region)
    said = [(_listed(names), method) for method, names in methods.items() if method]
    said += [(f"– in {_listed(names)}", why) for why, names in missing.items()]
    return "; ".join(f"{escape(names)}: {escape(how)}" for names, how in said) + "."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
