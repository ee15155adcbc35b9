"""Local discriminative representation of medical images, for napari and for scripts.

The public names below are imported when they are first used, so that importing the
package costs next to nothing: torch, napari and Qt stay out until they are needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.version import __version__

if TYPE_CHECKING:
    from .batch.collecting import find, index
    from .core.embedding.embed import embed
    from .core.embedding.embedding import Embedding
    from .core.errors import LocalDiscError
    from .core.image.files import read_image
    from .core.learning.classifier import Classifier, learn
    from .core.learning.concept import Concept, load_concept
    from .core.learning.landmark import Landmark, landmark
    from .core.measure.measure import measure
    from .core.model.card import list_models
    from .core.model.model import Model, load_model
    from .core.training.adapt import adapt
    from .core.training.finetune import finetune
    from .core.training.train import train
    from .io.bioimageio import export_bioimageio, import_bioimageio
    from .io.cache import content_hash
    from .io.collection import Collection, open_collection

__all__ = [
    "Classifier",
    "Collection",
    "Concept",
    "Embedding",
    "Landmark",
    "LocalDiscError",
    "Model",
    "__version__",
    "adapt",
    "content_hash",
    "embed",
    "export_bioimageio",
    "find",
    "finetune",
    "import_bioimageio",
    "index",
    "landmark",
    "learn",
    "list_models",
    "load_concept",
    "load_model",
    "measure",
    "open_collection",
    "read_image",
    "train",
]

_MODULES = {
    "Classifier": ".core.learning.classifier",
    "Collection": ".io.collection",
    "Concept": ".core.learning.concept",
    "Embedding": ".core.embedding.embedding",
    "Landmark": ".core.learning.landmark",
    "LocalDiscError": ".core.errors",
    "Model": ".core.model.model",
    "adapt": ".core.training.adapt",
    "content_hash": ".io.cache",
    "embed": ".core.embedding.embed",
    "export_bioimageio": ".io.bioimageio",
    "find": ".batch.collecting",
    "finetune": ".core.training.finetune",
    "import_bioimageio": ".io.bioimageio",
    "index": ".batch.collecting",
    "landmark": ".core.learning.landmark",
    "learn": ".core.learning.classifier",
    "list_models": ".core.model.card",
    "load_concept": ".core.learning.concept",
    "load_model": ".core.model.model",
    "measure": ".core.measure.measure",
    "open_collection": ".io.collection",
    "read_image": ".core.image.files",
    "train": ".core.training.train",
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
