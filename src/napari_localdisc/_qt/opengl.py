"""A fault of napari and vispy that ends the process when layers go, mended."""

import functools
from typing import Any


def keep_to_own_context() -> None:
    """Let every canvas of vispy send its commands to its own OpenGL context.

    napari (seen in 0.9) has vispy (0.17) delete what a removed layer drew with at once,
    whichever context is current: while events are handled, that is the one in which Qt
    puts the window together.  Programs, arrays and textures are then deleted behind the
    back of the context that still uses them, and the next draw ends the process in the
    driver.
    """
    from qtpy.QtGui import QOpenGLContext
    from vispy.gloo.context import GLContext

    flush_commands = GLContext.flush_commands
    if hasattr(flush_commands, "unmended"):
        return

    @functools.wraps(flush_commands)  # a canvas finds it by its name
    def flush_in_own_context(self: Any, event: Any = None) -> None:
        canvas = self.shared.ref
        own = canvas.context() if hasattr(canvas, "makeCurrent") else None
        current = QOpenGLContext.currentContext()
        if own is None or current == own:
            flush_commands(self, event)
            return
        surface = None if current is None else current.surface()
        canvas.makeCurrent()
        try:
            flush_commands(self, event)
        finally:
            canvas.doneCurrent()
            if current is not None:
                current.makeCurrent(surface)

    flush_in_own_context.unmended = flush_commands  # type: ignore[attr-defined]
    GLContext.flush_commands = flush_in_own_context
