"""The training loop: both stages, resumable, on any device that Fabric knows."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset

from napari_localdisc.core.errors import Cancelled, TrainingError
from napari_localdisc.core.files import atomic_path
from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.network import (
    LocalDiscriminationNet,
    blend,
    channels_last,
    cluster_probability,
    freeze_statistics,
    region_embedding,
)
from napari_localdisc.core.priors import DrawnPrior, FittedPrior, Prior

from .adversary import Adversary
from .augment import undo_turn
from .batches import Batch, WindowDataset, Windows, make_batch, step_generator
from .kin import FOUND, begin_from_kin, found_when_drawn, known_to
from .objective import STRIDE, Objective
from .photographs import Photographs
from .progress import Progress
from .rendering import Drawings, Renderer
from .settings import TrainingSettings
from .teacher import believed

_VALIDATION_BATCHES = 4
_CENTRE_BATCHES = 16
_WARM_UP = 0.03
_LOWEST_RATE = 0.01
_KEPT = "step", "seconds", "best", "without_improvement"
"""Of a trainer, what checkpoints hold as it is."""


class BothBranches(nn.Module):
    """The network's raw outputs as ``forward``, which is what Fabric wraps."""

    def __init__(self, network: LocalDiscriminationNet, vector_stride: int = 1) -> None:
        super().__init__()
        self.network, self.vector_stride = network, vector_stride

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `LocalDiscriminationNet.raw`."""
        return self.network.raw(x, self.vector_stride)


class Trainer:
    """Trains one network on prepared photographs.

    Parameters
    ----------
    settings : TrainingSettings
        What to do.
    photographs : Photographs
        Prepared with the same priors.
    priors : sequence of Prior
        In the order of the clusters that they steer.
    fabric : Fabric
        Device, precision and processes; launched.
    start : Model, optional
        A model to go on from instead of random weights.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        photographs: Photographs,
        priors: list[Prior],
        fabric: Fabric,
        start: Model | None = None,
    ) -> None:
        self.settings, self.fabric, self.priors = settings, fabric, priors
        self._start = start
        self.training, self.held_out = photographs.split(settings.held_out)
        is_drawn = [isinstance(p, DrawnPrior) for p in priors]
        self.drawn = [k for k, drawn in enumerate(is_drawn) if drawn]
        self.fitted = [k for k, p in enumerate(priors) if p.fit is not None]
        self.lines = tuple(p.is_line for p in priors if isinstance(p, DrawnPrior))
        self.renderer = self._renderer()
        self.structures = {p.structure: k for k, p in enumerate(priors)}
        self.step, self.seconds = 0, 0.0
        self.best: dict[str, float] = {}
        self.without_improvement = 0

        torch.manual_seed(settings.seed)
        network = start.card.network() if start else self._card("new").network()
        if start:
            network.load_state_dict(start.network.state_dict())
            begin_from_kin(network, self.structures, known_to(start.card))
        self._bare = network = channels_last(network)
        self.averaged = AveragedModel(
            network,
            multi_avg_fn=get_ema_multi_avg_fn(settings.averaging),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        self.chosen = AveragedModel(network)
        optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
        self.network, self.optimizer = fabric.setup(
            BothBranches(network, STRIDE), optimizer
        )
        self.averaged.to(fabric.device)
        self.chosen.to(fabric.device)
        self.scheduler = LambdaLR(self.optimizer, lambda _: self._rate())
        self.objective = Objective(
            settings, tuple(self.drawn), tuple(self.fitted), self.lines
        )
        self.adversary: Adversary | None = None
        if self.renderer is not None and settings.weights.adversarial:
            self.adversary = Adversary(fabric, self.renderer, settings.learning_rate)

    def _renderer(self) -> Renderer | None:
        drawn = [p for p in self.priors if isinstance(p, DrawnPrior)]
        if not drawn:
            return None
        s, side = self.settings, int(self.settings.crop_size * 1.75)
        stocks = [
            Drawings(p, s.drawings, side, s.working_diameter, s.seed) for p in drawn
        ]
        own = [self.fitted.index(k) if k in self.fitted else None for k in self.drawn]
        return Renderer(drawn, stocks, s.augmentation, own)

    def _card(self, name: str) -> ModelCard:
        s = self.settings
        return ModelCard(
            name,
            s.modality,
            s.working_diameter,
            s.in_channels,
            s.embedding_dim,
            s.clusters,
            s.width,
            dict(self.structures),
            s.surround,
            [
                prior.structure
                for prior in self.priors
                if isinstance(prior, FittedPrior) and prior.is_single
            ],
        )

    @property
    def share(self) -> float:
        """Progress in [0, 1]: by steps or by time, whichever is further."""
        share = self.step / self.settings.steps
        if self.settings.minutes is not None:
            share = max(share, self.seconds / (60 * self.settings.minutes))
        return min(1.0, share)

    def _rate(self) -> float:
        share = self.share
        if share < _WARM_UP:
            return max(_LOWEST_RATE, share / _WARM_UP)
        past = (share - _WARM_UP) / (1 - _WARM_UP)
        return _LOWEST_RATE + (1 - _LOWEST_RATE) * (1 + math.cos(math.pi * past)) / 2

    def run(self, cancel: Callable[[], bool] | None = None) -> Iterator[Progress]:
        """Train to the end, yielding after each step.

        What ends a training is the first process's decision: one that went on alone
        would wait for the others for ever.

        Raises
        ------
        Cancelled
            If ``cancel`` says so; the state is that after the last whole step.
        """
        agreed = self.fabric.broadcast
        is_first = True
        for windows in self._windows():
            if agreed(cancel is not None and cancel()):
                raise Cancelled
            started = time.monotonic()
            losses = self._train_step(windows)
            self.step += 1
            self.scheduler.step()
            due = self.step % self.settings.validate_every == 0
            validation = self.validate() if due else None
            # The first step sets everything up: it says nothing of the others
            spent = 0.0 if is_first else time.monotonic() - started
            is_first = False
            self.seconds = agreed(self.seconds + spent)
            yield Progress(
                self.step,
                self.settings.steps,
                self.share,
                self.seconds,
                losses,
                validation,
            )
            patience = self.settings.patience
            if self.share >= 1 or (
                patience and agreed(self.without_improvement >= patience)
            ):
                break

    def _windows(self) -> Iterator[Windows]:
        dataset = WindowDataset(self.training, self.settings, self.fabric.global_rank)
        remaining = Subset(dataset, range(self.step, self.settings.steps))
        on_cpu = self.fabric.device.type == "cpu"
        loader: DataLoader[Windows] = DataLoader(
            remaining,
            batch_size=None,
            num_workers=0 if on_cpu else 4,
            pin_memory=False,
            multiprocessing_context=None if on_cpu else "fork",
        )
        for windows in loader:
            yield windows.to(self.fabric.device)

    def _train_step(self, windows: Windows) -> dict[str, float]:
        settings, rank = self.settings, self.fabric.global_rank
        batch = make_batch(windows, settings, self.renderer, rank)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        generator = step_generator(settings.seed, windows.step, rank, purpose=2)
        self.network.train()
        if settings.keep_statistics:
            freeze_statistics(self.network)
        vectors, logits = self.network(images)
        terms = self.objective(
            vectors, logits, batch, self.share, generator, self._teacher(batch)
        )
        if self.adversary is not None:
            maps = torch.sigmoid(logits[: 2 * batch.pairs, self.drawn[:1]].float())
            terms["adversarial"] = (
                settings.weights.adversarial
                * self.adversary.generator_loss(maps, self.share, generator)
            )
        loss = torch.stack(list(terms.values())).sum()
        if self.fabric.world_size > 1:
            # DDP waits for the clustering branch in stage 1, too
            loss = loss + 0 * logits.sum()
        if not torch.isfinite(loss):
            raise TrainingError(
                "The loss is no longer finite: lower the learning rate and resume."
            )
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.network, self.optimizer, max_norm=5.0)
        self.optimizer.step()
        if self.adversary is not None:
            self.adversary.train_discriminator(maps, self.share, generator)
        self.averaged.update_parameters(self._bare)
        return {"total": loss.item()} | {k: v.item() for k, v in terms.items()}

    @property
    def _mean(self) -> LocalDiscriminationNet:
        return cast("LocalDiscriminationNet", self.averaged.module)

    @torch.no_grad()
    def _teacher(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        settings = self.settings
        late = self.share >= settings.self_training_from
        if not (late and self.drawn and settings.weights.self_training):
            return None
        # Four mirrored looks err less than one does
        mirrors: list[list[int]] = [[], [2], [3], [2, 3]]
        looks = torch.cat([batch.plain.flip(axes) for axes in mirrors])
        looks = looks.contiguous(memory_format=torch.channels_last)
        with self.fabric.autocast():
            logits = self._mean.eval().logits(looks)
        seen = torch.sigmoid(logits[:, self.drawn].float()).chunk(len(mirrors))
        back = [p.flip(axes) for p, axes in zip(seen, mirrors, strict=True)]
        probability = torch.stack(back).mean(0)
        return believed(probability, self.lines, batch.inside[: batch.pairs])

    def _averaged_forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = images.contiguous(memory_format=torch.channels_last)
        with self.fabric.autocast():
            return self._mean.eval().raw(images)

    @cached_property
    def _fixed_batches(self) -> list[Batch]:
        seed = self.settings.seed + 104729
        fixed = dataclasses.replace(self.settings, seed=seed, steps=_VALIDATION_BATCHES)
        return self._batches(self.held_out, fixed, self.renderer)

    def _batches(
        self,
        photographs: Photographs,
        settings: TrainingSettings,
        renderer: Renderer | None,
    ) -> list[Batch]:
        dataset = WindowDataset(photographs, settings)
        return [
            make_batch(dataset[k].to(self.fabric.device), settings, renderer)
            for k in range(settings.steps)
        ]

    def validate(self) -> dict[str, float]:
        """Measure the averaged network; keep it if it is the best so far."""
        measured = validate(
            self._fixed_batches, self.drawn, self.fitted, self._averaged_forward
        )
        if measured["score"] >= self.best.get("score", -math.inf):
            self.best, self.without_improvement = measured, 0
            self.chosen.load_state_dict(self.averaged.state_dict())
        else:
            self.without_improvement += 1
        return measured

    def snapshot(self) -> Model:
        """Return the averaged network as it is now, for a look at what it tells apart.

        Its clusters' centres are not measured: they are zero.
        """
        s = self.settings
        centres = np.zeros((s.clusters, s.embedding_dim), np.float32)
        return Model(self._card("snapshot"), copy.deepcopy(self._mean), centres)

    def model(self, name: str, details: dict[str, Any]) -> Model:
        """Return the best averaged network so far as a model; the training is over."""
        if not self.best:
            self.validate()
        self.averaged.load_state_dict(self.chosen.state_dict())
        if self._start is not None:
            blend(self._mean, self._start.network, self.settings.start_share)
        settings = dataclasses.replace(self.settings, steps=_CENTRE_BATCHES)
        batches = self._batches(self.training, settings, None)
        centres = cluster_centres(batches, self._averaged_forward)
        network = self._card(name).network()
        network.load_state_dict(self.averaged.module.state_dict())
        if self.drawn:
            found = found_when_drawn(
                self._fixed_batches, self.drawn, self._averaged_forward
            )
            names = {channel: name for name, channel in self.structures.items()}
            said = {names[k]: round(dice, 3) for k, dice in found.items()}
            details = details | {FOUND: said}
        card = dataclasses.replace(self._card(name), details=details)
        return Model(card, network, centres.cpu().numpy())

    def save(self, path: Path) -> None:
        """Write a checkpoint that `load` goes on from; in the first process."""
        state = self._parts() | {key: getattr(self, key) for key in _KEPT}
        state["settings"] = self.settings.as_dict()
        with atomic_path(path) as temporary:
            # Not fabric.save, which waits for the others: they may be interrupted
            self.fabric.strategy.save_checkpoint(temporary, state)

    def load(self, kept: dict[str, Any]) -> None:
        """Go on from what `read_checkpoint` returned.

        Raises
        ------
        TrainingError
            If it is of another network.
        """
        try:
            for name, part in self._parts().items():
                part.load_state_dict(kept[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                "The checkpoint is of a network of another shape; choose another "
                "output."
            ) from error
        for key in _KEPT:
            setattr(self, key, kept[key])

    def _parts(self) -> dict[str, Any]:
        """Return everything that learns, under its names in a checkpoint."""
        parts = {
            "network": self._bare,
            "averaged": self.averaged,
            "chosen": self.chosen,
            "adam": self.optimizer,
        }
        if self.adversary is not None:
            parts["discriminator"] = self.adversary.discriminator.module
            parts["discriminator_adam"] = self.adversary.optimizer
        return parts


@torch.no_grad()
def validate(
    batches: list[Batch],
    drawn: list[int],
    fitted: list[int],
    forward: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> dict[str, float]:
    """Measure a network by its raw outputs on fixed batches.

    Returns
    -------
    dict of str to float
        ``drawn`` and ``fitted``: Dice of the priors' structures at 0.5; ``agreement``:
        share of pixels that both views put in one cluster; ``score``: their mean, by
        which models are chosen.
    """
    dice: dict[str, list[float]] = {"drawn": [], "fitted": []}
    agreement = []
    for batch in batches:
        _, logits = forward(batch.images)
        logits, b = logits.float(), batch.pairs
        probability = cluster_probability(logits)
        if batch.drawn.numel():
            found = logits[-len(batch.drawn) :, drawn] > 0
            dice["drawn"] += _dice(found, batch.drawn > 0.5)
        if batch.fitted.numel():
            known = batch.fitted_known > 0
            found = (logits[: 2 * b, fitted] > 0) & known
            dice["fitted"] += _dice(found, (batch.fitted > 0.5) & known)
        back = undo_turn(probability[b : 2 * b], batch.maps, batch.second_maps)
        seen = batch.inside[:b] * (back.sum(1, keepdim=True) > 0.99)
        alike = probability[:b].argmax(1) == back.argmax(1)
        agreement.append(float((alike * seen[:, 0]).sum() / seen.sum().clamp_min(1)))
    result = {k: sum(v) / len(v) for k, v in dice.items() if v}
    result["agreement"] = sum(agreement) / len(agreement)
    result["score"] = sum(result.values()) / len(result)
    return result


def _dice(found: Tensor, truth: Tensor) -> list[float]:
    """Dice of each structure over the batch, where the truth holds any."""
    both = (found & truth).sum((0, 2, 3)).float()
    total = (found.sum((0, 2, 3)) + truth.sum((0, 2, 3))).float()
    present = truth.sum((0, 2, 3)) > 20
    return [float(v) for v in (2 * both / total.clamp_min(1))[present]]


@torch.no_grad()
def cluster_centres(
    batches: list[Batch], forward: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """Return the clusters' mean region embeddings over batches: (M, D) unit vectors."""
    total = torch.zeros(())
    for batch in batches:
        vectors, logits = forward(batch.images)
        real = slice(0, 2 * batch.pairs)
        vectors = torch.nn.functional.normalize(vectors.float(), dim=1)
        regions = region_embedding(
            vectors[real], cluster_probability(logits)[real], batch.inside[real]
        )
        total = total.to(regions) + regions.sum(0)
    return torch.nn.functional.normalize(total, dim=1)
