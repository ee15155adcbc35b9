"""The trained network made ready to run fast: folded, in the best precision there is.

Batch normalisation is folded into the convolutions, channels lie innermost in memory,
and where the processor multiplies bfloat16 in hardware the weights are bfloat16.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.image.grid import Window

from .card import check_magnification
from .network import LocalDiscriminationNet

Precision = Literal["auto", "float32", "bfloat16"]

Maps = tuple[Tensor, Tensor, Tensor]
"""(D, h, w) unit vectors, (M, h, w) probabilities, (K, h, w) presence of structures,
which is the sigmoid of their channels before they are normalised over the clusters;
float32.  D is 0 where the embedding branch is left out."""

TILE_SIZE = 1024
"""Working grids up to this size go through the network in one piece."""

_BLOCK_PIXELS = 8192

_MIRRORS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((),),
    2: ((), (3,)),
    4: ((), (3,), (2,), (2, 3)),
}


@dataclass(frozen=True)
class Inference:
    """How images go through the network.

    Attributes
    ----------
    tile_size : int
        Largest piece, in working pixels, that goes through at once; less memory if
        smaller, at least 272.
    flips : {1, 2, 4}
        Mirrored copies that are averaged: better and slower.
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"``: bfloat16 where the processor multiplies it in hardware.
    magnification : float, optional
        How much larger than usual the network sees the image, 0.25 to 4; None: as
        large as its vessels are to be.
    """

    tile_size: int = TILE_SIZE
    flips: int = 1
    precision: Precision = "auto"
    magnification: float | None = None

    def __post_init__(self) -> None:
        check_magnification(self.magnification)


def choose_precision(
    device: torch.device, precision: Precision = "auto"
) -> torch.dtype:
    """Return the dtype to run in: bfloat16 where the device multiplies it in hardware.

    Raises
    ------
    LocalDiscError
        If ``precision`` is none of ``"auto"``, ``"float32"`` and ``"bfloat16"``.
    """
    if precision not in get_args(Precision):
        raise LocalDiscError(
            f"The precision {precision!r} is not one of "
            f"{', '.join(get_args(Precision))}."
        )
    is_fast = _has_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if is_fast else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # AVX-512 without bf16 instructions would run, but slower than float32
    queries = "_is_avx512_bf16_supported", "_is_amx_tile_supported"
    return device.type == "cpu" and any(
        getattr(torch.cpu, query, bool)() for query in queries
    )


class FastNetwork:
    """A network for inference alone; the one given is left as it is.

    Parameters
    ----------
    network : LocalDiscriminationNet
        In evaluation mode.
    precision, flips
        As of `Inference`; `fill` averages the mirrored copies.

    Attributes
    ----------
    dtype : torch.dtype
        What the convolutions run in; results are float32.

    Raises
    ------
    LocalDiscError
        If ``precision`` or ``flips`` is none of these.
    """

    def __init__(
        self,
        network: LocalDiscriminationNet,
        precision: Precision = "auto",
        flips: int = 1,
    ) -> None:
        if flips not in _MIRRORS:
            raise LocalDiscError(f"flips must be 1, 2 or 4, not {flips!r}.")
        self.mirrors = _MIRRORS[flips]
        self.device = next(network.parameters()).device
        self.dtype = choose_precision(self.device, precision)
        self.network = _prepared(network, self.dtype)

    @torch.no_grad()
    def __call__(
        self, x: Tensor, window: Window | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the network up to its last convolutions.

        Parameters
        ----------
        x : Tensor
            (B, C, H, W) float; H and W multiples of 16.
        window : tuple of slice, optional
            Rows and columns that are wanted; all by default.

        Returns
        -------
        vectors : Tensor
            (B, D, H, W), not yet normalised, of dtype `dtype`.
        logits : Tensor
            (B, M, H, W) of dtype `dtype`.
        """
        vectors, logits = self.network.raw(self._ready(x), window=window)
        return vectors, logits

    @torch.no_grad()
    def logits(self, x: Tensor, window: Window | None = None) -> Tensor:
        """Run the clustering branch alone: about two thirds of the work.

        Parameters and result are as of a call, without the vectors.
        """
        return self.network.logits(self._ready(x), window)

    def _ready(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype, memory_format=torch.channels_last)

    @torch.no_grad()
    def fill(
        self,
        window: Tensor,
        kept: tuple[slice, slice],
        maps: Maps,
        channels: Sequence[int] = (),
    ) -> None:
        """Run one tile, averaged over mirrored copies, and write what is kept of it.

        Parameters
        ----------
        window : Tensor
            (1, C, H, W) float.
        kept : tuple of slice
            Rows and columns of the window that are wanted; rows and columns beyond
            the targets' sizes, which are padding, are dropped.
        maps : tuple of Tensor
            What to write to; where there is no dimension D, the embedding branch is
            left out.
        channels : sequence of int
            The K channels of the clustering branch whose presence is wanted.
        """
        for mirror in self.mirrors:
            if not mirror:
                self._write(window, mirror, kept, maps, channels)
                continue
            vectors, probability, presence = (torch.empty_like(part) for part in maps)
            copies = vectors, probability, presence
            self._write(window, mirror, kept, copies, channels)
            for total, more in zip(maps, copies, strict=True):
                total += more
        if len(self.mirrors) > 1:
            vectors, probability, presence = maps
            write_unit_vectors(vectors, vectors)
            probability /= len(self.mirrors)
            presence /= len(self.mirrors)

    def _write(
        self,
        window: Tensor,
        mirror: tuple[int, ...],
        kept: tuple[slice, slice],
        maps: Maps,
        channels: Sequence[int],
    ) -> None:
        """Run a tile mirrored, and write what is kept of it, mirrored back."""
        vectors, probability, presence = maps
        wanted = [
            slice(part.start, min(part.stop, part.start + side))
            for part, side in zip(kept, probability.shape[1:], strict=True)
        ]
        for axis in mirror:
            part, side = wanted[axis - 2], window.shape[axis]
            wanted[axis - 2] = slice(side - part.stop, side - part.start)
        seen = window.flip(mirror) if mirror else window
        inner = wanted[0], wanted[1]

        def mirrored_back(output: Tensor) -> Tensor:
            return (output.flip(mirror) if mirror else output)[0]

        if len(vectors):
            raw, logits = self(seen, inner)
            write_unit_vectors(mirrored_back(raw), vectors)
        else:
            logits = self.logits(seen, inner)
        write_probabilities(mirrored_back(logits), probability, presence, channels)


# Prepared copies live as long as the network they were made from
_PREPARED: WeakKeyDictionary[
    LocalDiscriminationNet, tuple[object, LocalDiscriminationNet]
] = WeakKeyDictionary()


def _prepared(
    network: LocalDiscriminationNet, dtype: torch.dtype
) -> LocalDiscriminationNet:
    """Fold and convert a network, once for the same weights."""
    weights = [*network.parameters(), *network.buffers()]
    # Training on changes a tensor's version; moving it to a device, its address
    state = dtype, [(weight.data_ptr(), weight._version) for weight in weights]
    known, prepared = _PREPARED.get(network, (None, network))
    if known != state:
        prepared = fold_batch_norm(network).to(dtype)
        for parameter in prepared.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        _PREPARED[network] = state, prepared
    return prepared


def fold_batch_norm(network: LocalDiscriminationNet) -> LocalDiscriminationNet:
    """Return a copy whose convolutions do their batch norm's work (evaluation mode)."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            for index, (first, second) in enumerate(pairwise(list(module))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[index] = fuse_conv_bn_eval(first, second)
                    module[index + 1] = nn.Identity()
    return folded


@torch.no_grad()
def write_unit_vectors(raw: Tensor, out: Tensor) -> None:
    """Normalise (D, H, W) vectors of any dtype into float32 ``out`` of that shape."""
    for rows in _row_blocks(raw):
        block = raw[:, rows].permute(1, 2, 0).float()
        length = torch.linalg.vector_norm(block, dim=2, keepdim=True)
        out[:, rows] = (block / length.clamp_min_(1e-12)).permute(2, 0, 1)


@torch.no_grad()
def write_probabilities(
    logits: Tensor,
    out: Tensor,
    presence: Iterable[Tensor] = (),
    channels: Iterable[int] = (),
) -> None:
    """Turn (M, H, W) logits into probabilities summing to 1 over M, into ``out``.

    The sigmoids of some ``channels``, before they are normalised, go to the (K, H, W)
    ``presence``.
    """
    for rows in _row_blocks(logits):
        block = logits[:, rows].permute(1, 2, 0).float().sigmoid()
        for seen, channel in zip(presence, channels, strict=True):
            seen[rows] = block[..., channel]
        total = block.sum(dim=2, keepdim=True)
        out[:, rows] = block.div_(total.clamp_min_(1e-12)).permute(2, 0, 1)


def _row_blocks(image: Tensor) -> Iterator[slice]:
    # Blocks that stay in cache: transposing them is then almost free
    step = max(1, _BLOCK_PIXELS // image.shape[2])
    for start in range(0, image.shape[1], step):
        yield slice(start, start + step)
