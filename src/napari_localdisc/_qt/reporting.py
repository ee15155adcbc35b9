"""Errors → napari's notifications."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error, show_warning

from napari_localdisc.core.errors import LocalDiscError, PromptError


def report(error: Exception) -> None:
    """Show what the user can put right as a sentence, and anything else as a bug."""
    if isinstance(error, PromptError):
        show_warning(str(error))
    elif isinstance(error, LocalDiscError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
