"""What can be chosen about a training, with the values that bundled models use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.names import Modality
from napari_localdisc.core.validation import first_fault

from .augment import Augmentation

_FRAME_DIAMETER = 256


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term of the total loss.

    The paper's weights are patch 1, mix-up 1, region 10, entropy 0.1 and the rest 0;
    `docs/experiments.md` says what led to these.
    """

    patch: float = 0.3
    pixel: float = 0.3
    mixup: float = 0.3
    region: float = 3.0
    entropy: float = 0.3
    balance: float = 0.5
    view_agreement: float = 1.0
    branch_agreement: float = 1.0
    drawn: float = 6.0
    fitted: float = 1.5
    self_training: float = 1.0
    adversarial: float = 0.0


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training.

    Attributes
    ----------
    steps : int
        Optimisation steps, unless ``minutes`` ends earlier.
    minutes : float, optional
        Time budget; the learning rate follows whichever of both is nearer its end.
    priors : tuple of str
        Names or folders; the first steers cluster 0, the second cluster 1, …
    working_diameter, modality, surround, in_channels, embedding_dim, clusters, width
        As in the model card.
    crop_size : int
        Side of training crops in pixels, a multiple of 16.
    images_per_step : int
        Photographs that two views are taken of, in every process.
    rendered_per_step : int
        Crops with drawn structures, in every process.
    stage1_share : float
        Share of the training with discrimination of patches and mixtures only (and
        the priors); clusters come in afterwards.
    self_training_from : float
        Progress from which the averaged network's confident structures on one view
        are what the network must find on the other.
    learning_rate : float
        Peak of Adam's learning rate; it warms up, then falls along a cosine.
    averaging : float
        Decay of the moving average of the weights that becomes the model.
    start_share : float
        Weight of the model that training goes on from in the average of both that
        becomes the result.
    keep_statistics : bool
        Leave batch norm's statistics as the model has them that training goes on from.
    validate_every : int
        Steps between validations.
    patience : int
        Validations without an improvement that end the training early; 0: never.
    checkpoint_minutes : float
        Minutes between checkpoints.
    seed : int
        Everything random follows from it.
    """

    steps: int = 6000
    minutes: float | None = None
    priors: tuple[str, ...] = ()
    working_diameter: Annotated[int, Field(le=1 << 14)] = 576
    modality: Modality = "fundus"
    surround: float = 0.0
    in_channels: Annotated[int, Field(ge=1, le=64)] = 6
    embedding_dim: Annotated[int, Field(ge=1, le=1024)] = 32
    clusters: Annotated[int, Field(ge=1, le=255)] = 16
    width: Annotated[int, Field(ge=1, le=256)] = 16
    crop_size: int = 192
    images_per_step: int = 2
    rendered_per_step: int = 4
    stage1_share: float = 0.1
    self_training_from: float = 0.4
    learning_rate: float = 2e-3
    averaging: float = 0.997
    start_share: float = 0.0
    keep_statistics: bool = False
    pixel_pairs: int = 256
    patch_grid: int = 12
    pixel_temperature: float = 0.2
    patch_temperature: float = 0.1
    region_temperature: float = 0.2
    drawings: int = 600
    held_out: int = 24
    validate_every: int = 250
    patience: int = 0
    checkpoint_minutes: float = 3.0
    seed: int = 0
    weights: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise TrainingError(f"Training needs at least 1 step, not {self.steps}.")
        if self.crop_size % 16 or self.crop_size < 32:
            raise TrainingError(
                f"The crop size must be a multiple of 16 from 32, not {self.crop_size}."
            )
        if self.crop_size > self.working_diameter:
            raise TrainingError(
                f"Crops of {self.crop_size} pixels do not fit a working diameter of "
                f"{self.working_diameter}."
            )
        if len(self.priors) > self.clusters:
            raise TrainingError(
                f"{len(self.priors)} priors need as many clusters; there are "
                f"{self.clusters}."
            )
        if self.images_per_step < 2:
            raise TrainingError("Mix-up needs at least 2 images a step.")

    @property
    def surround_pixels(self) -> int:
        """``surround`` in pixels of the working grid."""
        return round(self.surround * self.working_diameter)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def for_modality(cls, modality: Modality, **changes: Any) -> TrainingSettings:
        """Return the bundled models' settings, with changes.

        Images that fill the frame, like chest radiographs, have a top and a bottom, a
        left and a right: they are seen nearly whole, turned little and not mirrored.

        Parameters
        ----------
        modality : {"fundus", "frame"}
            As in the model card.
        **changes
            Other attributes, also as JSON holds them.

        Raises
        ------
        TrainingError
            If the settings contradict each other.
        """
        values: dict[str, Any] = {"modality": modality}
        if modality == "fundus":
            values |= {
                "surround": 0.04,
                "weights": LossWeights(self_training=2.0),
                "augmentation": Augmentation(0.6, 1.7, roughness=1.0),
            }
        else:
            diameter = changes.get("working_diameter", _FRAME_DIAMETER)
            values |= {
                "working_diameter": diameter,
                "crop_size": max(32, diameter // 16 * 16),
                "rendered_per_step": 2,
                "averaging": 0.99,
                "weights": LossWeights(fitted=5.0),
                "augmentation": Augmentation(
                    0.8,
                    1.2,
                    turn_jitter=5.0,
                    largest_turn=10.0,
                    mirror=False,
                    radiographs=True,
                ),
            }
        return cls(**values | _typed(changes))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingSettings:
        """Read what `as_dict` gave, from a file that may be damaged.

        Raises
        ------
        TrainingError
            If they are no settings.
        """
        unknown = values.keys() - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise TrainingError(f"There is no setting {min(unknown)!r} of trainings.")
        try:
            return _validator().validate_python(values)
        except ValidationError as error:
            raise TrainingError(
                f"The training's settings cannot be read: {first_fault(error)}."
            ) from error


@cache
def _validator() -> TypeAdapter[TrainingSettings]:
    return TypeAdapter(TrainingSettings)


_TYPES: dict[str, Callable[[Any], Any]] = {
    "priors": tuple,
    "weights": lambda kept: LossWeights(**kept),
    "augmentation": lambda kept: Augmentation(**kept),
}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give lists and tables of JSON the types they have as attributes."""
    return {
        key: _TYPES[key](value) if isinstance(value, list | dict) else value
        for key, value in values.items()
    }
