"""Embeddings on disk: an image that was opened before needs no network.

An entry is one safetensors file.  It is written beside its place and then renamed, so
that it is there whole or not at all; its name is a hash of all that the embedding
depends on; its header holds a checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import (
    UNFINISHED,
    given_path,
    remove_unfinished,
    unfinished_folder,
)
from napari_localdisc.core.model.card import ModelCard

if TYPE_CHECKING:
    import torch

    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.inference import Precision
    from napari_localdisc.core.model.model import Model

FORMAT_VERSION = 4
SIZE_LIMIT = 4 << 30
"""Bytes of all entries together, unless told otherwise: some 60 fundus images."""

_SUFFIX = ".safetensors"
_BUSY = ".making-"
_ABANDONED_SECONDS = 3600.0
_HASHED_BYTES = 1 << 24
_MATTERS = "flips", "precision", "magnification"
"""Options that an embedding depends on."""
_OURS = re.compile(
    rf"[0-9a-f]{{40}}({re.escape(_SUFFIX)})?"
    rf"|({re.escape(_BUSY)}|{re.escape(UNFINISHED)}).*"
)
"""Entries, folders of zarr that entries once were, and what is being made."""


def cache_folder() -> Path:
    """Return the user's cache folder; ``LOCALDISC_CACHE`` overrides it."""
    import platformdirs

    default = platformdirs.user_cache_path("napari-localdisc", appauthor=False)
    return given_path(os.environ.get("LOCALDISC_CACHE") or default / "embeddings")


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
        self.folder = cache_folder() if folder is None else given_path(folder)
        self.size_limit = size_limit

    def load(
        self,
        image: ArrayLike,
        model: Model,
        *,
        flips: int = 1,
        precision: Precision = "auto",
        magnification: float | None = None,
        image_hash: str | None = None,
    ) -> Embedding | None:
        """Return the embedding of an image, if it is there.

        Parameters
        ----------
        image : array_like
            As `embed` takes it.
        model : Model
            Another model, or the same with other settings, has other entries.
        flips, precision, magnification
            As `embed` was told.
        image_hash : str, optional
            The image's `content_hash`, where that is known already.

        Returns
        -------
        Embedding or None
            Bit for bit what was stored, on the model's device.  A damaged entry is
            removed and counts as absent.
        """
        from napari_localdisc.core.embedding.embed import with_closer_look
        from napari_localdisc.core.model.inference import Inference

        content = image_hash or content_hash(image)
        entry, signature = self._entry(
            content, model.hash, model.card, flips, precision, magnification
        )
        remove_unfinished(self.folder)
        if not entry.is_file():
            return None
        try:
            embedding = _read(entry, signature, model)
            os.utime(entry)
        # safetensors raises what it likes for damaged files
        except Exception:
            _remove(entry)
            return None
        how = Inference(flips=flips, precision=precision, magnification=magnification)
        with_closer_look(embedding, image, model, how)
        return embedding

    def store(
        self,
        image: ArrayLike | None,
        embedding: Embedding,
        *,
        flips: int = 1,
        precision: str = "auto",
        magnification: float | None = None,
        image_hash: str | None = None,
    ) -> None:
        """Keep the embedding of an image, and make room for it.

        Parameters
        ----------
        image : array_like or None
            What was embedded; None if ``image_hash`` is given.
        embedding : Embedding
            What `embed` made of it.
        flips, precision, magnification, image_hash
            As for `load`.

        Raises
        ------
        FileError
            If the folder cannot be written to.
        """
        from safetensors import SafetensorError

        if image_hash is None:
            assert image is not None
            image_hash = content_hash(image)
        entry, signature = self._entry(
            image_hash,
            embedding.model_hash,
            embedding.card,
            flips,
            precision,
            magnification,
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not entry.is_file():
                self._write(entry, embedding, signature)
            with contextlib.suppress(FileNotFoundError):  # cleared meanwhile
                os.utime(entry)
            self._evict(entry)
        except (OSError, SafetensorError, FileError) as error:
            why = error.__cause__ if isinstance(error, FileError) else error
            reason = getattr(why, "strerror", None) or why
            raise FileError(
                f"The cache folder {self.folder} cannot be used ({reason}): free some "
                "space, choose another one, or switch the cache off."
            ) from error

    def clear(self) -> int:
        """Remove all entries, also abandoned ones; return the bytes that freed."""
        freed = self.total_size()
        for path in self._paths():
            _remove(path)
        return freed

    def total_size(self) -> int:
        """Bytes on disk."""
        return sum(_size(path) for path in self._paths())

    def _entry(
        self,
        content: str,
        model_hash: str,
        card: ModelCard,
        flips: int,
        precision: str,
        magnification: float | None,
    ) -> tuple[Path, dict[str, Any]]:
        """Return the file of an embedding, and all that the embedding depends on."""
        signature = {
            "format": FORMAT_VERSION,
            "version": version("napari-localdisc"),
            "image": content,
            "model_hash": model_hash,
            "modality": card.modality,
            "working_diameter": card.working_diameter,
            "structures": card.structures,
            "flips": flips,
            "precision": precision,
            "magnification": magnification,
        }
        text = json.dumps(signature, sort_keys=True)
        key = hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
        return self.folder / f"{key}{_SUFFIX}", signature

    def _paths(self) -> list[Path]:
        """All that is ours, and nothing else that the folder may hold."""
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if _OURS.fullmatch(path.name)]

    def _write(
        self, entry: Path, embedding: Embedding, signature: dict[str, Any]
    ) -> None:
        # A folder, as safetensors writes beside the file that it is to make, too
        with unfinished_folder(entry) as folder:
            new = folder / entry.name
            try:
                _save(new, embedding, signature)
                new.replace(entry)
            except Exception:
                if new.parent.exists():
                    raise
                # Somebody cleared the cache meanwhile

    def _evict(self, newest: Path) -> None:
        known: list[tuple[float, Path, int]] = []
        now = time.time()
        for path in self._paths():
            used = _last_use(path)
            if path.name.startswith(UNFINISHED):
                continue  # of a program that is at work
            if path.name.startswith(_BUSY):
                if now - used > _ABANDONED_SECONDS:
                    _remove(path)
            elif path.suffix != _SUFFIX:
                _remove(path)  # of an earlier version
            elif path != newest:
                known.append((used, path, _size(path)))
        room = self.size_limit - _size(newest)
        for _, path, size in sorted(known, reverse=True):
            room -= size
            if room < 0:
                _remove(path)


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

    Raises
    ------
    ImageError
        If the image cannot be used.
    FileError
        If the cache folder cannot be written to, unless ``report`` takes it.
    """
    from napari_localdisc.core.embedding.embed import embed

    used = EmbeddingCache() if cache is None else cache
    matters = {key: options[key] for key in _MATTERS if key in options}
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


def _remove(path: Path) -> None:
    """Remove a file, or a folder so that no program ever sees half of it."""
    if not path.is_dir():
        with contextlib.suppress(OSError):  # another program removes it, or reads it
            path.unlink()
        return
    doomed = path.with_name(f"{_BUSY}{path.name}-{time.monotonic_ns()}")
    with contextlib.suppress(OSError):
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _size(path: Path) -> int:
    files = [path]
    if path.is_dir():  # not rglob: it fails where another program removes it meanwhile
        files = [Path(at, name) for at, _, names in os.walk(path) for name in names]
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _save(path: Path, embedding: Embedding, signature: dict[str, Any]) -> None:
    import torch
    from safetensors.torch import save_file

    # In full: rounded to half precision, labels near a tie would change, and a script
    # that repeats what was done would not give the same ones
    tensors = {
        "vectors": embedding.matrix,
        "probability": embedding.cluster_probability,
    }
    tensors |= {f"presence {key}": value for key, value in embedding.presence.items()}
    if embedding.colour is not None:
        tensors["colour"] = embedding.colour
    tensors = {key: part.float().cpu().contiguous() for key, part in tensors.items()}
    seen = np.packbits(embedding.field_of_view, axis=1)
    tensors["field_of_view"] = torch.from_numpy(seen)
    grid = embedding.grid
    box = [grid.top, grid.left, grid.height, grid.width]
    text = json.dumps([signature, grid.image_shape, box, grid.shape])
    said = {"about": text, "checksum": str(_checksum(text, tensors))}
    save_file(tensors, path, said)


def _read(path: Path, signature: dict[str, Any], model: Model) -> Embedding:
    """Return what was saved, on the model's device; damaged files raise anything."""
    from safetensors import safe_open

    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.image.grid import WorkingGrid

    with safe_open(path, "pt") as file:
        said = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about = json.loads(said["about"])
    if about[0] != json.loads(json.dumps(signature)):
        raise ValueError("made of something else")
    if said["checksum"] != str(_checksum(said["about"], tensors)):
        raise ValueError("damaged")
    (height, width), (top, left, rows, columns), shape = about[1:]
    grid = WorkingGrid((height, width), top, left, rows, columns, tuple(shape))
    seen = np.unpackbits(tensors.pop("field_of_view").numpy(), axis=1, count=width)
    # Mapped to the file, not copied: a third of the time.  An entry is never changed,
    # and one that is removed stays for who has it open
    tensors = {key: part.to(model.device) for key, part in tensors.items()}
    return Embedding(
        tensors["vectors"],
        tensors["probability"],
        seen.astype(bool),
        grid,
        model.card,
        model.centres,
        model.hash,
        {name: tensors[f"presence {name}"] for name in model.card.structures},
        tensors["colour"].half() if "colour" in tensors else None,
    )


def _checksum(about: str, tensors: dict[str, torch.Tensor]) -> int:
    total = zlib.crc32(about.encode())
    for name, tensor in sorted(tensors.items()):
        kind = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        total = zlib.crc32(tensor.numpy().data, zlib.crc32(kind.encode(), total))
    return total
