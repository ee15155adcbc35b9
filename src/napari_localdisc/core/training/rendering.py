"""Drawing simulated structures into photographs that had theirs taken out."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_localdisc.core.image.contrast import gaussian_blur
from napari_localdisc.core.priors import DrawnPrior

from .augment import Augmentation, crop_maps, uniform, warp

DEEPEST = 0.7
"""Depth that 255 stands for in a stored drawing."""

_FAINTEST = 0.045
"""Depth from which a drawn structure counts as visible."""

_LEAST_COVERAGE = 0.3
"""Of a pixel by what is drawn, from which what was there does not matter."""

_MAY_BE = 0.2
"""Of a fitted map, from which a photograph may show the structure itself."""

_RIM_REACH = 16
"""Pixels beyond a crop that its light depends on."""

_DRAWN_SHARE = 0.5
"""Share of crops that lesions are drawn into."""


class Drawings:
    """A stock of simulated structures, each drawn when it is first asked for.

    Parameters
    ----------
    prior : DrawnPrior
        Draws them.
    count : int
        Different ones.
    size : int
        Side of a drawing in pixels.
    working_diameter : int
        Diameter of the field of view in pixels.
    seed : int
        Drawing k follows from it and k alone.
    """

    def __init__(
        self, prior: DrawnPrior, count: int, size: int, working_diameter: int, seed: int
    ) -> None:
        self.prior, self.size, self.seed = prior, size, seed
        self.working_diameter = working_diameter
        self._stock = np.zeros((count, 4, size, size), np.uint8)
        self._is_drawn = np.zeros(count, bool)

    def __len__(self) -> int:
        return len(self._stock)

    def take(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, 4, size, size) uint8: depth (255 is 0.7), mask, kind, reflex."""
        for k in np.unique(index[~self._is_drawn[index]]).tolist():
            rng = np.random.default_rng([self.seed, k])
            depth, *others = self.prior.draw(self.size, self.working_diameter, rng)
            self._stock[k, 0] = np.round(np.clip(depth / DEEPEST, 0, 1) * 255)
            for channel, plane in enumerate(others, 1):
                self._stock[k, channel] = np.round(plane * 255)
            self._is_drawn[k] = True
        return self._stock[index]


class Renderer:
    """Draws the structures of several priors into crops.

    Parameters
    ----------
    priors : sequence of DrawnPrior
        In the order of drawing: the last lies on top.
    stocks : sequence of Drawings
        One of each.
    augmentation : Augmentation
        Drawings are turned and scaled as photographs are.
    fitted : sequence of int or None
        Of each prior, which of a photograph's fitted maps is its own.
    """

    def __init__(
        self,
        priors: Sequence[DrawnPrior],
        stocks: Sequence[Drawings],
        augmentation: Augmentation,
        fitted: Sequence[int | None] = (),
    ) -> None:
        self.priors, self.stocks = list(priors), list(stocks)
        self.augmentation = augmentation
        self.fitted = list(fitted) or [None] * len(self.priors)

    def __call__(
        self, background: Tensor, inside: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw into crops.

        Parameters
        ----------
        background : Tensor
            (B, 3, S, S) float32 in [0, 1].
        inside : Tensor
            (B, 1, S, S) float32, the field of view.
        generator : torch.Generator
            Source of all randomness.

        Returns
        -------
        rendered : Tensor
            (B, 3, S, S) float32 in [0, 1].
        masks : Tensor
            (B, P, S, S) float32 in [0, 1], one channel for each prior.
        """
        masks = []
        image = background
        for prior, stock in zip(self.priors, self.stocks, strict=True):
            depth, mask, kind = self._pick(stock, background, generator)
            if prior.structure != "vessel":
                share = torch.rand(len(depth), 1, 1, 1, generator=generator)
                drawn = (share < _DRAWN_SHARE).to(depth)
                depth, mask = depth * drawn, mask * drawn
            low, high = (torch.tensor(t) for t in zip(*prior.tint, strict=True))
            shares = torch.rand(2, len(depth), 3, generator=generator)
            one, other = (low + (high - low) * shares)[..., None, None].to(depth)
            change = depth * torch.lerp(one, other, kind)
            if prior.brightens:
                # Towards white, so that a bright spot stays one on a bright ground.
                image = image + change * (1 - image)
            else:
                image = image * (1 - change)
            masks.append(mask * inside)
        uneven = self._blotches(image, generator) - self._shadows(image, generator)
        image = image * (1 + uneven) * self._rim(inside, generator)
        image = image.clamp(0, 1) * inside
        return image, torch.cat(masks, 1)

    def known(
        self, masks: Tensor, doubtful: Tensor, fitted: Tensor | None = None
    ) -> Tensor:
        """Say where (B, P, S, S) masks count: not where the like was before.

        ``doubtful``, (B, 1, S, S) bool, are faint ridges of the photograph itself;
        ``fitted``, (B, F, S, S) in [0, 1], what was fitted to it, half where unknown.
        """
        unknown = torch.zeros_like(masks, dtype=torch.bool)
        for k, prior in enumerate(self.priors):
            own = self.fitted[k]
            if prior.is_line:
                unknown[:, k] = doubtful[:, 0]
            if own is not None and fitted is not None:
                unknown[:, k] |= fitted[:, own] > _MAY_BE
        unknown &= masks < _LEAST_COVERAGE
        return (~unknown).to(masks)

    def masks(self, prior: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Return masks of one prior alone, as (B, 1, S, S) float32 like ``like``."""
        return self._pick(self.stocks[prior], like, generator)[1]

    def _pick(
        self, stock: Drawings, like: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, size = len(like), like.shape[-1]
        index = torch.randint(len(stock), (count,), generator=generator).numpy()
        drawings = torch.from_numpy(stock.take(index)).to(like) / 255
        side = stock.size
        slack = max(0.0, (side - size) / 2 - 0.1 * size)
        centres = (side - 1) / 2 + uniform(-slack, slack, (count, 2), generator)
        maps = crop_maps(centres, size, self.augmentation, generator)
        drawings = warp(drawings, maps, size)
        # A blur of its own: vessels are sharper or softer than the ground they lie on.
        contrast = uniform(0.75, 1.2, (count, 1, 1, 1), generator).to(like)
        depth = drawings[:, :1] * DEEPEST * contrast
        # What nobody could see is no structure to be found.
        wide = F.max_pool2d(depth, 3, 1, 1)
        mask, kind, reflex = drawings[:, 1:].chunk(3, dim=1)
        return depth * (1 - reflex), mask * (wide > _FAINTEST), kind

    @staticmethod
    def _blotches(like: Tensor, generator: torch.Generator) -> Tensor:
        """Return uneven light and pigment: smooth, of several sizes, no structure."""
        total = torch.zeros_like(like[:, :1])
        for cells, strength in ((4, 0.12), (12, 0.07), (32, 0.05)):
            coarse = torch.randn(len(like), 1, cells, cells, generator=generator)
            smooth = torch.nn.functional.interpolate(
                coarse.to(like), size=like.shape[-2:], mode="bicubic"
            )
            amount = uniform(0, strength, (len(like), 1, 1, 1), generator)
            total = total + smooth * amount.to(like)
        return total

    @staticmethod
    def _shadows(like: Tensor, generator: torch.Generator) -> Tensor:
        """Shade every other crop by a smooth spot, as a fovea does: no structure."""
        count, size = len(like), like.shape[-1]
        centre = uniform(0, size, (count, 2, 1, 1), generator).to(like)
        width = uniform(0.03, 0.12, (count, 1, 1), generator).to(like) * size
        depth = uniform(-0.35, 0.35, (count, 1, 1, 1), generator).to(like)
        along = torch.arange(size, device=like.device, dtype=like.dtype)
        rows, columns = along[:, None] - centre[:, 0], along[None] - centre[:, 1]
        distance = (rows.square() + columns.square()) / (2 * width.square())
        return depth.clamp_min(0) * torch.exp(-distance)[:, None]

    @staticmethod
    def _rim(inside: Tensor, generator: torch.Generator) -> Tensor:
        """Let light fall off towards the field of view's edge, sharply or softly.

        Mirrored there it is a dark line, which is no vessel.
        """
        width = float(uniform(0.4, 5.0, (), generator))
        strength = uniform(0, 1, (len(inside), 1, 1, 1), generator).to(inside)
        # The picture goes on beyond the crop
        wide = F.pad(inside, (_RIM_REACH,) * 4, mode="replicate")
        blurred = gaussian_blur(wide, width)
        cut = slice(_RIM_REACH, -_RIM_REACH)
        fall = ((blurred[..., cut, cut] - 0.5) * 2).clamp(0, 1)
        return 1 - strength * (1 - fall)
