"""Errors whose message is one sentence that a user can act on."""


class LocalDiscError(ValueError):
    """Something the user can put right; the message says what and how."""


class ImageError(LocalDiscError):
    """An image that cannot be used as it is."""


class ModelError(LocalDiscError):
    """A model that is unknown, unreadable or does not fit."""


class PromptError(LocalDiscError):
    """A prompt, mask or label that does not fit the image."""


class TrainingError(LocalDiscError):
    """Training data or settings that cannot work."""


class FileError(LocalDiscError):
    """A file that cannot be read or written as asked."""


class MisfitWarning(UserWarning):
    """An image of another kind than a model learned from."""


class Cancelled(Exception):
    """Long work was stopped because the user asked for it."""
