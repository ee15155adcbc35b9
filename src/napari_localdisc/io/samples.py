"""Sample images that come with the package."""

from pathlib import Path
from typing import Any

LayerData = tuple[Any, dict[str, Any], str]


def sample_path() -> Path:
    """Return the path of the retina photograph."""
    return Path(__file__).parents[1] / "data" / "retina.jpg"


def open_retina() -> list[LayerData]:
    """Open the photograph of a normal left eye by Mikael Häggström (CC0).

    Returns
    -------
    list of tuple
        One napari image layer: (1411, 1411, 3) uint8.
    """
    from napari_localdisc.core.image.files import read_image

    metadata = {"author": "Mikael Häggström", "licence": "CC0 1.0"}
    options = {"name": "retina", "rgb": True, "metadata": metadata}
    return [(read_image(sample_path()), options, "image")]
