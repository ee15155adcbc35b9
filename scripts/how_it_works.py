"""Draw README's figure of the method with the real network (how_it_works.png).

Run with the package installed: python scripts/how_it_works.py [FILE].
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage.transform import resize

import napari_localdisc as ld

ROOT = Path(__file__).resolve().parents[1]
PALETTE = [(0.2, 0.85, 1.0), *plt.get_cmap("tab20").colors]
INK, LINE = "#22303c", "#7a8b99"
DISC, NOT_DISC = (640, 216), (704, 707)


def main(path: Path) -> int:
    """Embed the sample and draw what comes of it."""
    image = ld.read_image(ROOT / "src" / "napari_localdisc" / "data" / "retina.jpg")
    embedding = ld.embed(image, ld.load_model("fundus"))
    clusters = embedding.clusters(12)
    panels = {
        "photograph": image,
        "embedding branch\na unit vector a pixel, as colour": as_colours(
            embedding.vectors, clusters > 0
        ),
        "clustering branch\nsimilar pixels, a prior names some": over(image, clusters),
        "a click\nall that looks alike": over(
            image, embedding.mask([DISC], [NOT_DISC]).astype(np.uint8)
        ),
        "a named structure\nby its shape alone": over(
            image, (embedding.structure("vessel") > 0.5).astype(np.uint8)
        ),
    }
    figure = draw(panels)
    figure.savefig(path, dpi=110, facecolor="white")
    print(f"{path.name}: {path.stat().st_size // 1000} kB")
    return 0


def as_colours(vectors: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray:
    """Return the three main axes of (h, w, n) unit vectors as (h, w, 3) in [0, 1]."""
    within = resize(inside, vectors.shape[:2], order=0)
    known = vectors[within]
    _, _, axes = np.linalg.svd(known[::50] - known.mean(0), full_matrices=False)
    along = (vectors - known.mean(0)) @ axes[:3].T
    low, high = np.percentile(along[within], [1, 99], axis=0)
    colours = np.clip((along - low) / (high - low), 0, 1)
    colours[~within] = 0
    return colours


def over(image: NDArray, labels: NDArray, alpha: float = 0.75) -> NDArray:
    """Lay labels over a photograph."""
    laid = image / 255
    for value in np.unique(labels[labels > 0]):
        colour = np.asarray(PALETTE[(value - 1) % len(PALETTE)])
        laid[labels == value] = (1 - alpha) * laid[labels == value] + alpha * colour
    return laid


def draw(panels: dict[str, NDArray]) -> Figure:
    """Lay the pictures out: one look, then everything that asks it."""
    figure = plt.figure(figsize=(10, 4.8))
    size, places = (
        0.40,
        [(0.0, 0.3), (0.29, 0.52), (0.29, 0.0), (0.6, 0.52), (0.6, 0.0)],
    )
    width = size * 4.8 / 10
    for (title, picture), (left, bottom) in zip(panels.items(), places, strict=True):
        axes = figure.add_axes((left + 0.02, bottom + 0.01, width, size))
        axes.imshow(picture[::2, ::2] if picture.shape[0] > 1000 else picture)
        axes.set_axis_off()
        axes.set_title(title, fontsize=8, color=INK)
    page = figure.add_axes((0, 0, 1, 1), zorder=-1)
    page.set_axis_off()
    page.set(xlim=(0, 1), ylim=(0, 1))
    arrow(page, (0.215, 0.52), (0.3, 0.72))
    arrow(page, (0.215, 0.48), (0.3, 0.22))
    page.text(
        0.235, 0.485, "one network,\none look", fontsize=8, color=INK, va="center"
    )
    arrow(page, (0.505, 0.72), (0.605, 0.72))
    arrow(page, (0.505, 0.22), (0.605, 0.22))
    told = (
        "strokes teach a classifier",
        "concepts find it in other images",
        "masks: correct, export",
        "measures: calibre, tortuosity,\ncup-to-disc ratio, lesions, …",
    )
    page.text(0.82, 0.5, "\n\n".join(told), fontsize=8, color=INK, va="center")
    return figure


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow."""
    shape = {"arrowstyle": "-|>", "color": LINE, "lw": 1.4}
    axes.annotate("", end, start, arrowprops=shape)


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/images/how_it_works.png"
    sys.exit(main(Path(given)))
