"""Local discriminative representation of medical images, for napari and for scripts.

The public names below are imported when they are first used, so that importing the
package costs next to nothing: torch, napari and Qt stay out until they are needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.adaptation import adapt
    from .core.annotation import Classifier, learn
    from .core.concepts import Concept, load_concept
    from .core.embedding import Embedding, embed
    from .core.errors import LocalDiscError
    from .core.model_files import list_models
    from .core.models import Model, load_model
    from .core.training import train
    from .core.transfer import finetune
    from .io.cache import content_hash
    from .io.images import read_image

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Concept",
    "Embedding",
    "LocalDiscError",
    "Model",
    "__version__",
    "adapt",
    "content_hash",
    "embed",
    "finetune",
    "learn",
    "list_models",
    "load_concept",
    "load_model",
    "read_image",
    "train",
]

_MODULES = {
    "Classifier": ".core.annotation",
    "Concept": ".core.concepts",
    "Embedding": ".core.embedding",
    "LocalDiscError": ".core.errors",
    "Model": ".core.models",
    "adapt": ".core.adaptation",
    "content_hash": ".io.cache",
    "embed": ".core.embedding",
    "finetune": ".core.transfer",
    "learn": ".core.annotation",
    "list_models": ".core.model_files",
    "load_concept": ".core.concepts",
    "load_model": ".core.models",
    "read_image": ".io.images",
    "train": ".core.training",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name], __name__), name)
        globals()[name] = value  # the next use does not come here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
