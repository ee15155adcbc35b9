"""One picture of a command: read, embedded, and points on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import WrongUse, complain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.model import Model


def read_picture(image: Path) -> "NDArray[Any]":
    """Read an image; also a dry run says where that cannot be done."""
    from napari_localdisc.core.image.files import check_fits, read_image
    from napari_localdisc.core.image.roles import check_no_result
    from napari_localdisc.core.image.working import as_rgb

    check_fits(image)
    check_no_result(image)
    pixels = read_image(image)
    as_rgb(pixels)
    return pixels


def embed_picture(
    pixels: "NDArray[Any]",
    model: "Model",
    flips: int = 1,
    no_cache: bool = False,
    magnification: float | None = None,
) -> "Embedding":
    """Embed an image, or take its embedding from the cache."""
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.io.cache import cached_embed

    how: dict[str, Any] = {"flips": flips, "magnification": magnification}
    if no_cache:
        return embed(pixels, model, **how)
    return cached_embed(pixels, model, report=lambda error: complain(str(error)), **how)


def points(given: Sequence[str], option: str) -> list[tuple[float, float]]:
    """Return (row, column) of each text ``Y,X`` that an option was given."""
    found = []
    for text in given:
        try:
            row, column = (float(part) for part in text.split(","))
        except ValueError:
            raise WrongUse(
                f"{option} takes a row and a column, for instance {option} 700,350, "
                f"not {text!r}."
            ) from None
        found.append((row, column))
    return found


def boxes(given: Sequence[str], option: str) -> list[list[tuple[float, float]]]:
    """Return two (row, column) corners of each text ``Y,X,Y,X``."""
    found = []
    for text in given:
        try:
            top, left, bottom, right = (float(part) for part in text.split(","))
        except ValueError:
            raise WrongUse(
                f"{option} takes two opposite corners, row and column each, for "
                f"instance {option} 560,130,720,300, not {text!r}."
            ) from None
        found.append([(top, left), (bottom, right)])
    return found
