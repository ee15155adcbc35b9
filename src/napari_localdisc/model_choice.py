"""The models there are and the one that is used; no weights are read."""

from __future__ import annotations

from .core.errors import ModelError
from .core.model_files import ModelSummary, list_models, summarise_model
from .embedding_work import ModelFile

DEFAULT_MODEL = "fundus"
FEWEST, MOST = 2, 16
"""Range of the number of structures that an image can be shown in."""


class ModelChoice:
    """A model's name and what its card says; the first readable model is chosen."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._summary: ModelSummary | None = None
        names = sorted(self.names, key=lambda name: name != DEFAULT_MODEL)
        for name in names:
            try:
                self.choose(name)
            except ModelError:
                continue  # it is reported when the user chooses it
            return

    @property
    def names(self) -> list[str]:
        """Names of the models there are now."""
        return list(list_models())

    def choose(self, name: str) -> None:
        """Choose a model.

        Raises
        ------
        ModelError
            If it is gone or damaged; it is chosen all the same.
        """
        self.name, self._summary = name, None
        self._summary = summarise_model(ModelFile.of(name).path)

    @property
    def structures(self) -> tuple[str, ...]:
        """Structures that the model's card names."""
        return self._summary.structures if self._summary is not None else ()

    @property
    def most_structures(self) -> int:
        """The largest number of structures that the model can tell apart."""
        return min(MOST, self._summary.clusters) if self._summary is not None else MOST

    @property
    def file(self) -> ModelFile:
        """The model's file as it is now.

        Raises
        ------
        ModelError
            If there is none.
        """
        if self.name is None:
            raise ModelError(
                "No model is installed: install the package again, or put a model "
                "into the folder that LOCALDISC_MODELS names."
            )
        return ModelFile.of(self.name)
