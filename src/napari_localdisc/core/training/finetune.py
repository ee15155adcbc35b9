"""`finetune`: a handful of images with masks → a network that segments the structure.

As in the paper's transfer experiments (section 3.2): the network starts from the
label-free model, its encoder stays frozen for the first half, then everything is
trained, under the Dice loss.  The new structure's channel starts from the cluster that
shows it best in the labelled images, if one does.  The statistics of batch norm stay
those of the many images that the model has seen; a few crops' would be worse.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_localdisc.core.errors import Cancelled, TrainingError
from napari_localdisc.core.image.contrast import network_input
from napari_localdisc.core.image.working import look
from napari_localdisc.core.model.card import LABELLED
from napari_localdisc.core.model.inference import choose_precision
from napari_localdisc.core.model.model import Model, check_model_target, save_model
from napari_localdisc.core.model.network import LocalDiscriminationNet, channels_last

from .augment import Augmentation, ColourJitter, crop_maps, uniform, warp
from .batches import step_generator

_CHANNEL = 0
_SMOOTH = 1.0

_LEAST_DICE = 0.1
"""A cluster with a lower soft Dice than this on labelled crops is no start."""

_STARTING_CROPS = 4
_RATES = {False: 5e-4, True: 2e-3}


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of a transfer.

    Attributes
    ----------
    steps : int
        Optimisation steps; the encoder is frozen for the first half.
    crops_per_step, crop_size : int
        Batch of augmented crops.
    learning_rate : float, optional
        Of Adam, falling along a cosine; by default 0.0005, and 0.002 from scratch.
    from_scratch : bool
        Random weights instead of the model's, for comparison.
    seed : int
        Everything random follows from it.
    """

    steps: int = 300
    crops_per_step: int = 4
    crop_size: int = 192
    learning_rate: float | None = None
    from_scratch: bool = False
    seed: int = 0
    augmentation: Augmentation = dataclasses.field(
        default_factory=lambda: Augmentation(0.85, 1.2, jitter=0.5)
    )


def finetune(
    model: Model,
    images: Sequence[NDArray[np.generic]],
    masks: Sequence[NDArray[np.bool_]],
    structure: str,
    out: str | Path | None = None,
    *,
    settings: FinetuneSettings | None = None,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Model:
    """Train a segmentation of one structure from a few labelled images.

    Parameters
    ----------
    model : Model
        Label-free model to start from.
    images : sequence of ndarray
        (H, W[, C]) each.
    masks : sequence of ndarray
        (H, W) each; True where the structure is.
    structure : str
        Its name; ``embedding.structure(name)`` then shows it.
    out : str or Path, optional
        File to save the model to.
    settings : FinetuneSettings, optional
        How to train.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    progress : callable, optional
        Called with (step, steps, Dice loss).
    cancel : callable, optional
        Asked before each step; True stops.

    Returns
    -------
    Model
        Its card names ``structure``, and only it.

    Raises
    ------
    TrainingError
        If there is no image, or a mask does not fit its image or is empty.
    Cancelled
        If ``cancel`` says so.
    """
    if out is not None:
        check_model_target(out)
    settings = settings or FinetuneSettings()
    crops = _Crops(model, images, masks, settings)
    torch.manual_seed(settings.seed)
    network = model.card.network()
    if not settings.from_scratch:
        network.load_state_dict(model.network.state_dict())
        _start_channel(network, crops)
    network = channels_last(network).to(device)
    rate = settings.learning_rate or _RATES[settings.from_scratch]
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    # The embedding branch has no part in the loss
    network.embedding_branch.requires_grad_(False)
    for step in range(settings.steps):
        if cancel is not None and cancel():
            raise Cancelled("The training was cancelled.")
        frozen = not settings.from_scratch and step < settings.steps // 2
        network.encoder.requires_grad_(not frozen)
        network.train(settings.from_scratch)
        loss = _dice_loss(*crops.look(network, step, purpose=3))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, settings.steps, loss.item())
    details = {
        "transferred_from": f"{model.card.name} ({model.hash})",
        LABELLED: len(images),
        "from_scratch": settings.from_scratch,
        "steps": settings.steps,
        "seed": settings.seed,
        "losses": "Dice",
    }
    card = dataclasses.replace(
        model.card,
        name=Path(out).stem if out else structure,
        structures={structure: _CHANNEL},
        single=[name for name in model.card.single if name == structure],
        details=details,
    )
    tuned = Model(card, network.cpu().requires_grad_(True), model.centres)
    if out is not None:
        save_model(tuned, out)
    return tuned


class _Crops:
    """Augmented crops of labelled images, brought to the model's working grid.

    An image is held as (5, h, w): RGB, inside, mask.
    """

    def __init__(
        self,
        model: Model,
        images: Sequence[NDArray[np.generic]],
        masks: Sequence[NDArray[np.bool_]],
        settings: FinetuneSettings,
    ) -> None:
        if not images or len(images) != len(masks):
            raise TrainingError(
                "Fine-tuning needs at least one image and a mask for each; got "
                f"{len(images)} images and {len(masks)} masks."
            )
        self.card, self.settings = model.card, settings
        self.images = [
            self._prepared(image, mask)
            for image, mask in zip(images, masks, strict=True)
        ]
        if not any(bool((image[4] > 0.5).any()) for image in self.images):
            raise TrainingError("All masks are empty: there is nothing to learn from.")

    def _prepared(self, image: NDArray[np.generic], mask: NDArray[np.bool_]) -> Tensor:
        if mask.shape != image.shape[:2]:
            raise TrainingError(
                f"A mask of shape {mask.shape} does not fit its image of shape "
                f"{image.shape[:2]}."
            )
        card = self.card
        colour, inside, _, grid = look(image, card.modality, card.working_diameter)
        truth = grid.to_working(mask.astype(np.float32))
        stacked = np.concatenate(
            [colour.transpose(2, 0, 1), inside[None], truth[None]], dtype=np.float32
        )
        missing = [(0, max(0, self.settings.crop_size - side)) for side in inside.shape]
        return torch.from_numpy(np.pad(stacked, ((0, 0), *missing)))

    def look(
        self, network: LocalDiscriminationNet, step: int, purpose: int
    ) -> tuple[Tensor, Tensor]:
        """See a batch with a network: (B, M, s, s) presence, (B, s, s) truth."""
        settings, card = self.settings, self.card
        generator = step_generator(settings.seed, step, rank=0, purpose=purpose)
        index = torch.randint(
            len(self.images), (settings.crops_per_step,), generator=generator
        )
        size = settings.crop_size
        crops, thumbnails = [], []
        jitter = ColourJitter(len(index), settings.augmentation.jitter, generator)
        for k in index.tolist():
            source = self.images[k]
            centre = _centre(source, size, generator)
            maps = crop_maps(centre[None], size, settings.augmentation, generator)
            crops.append(warp(source[None], maps, size))
            thumbnails.append(source[:4, ::12, ::12])
        batch = torch.cat(crops)
        inside = (batch[:, 3:4] > 0.99).float()
        rgb = jitter.optics(jitter.colours(batch[:, :3])) * inside
        small = _stacked(thumbnails)
        seen = network_input(
            rgb,
            inside,
            card.working_diameter,
            card.in_channels,
            jitter.statistics(small[:, :3], small[:, 3:]),
            card.surround_pixels,
        )
        device = next(network.parameters()).device
        fast = choose_precision(device) is torch.bfloat16
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            seen = seen.to(device).contiguous(memory_format=torch.channels_last)
            logits = network.logits(seen)
        found = torch.sigmoid(logits.float()) * inside.to(device)
        return found, (batch[:, 4] * inside[:, 0]).to(device)


@torch.no_grad()
def _start_channel(network: LocalDiscriminationNet, crops: _Crops) -> None:
    """Start the structure's channel from the cluster that shows the structure best."""
    network.eval()
    overlap = total = torch.zeros(crops.card.clusters)
    for step in range(_STARTING_CROPS):
        found, truth = crops.look(network, step, purpose=4)
        overlap = overlap + (found * truth[:, None]).sum((0, 2, 3))
        total = total + found.sum((0, 2, 3)) + truth.sum()
    score, best = (2 * overlap / total.clamp_min(_SMOOTH)).max(0)
    last = network.clustering_branch[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    if score >= _LEAST_DICE:
        last.weight[_CHANNEL] = last.weight[best].clone()
        last.bias[_CHANNEL] = last.bias[best].clone()
    else:
        # The channel's former meaning must not be in the way.
        nn.init.normal_(last.weight[_CHANNEL], std=0.02)
        last.bias[_CHANNEL] = 0


def _dice_loss(found: Tensor, truth: Tensor) -> Tensor:
    found = found[:, _CHANNEL]
    overlap = (found * truth).sum()
    return 1 - (2 * overlap + _SMOOTH) / (found.sum() + truth.sum() + _SMOOTH)


def _stacked(thumbnails: list[Tensor]) -> Tensor:
    """Stack (C, h, w) thumbnails of whole images, which may differ in size."""
    height = max(t.shape[1] for t in thumbnails)
    width = max(t.shape[2] for t in thumbnails)
    return torch.stack(
        [
            nn.functional.pad(t, (0, width - t.shape[2], 0, height - t.shape[1]))
            for t in thumbnails
        ]
    )


def _centre(source: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Choose x, y of a crop's centre; every other one near the structure."""
    near = float(torch.rand((), generator=generator)) < 0.5
    rows, columns = torch.nonzero(source[4] > 0.5, as_tuple=True)
    offset = uniform(-0.4, 0.4, (2,), generator) * size
    if near and len(rows):
        pick = int(torch.randint(len(rows), (), generator=generator))
        return torch.stack([columns[pick], rows[pick]]).float() + offset
    middle = torch.tensor([source.shape[2], source.shape[1]]) / 2
    return middle + uniform(-0.3, 0.3, (2,), generator) * 2 * middle
