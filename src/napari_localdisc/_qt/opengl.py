"""Faults of vispy that end napari when layers go and others come, mended."""

from typing import Any

_ATTRIBUTES = 16
"""Arrays of vertices that every driver has at least."""


def mend_deleted_objects() -> None:
    """Let vispy not draw with what it deleted.

    vispy (seen in 0.17) remembers which GL program is in use by its number.  When that
    one is deleted, as happens with a layer that goes, the driver may give its number to
    the program of a layer that comes.  vispy then takes this one for used already and
    draws with the deleted one.  Arrays of vertices, too, stay switched on when their
    buffer is deleted.  Either ends the process in Mesa's drivers.
    """
    from vispy.gloo import glir
    from vispy.gloo.glir import GlirBuffer, GlirProgram

    if getattr(GlirProgram.delete, "is_mended", False):
        return
    delete_program, delete_buffer = GlirProgram.delete, GlirBuffer.delete

    def delete_out_of_use(self: Any) -> None:
        if self._parser.env.get("current_program") == self._handle:
            self.deactivate()
        delete_program(self)

    def delete_unread(self: Any) -> None:
        for number in range(_ATTRIBUTES):  # a draw switches on what it needs
            glir.gl.glDisableVertexAttribArray(number)
        delete_buffer(self)

    delete_out_of_use.is_mended = True  # type: ignore[attr-defined]
    GlirProgram.delete, GlirBuffer.delete = delete_out_of_use, delete_unread
