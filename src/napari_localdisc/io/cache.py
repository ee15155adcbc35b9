"""Embeddings on disk: an image that was opened before needs no network.

An entry is a folder with a zarr group (format 3).  It is written beside its place and
then renamed, so that it is there whole or not at all; its name is a hash of all that
the embedding depends on; every chunk has a checksum.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from napari_localdisc.core.errors import FileError

if TYPE_CHECKING:
    import torch

    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.card import ModelCard
    from napari_localdisc.core.model.model import Model

FORMAT_VERSION = 3
SIZE_LIMIT = 4 << 30
"""Bytes of all entries together, unless told otherwise: some 60 fundus images."""

_BUSY = ".making-"
_ABANDONED_SECONDS = 3600.0
_HASHED_BYTES = 1 << 24


def cache_folder() -> Path:
    """Return the user's cache folder; ``LOCALDISC_CACHE`` overrides it."""
    import platformdirs

    default = platformdirs.user_cache_path("napari-localdisc", appauthor=False)
    return Path(os.environ.get("LOCALDISC_CACHE") or default / "embeddings")


def content_hash(image: ArrayLike) -> str:
    """Hash an image's shape, dtype and values (BLAKE2b, about a gigabyte a second)."""
    array = np.asarray(image)
    digest = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=20)
    row_bytes = max(1, array.nbytes // max(1, array.shape[0] if array.ndim else 1))
    rows = max(1, _HASHED_BYTES // row_bytes)
    for start in range(0, len(array) if array.ndim else 0, rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).data)
    return digest.hexdigest()


class EmbeddingCache:
    """A folder of embeddings; those not used for longest leave when it is full.

    Several programs may use one folder at once.

    Parameters
    ----------
    folder : Path, optional
        By default `cache_folder`.
    size_limit : int
        Bytes that all entries together may take; the newest always stays.
    """

    def __init__(
        self, folder: str | Path | None = None, size_limit: int = SIZE_LIMIT
    ) -> None:
        self.folder = cache_folder() if folder is None else Path(folder)
        self.size_limit = size_limit

    def load(
        self,
        image: ArrayLike,
        model: Model,
        *,
        flips: int = 1,
        precision: str = "auto",
        image_hash: str | None = None,
    ) -> Embedding | None:
        """Return the embedding of an image, if it is there.

        Parameters
        ----------
        image : array_like
            As `embed` takes it.
        model : Model
            Another model, or the same with other settings, has other entries.
        flips, precision
            As `embed` was told.
        image_hash : str, optional
            The image's `content_hash`, where that is known already.

        Returns
        -------
        Embedding or None
            Bit for bit what was stored, on the model's device.  A damaged entry is
            removed and counts as absent.
        """
        content = image_hash or content_hash(image)
        signature = _signature(content, model.hash, model.card, flips, precision)
        entry = self._entry(signature)
        if not entry.is_dir():
            return None
        try:
            with unless_ending():
                embedding = read_entry(entry, signature, model)
            os.utime(entry)
        except EndingError:
            return None
        # zarr and its codecs raise what they like for damaged files
        except Exception:
            _remove(entry)
            return None
        return embedding

    def store(
        self,
        image: ArrayLike | None,
        embedding: Embedding,
        *,
        flips: int = 1,
        precision: str = "auto",
        image_hash: str | None = None,
    ) -> None:
        """Keep the embedding of an image, and make room for it.

        Parameters
        ----------
        image : array_like or None
            What was embedded; None if ``image_hash`` is given.
        embedding : Embedding
            What `embed` made of it.
        flips, precision
            As `embed` was told.
        image_hash : str, optional
            The image's `content_hash`, where that is known already.

        Raises
        ------
        FileError
            If the folder cannot be written to.

        Notes
        -----
        Where the program ends meanwhile, nothing is stored.
        """
        if image_hash is None:
            assert image is not None
            image_hash = content_hash(image)
        signature = _signature(
            image_hash, embedding.model_hash, embedding.card, flips, precision
        )
        entry = self._entry(signature)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not entry.is_dir():
                with unless_ending():
                    self._write(entry, embedding, signature)
            with contextlib.suppress(FileNotFoundError):  # cleared meanwhile
                os.utime(entry)
            self._evict(entry)
        except EndingError:
            return
        except OSError as error:
            reason = error.strerror or error
            raise FileError(
                f"The cache folder {self.folder} cannot be used ({reason}): free some "
                "space, choose another one, or switch the cache off."
            ) from error

    def clear(self) -> None:
        """Remove all entries, also abandoned ones."""
        for entry in self._folders():
            _remove(entry)

    def total_size(self) -> int:
        """Bytes on disk."""
        return sum(_size(entry) for entry in self._folders())

    def _entry(self, signature: dict[str, Any]) -> Path:
        text = json.dumps(signature, sort_keys=True)
        return self.folder / hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def _folders(self) -> list[Path]:
        """Entries and what is being made; nothing else that the folder may hold."""
        if not self.folder.is_dir():
            return []
        return [
            path
            for path in self.folder.iterdir()
            if (path.name.startswith(_BUSY) or _is_key(path.name)) and path.is_dir()
        ]

    def _write(
        self, entry: Path, embedding: Embedding, signature: dict[str, Any]
    ) -> None:
        making = Path(tempfile.mkdtemp(prefix=_BUSY, dir=self.folder))
        try:
            write_entry(making, embedding, signature)
            # Another program may have been faster: theirs is as good
            with contextlib.suppress(FileExistsError):
                _rename_new(making, entry)
        except FileNotFoundError:
            if making.exists():
                raise
            # Somebody cleared the cache meanwhile
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _evict(self, newest: Path) -> None:
        known: list[tuple[float, Path, int]] = []
        now = time.time()
        for folder in self._folders():
            used = _last_use(folder)
            if folder.name.startswith(_BUSY):
                if now - used > _ABANDONED_SECONDS:
                    _remove(folder)
            elif folder != newest:
                known.append((used, folder, _size(folder)))
        room = self.size_limit - _size(newest)
        for _, folder, size in sorted(known, reverse=True):
            room -= size
            if room < 0:
                _remove(folder)


def cached_embed(
    image: ArrayLike,
    model: Model,
    cache: EmbeddingCache | None = None,
    report: Callable[[FileError], None] | None = None,
    **options: Any,
) -> Embedding:
    """Like `embed`, but the network runs only on images that are not in the cache.

    Parameters
    ----------
    image, model
        As for `embed`.
    cache : EmbeddingCache, optional
        By default the one in the user's cache folder.
    report : callable, optional
        Gets the error of a cache that cannot be written to.
    **options
        Passed on to `embed`.

    Returns
    -------
    Embedding

    Raises
    ------
    ImageError
        If the image cannot be used.
    FileError
        If the cache folder cannot be written to, unless ``report`` takes it.
    """
    from napari_localdisc.core.embedding.embed import embed

    used = EmbeddingCache() if cache is None else cache
    matters = {key: options[key] for key in ("flips", "precision") if key in options}
    known = used.load(image, model, **matters)
    if known is not None:
        return known
    embedding = embed(image, model, **options)
    try:
        used.store(image, embedding, **matters)
    except FileError as error:
        if report is None:
            raise
        report(error)
    return embedding


def _signature(
    content: str, model_hash: str, card: ModelCard, flips: int, precision: str
) -> dict[str, Any]:
    """All that an embedding depends on."""
    return {
        "format": FORMAT_VERSION,
        "version": version("napari-localdisc"),
        "image": content,
        "model_hash": model_hash,
        "modality": card.modality,
        "working_diameter": card.working_diameter,
        "structures": card.structures,
        "flips": flips,
        "precision": precision,
    }


def _is_key(name: str) -> bool:
    return len(name) == 40 and not set(name) - set("0123456789abcdef")


def _rename_new(source: Path, target: Path) -> None:
    """Rename a folder; FileExistsError where the target is there."""
    try:
        source.rename(target)
    except OSError as error:
        if target.is_dir():
            raise FileExistsError(*error.args) from error
        raise


def _remove(folder: Path) -> None:
    """Remove an entry so that no program ever sees half of it."""
    doomed = folder.with_name(f"{_BUSY}{folder.name}-{time.monotonic_ns()}")
    with contextlib.suppress(OSError):  # another program removes it, or reads it now
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _size(folder: Path) -> int:
    total = 0
    # Not rglob: it fails where another program removes a folder meanwhile
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


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

    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.image.grid import WorkingGrid

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
