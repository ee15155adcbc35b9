"""One embedding as a zarr group, and how long there is time to read and write it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from napari_localdisc.core.embedding import Embedding
    from napari_localdisc.core.models import Model

_in_use = threading.Lock()
_ending = threading.Event()


class EndingError(Exception):
    """The program ends: there is no time to read or write."""


@contextlib.contextmanager
def unless_ending() -> Iterator[None]:
    """Keep the program from ending in the middle of a call to zarr.

    zarr works in threads of its own, which end with the program: who waits for them
    then would wait for ever, and so would the program.

    Raises
    ------
    EndingError
        If the program ends, before this or meanwhile.
    """
    _wait_at_the_end()
    with _in_use:
        if _ending.is_set():
            raise EndingError
        try:
            yield
        except RuntimeError as error:
            if "after shutdown" in str(error):  # Python's threads are the first to go
                raise EndingError from error
            raise


@functools.cache
def _wait_at_the_end() -> None:
    # zarr registers its own end when it is imported: it is to come after this one
    import zarr  # noqa: F401

    atexit.register(_end)


def _end() -> None:
    _ending.set()
    with _in_use:
        pass


def _arrays(embedding: Embedding) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    # In full: rounded to half precision, labels near a tie would change, and a script
    # that repeats what was done would not give the same ones
    tensors = {
        "vectors": embedding.matrix,
        "probability": embedding.cluster_probability,
    }
    tensors |= {f"presence {key}": value for key, value in embedding.presence.items()}
    if embedding.colour is not None:
        tensors["colour"] = embedding.colour
    for name, tensor in tensors.items():
        yield name, tensor.float().cpu().numpy()
    yield "field_of_view", np.packbits(embedding.field_of_view, axis=1)


def write_entry(folder: Path, embedding: Embedding, signature: dict[str, Any]) -> None:
    """Fill an empty folder."""
    import zarr
    from zarr.codecs import Crc32cCodec

    group = zarr.create_group(folder, zarr_format=3, overwrite=True)
    for name, array in _arrays(embedding):
        stored = group.create_array(
            name,
            shape=array.shape,
            chunks=array.shape,
            dtype=array.dtype,
            compressors=[Crc32cCodec()],  # unit vectors do not compress
            # An absent chunk then is a damaged entry, never one of zeros
            config={"write_empty_chunks": True},
        )
        stored[...] = array
    grid = embedding.grid
    box = [grid.top, grid.left, grid.height, grid.width]
    group.attrs.update(
        signature=signature, image_shape=grid.image_shape, box=box, shape=grid.shape
    )


def read_entry(folder: Path, signature: dict[str, Any], model: Model) -> Embedding:
    """Return what was written, on the model's device.

    Raises
    ------
    Exception
        Whatever zarr and its codecs make of a damaged entry; ValueError if it is not
        complete, or of something else.
    """
    import torch
    import zarr

    from napari_localdisc.core.embedding import Embedding
    from napari_localdisc.core.grid import WorkingGrid

    group = zarr.open_group(folder, mode="r", zarr_format=3)
    said: dict[str, Any] = group.attrs.asdict()
    if said["signature"] != json.loads(json.dumps(signature)):
        raise ValueError("made of something else")
    height, width = said["image_shape"]
    top, left, rows, columns = said["box"]
    grid = WorkingGrid((height, width), top, left, rows, columns, tuple(said["shape"]))

    def read(name: str) -> Any:
        array: Any = group[name]
        if array.nchunks_initialized != array.nchunks:
            raise ValueError(f"{name} is not complete")
        return array[...]

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(read(name)).to(model.device)

    return Embedding(
        tensor("vectors"),
        tensor("probability"),
        np.unpackbits(read("field_of_view"), axis=1, count=width).astype(bool),
        grid,
        model.card,
        model.centres,
        model.hash,
        {name: tensor(f"presence {name}") for name in model.card.structures},
        tensor("colour").half() if "colour" in group else None,
    )
