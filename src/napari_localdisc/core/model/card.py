"""Where models are and what their cards say, found out without importing torch."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from napari_localdisc.core.errors import LocalDiscError, ModelError
from napari_localdisc.core.names import Modality
from napari_localdisc.core.validation import first_fault

if TYPE_CHECKING:
    from .network import LocalDiscriminationNet

SUFFIX = ".safetensors"
CARD_KEY = "localdisc_card"
"""Key of a file's metadata that holds the model card as JSON."""

FEWEST, MOST = 2, 16
"""Range of the number of clusters that an image can be shown in."""

SMALLEST, LARGEST = 0.25, 4.0
"""Range of magnifications that an image can be seen at."""

LABELLED = "labelled_images"
"""Field of the details: how many labelled images a model was trained on."""


def user_model_folder() -> Path:
    """Folder where models that the user trains are looked for.

    ``LOCALDISC_MODELS`` overrides it.
    """
    import platformdirs

    default = platformdirs.user_data_path("napari-localdisc", appauthor=False)
    return Path(os.environ.get("LOCALDISC_MODELS", default / "models"))


@cache
def _bundled_folder() -> Path:
    return Path(str(resources.files("napari_localdisc") / "data" / "models"))


def list_models() -> dict[str, Path]:
    """Return name → file of the bundled models, then of those in the user's folder."""
    models: dict[str, Path] = {}
    for folder in (_bundled_folder(), user_model_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            models.setdefault(path.stem, path)
    return models


Name = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class ModelCard:
    """What a user must know of a model, and what rebuilds its network.

    Attributes
    ----------
    name : str
        What the model is called in choosers and on the command line.
    modality : {"fundus", "frame"}
        Whether images have a round field of view in a dark frame, or fill the frame.
    working_diameter : int
        Pixels that the field of view's diameter (or the longer side of the frame)
        has on the working grid.
    in_channels, embedding_dim, clusters, width : int
        Arguments of `LocalDiscriminationNet`.
    structures : dict of str to int
        Named structures and the clustering-branch channel that shows each.
    surround : float
        How far around a round field of view the network sees it mirrored, as a share
        of the working diameter; 0: it sees where it ends.
    single : list of str
        Structures that an image shows once: all but the largest round piece is none.
    details : dict
        Everything else: data, licence, steps, losses, seeds, device, quality.
    """

    name: Name
    modality: Modality = "fundus"
    working_diameter: Annotated[int, Field(ge=16, le=1 << 14)] = 540
    in_channels: Annotated[int, Field(ge=1, le=64)] = 6
    embedding_dim: Annotated[int, Field(ge=1, le=1024)] = 32
    clusters: Annotated[int, Field(ge=1, le=255)] = 16
    width: Annotated[int, Field(ge=1, le=256)] = 16
    structures: dict[Name, Annotated[int, Field(ge=0)]] = field(default_factory=dict)
    surround: Annotated[float, Field(ge=0, le=0.25)] = 0.0
    single: list[Name] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.modality not in get_args(Modality):
            raise ModelError(
                f"The model card names the modality {self.modality!r}; "
                f"it must be one of {', '.join(get_args(Modality))}."
            )
        wrong = [k for k, at in self.structures.items() if at >= self.clusters]
        if wrong:
            raise ModelError(
                f"The model card says that {wrong[0]} is in channel "
                f"{self.structures[wrong[0]]}, but there are only {self.clusters}."
            )
        unknown = [name for name in self.single if name not in self.structures]
        if unknown:
            raise ModelError(
                f"The model card says that an image shows one {unknown[0]}, but names "
                "no such structure."
            )

    @property
    def has_seen_labels(self) -> bool:
        """Whether it was trained on a user's masks, as `finetune` does."""
        return LABELLED in self.details

    @property
    def surround_pixels(self) -> int:
        """``surround`` in pixels of the working grid."""
        return round(self.surround * self.working_diameter)

    @property
    def most_clusters(self) -> int:
        """The largest number of clusters that an image can be shown in."""
        return min(MOST, self.clusters)

    @property
    def typical(self) -> dict[str, tuple[float, float]]:
        """What its training images look like, see `misfit`; empty: not known.

        Of its details, or for a bundled model from the file beside it, which holds for
        the scale that it was measured at.
        """
        known = self.details.get("typical")
        if known is None:
            models = resources.files("napari_localdisc") / "data" / "models"
            # A stranger's card may name what is no file's name
            wanted = f"{self.name}.typical.json"
            files = [each for each in models.iterdir() if each.name == wanted]
            beside = json.loads(files[0].read_text("utf-8")) if files else {}
            scale = [self.modality, self.working_diameter]
            known = beside["looks"] if beside.get("scale") == scale else {}
        return {name: (low, high) for name, (low, high) in known.items()}

    def network(self) -> LocalDiscriminationNet:
        """Build a network of this card's shape with fresh weights."""
        from .network import LocalDiscriminationNet

        return LocalDiscriminationNet(
            self.in_channels, self.embedding_dim, self.clusters, self.width
        )

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card, ignoring fields of later versions.

        Raises
        ------
        ModelError
            If the text is no model card.
        """
        try:
            card = _validator().validate_json(text, strict=True)
            if card.details.get("typical") is not None:
                _looks().validate_python(card.details["typical"])
            return card
        except ValidationError as error:
            raise ModelError(
                f"The model card cannot be read: {first_fault(error)}."
            ) from error

    def __str__(self) -> str:
        lines = [f"# {self.name}", ""]
        shown = dataclasses.asdict(self)
        details = shown.pop("details")
        for name in ("surround", "single"):
            if not shown[name]:
                del shown[name]
        for key, value in {**shown, **details}.items():
            if key == "name":
                continue
            title = key.replace("_", " ")
            if isinstance(value, dict):
                lines.append(f"- {title}:" + ("" if value else " none"))
                lines += [f"  - {k}: {v}" for k, v in value.items()]
            else:
                lines.append(f"- {title}: {value}")
        return "\n".join(lines)


def check_magnification(magnification: float | None) -> None:
    """Raise a LocalDiscError where a magnification is out of range."""
    if magnification is not None and not SMALLEST <= magnification <= LARGEST:
        raise LocalDiscError(
            f"The magnification must be between {SMALLEST:g} and {LARGEST:g}, not "
            f"{magnification:g}."
        )


@cache
def _validator() -> TypeAdapter[ModelCard]:
    return TypeAdapter(ModelCard)


@cache
def _looks() -> TypeAdapter[dict[str, tuple[float, float]]]:
    return TypeAdapter(dict[str, tuple[FiniteFloat, FiniteFloat]])


def read_card(path: Path) -> ModelCard:
    """Read a model's card, leaving its weights on the disk.

    Raises
    ------
    ModelError
        If the file is missing, damaged or not one of ours.
    """
    import safetensors

    with naming_damage(path), safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
    if CARD_KEY not in metadata:
        raise ModelError(f"{path} is not a model of napari-localdisc: it has no card.")
    try:
        return ModelCard.from_json(metadata[CARD_KEY])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def is_ours(path: Path) -> bool:
    """Whether a file is a model of ours, of whatever version."""
    import safetensors

    try:
        with safetensors.safe_open(path, "numpy") as file:
            return CARD_KEY in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be read, in a ModelError."""
    import safetensors

    try:
        yield
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is damaged or not a {SUFFIX} file ({error}); get it again."
        ) from error


@dataclass(frozen=True)
class ModelFile:
    """A model's file as it is now; a file that is written again is another model."""

    path: Path
    modified: int
    size: int

    @classmethod
    def of(cls, name: str) -> ModelFile:
        """Find a model by its name.

        Raises
        ------
        ModelError
            If there is none of this name.
        """
        # Asked at each move of the mouse: no folder is listed where the file is there
        beside = [
            folder / f"{name}{SUFFIX}"
            for folder in (_bundled_folder(), user_model_folder())
        ]
        there = [path for path in beside if path.stem == name and path.is_file()]
        path = there[0] if there else list_models().get(name)
        if path is None:
            known = ", ".join(list_models()) or "none"
            raise ModelError(
                f"There is no model {name!r} any more; choose one of the known models "
                f"({known})."
            )
        status = path.stat()
        return cls(path, status.st_mtime_ns, status.st_size)
