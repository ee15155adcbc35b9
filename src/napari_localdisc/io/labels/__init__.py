"""Labels and maps in the formats of other programs, and back.

Values are never renumbered or rescaled.  What a format cannot hold is refused in one
sentence before anything is written; each file appears whole or not at all.
"""

from .coco import write_coco
from .formats import (
    FORMATS,
    Format,
    find_labels,
    format_of,
    read_labels,
    read_made_by,
    without_others,
    write_labels,
)
from .label_map import Colour, LabelMap
from .tiff import write_map

__all__ = [
    "FORMATS",
    "Colour",
    "Format",
    "LabelMap",
    "find_labels",
    "format_of",
    "read_labels",
    "read_made_by",
    "without_others",
    "write_coco",
    "write_labels",
    "write_map",
]
