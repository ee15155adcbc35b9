"""Importing large libraries while somebody waits."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python from looking for garbage among modules that are being imported.

    It would look through all of a running napari again and again: half a second for
    torch.  Where something else has switched it off, it stays off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
