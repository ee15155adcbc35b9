"""A fault of vispy that ends napari when layers go and others come, mended."""

from typing import Any


def mend_deleted_programs() -> None:
    """Let vispy know no longer a GL program that it deletes as the one in use.

    vispy (seen in 0.17) remembers which program is in use by its number.  When that one
    is deleted, as happens with a layer that goes, the driver may give its number to the
    program of a layer that comes.  vispy then takes this one for used already, draws
    with the deleted one, and the driver ends the process.
    """
    from vispy.gloo.glir import GlirProgram

    delete = GlirProgram.delete
    if getattr(delete, "is_mended", False):
        return

    def delete_out_of_use(self: Any) -> None:
        if self._parser.env.get("current_program") == self._handle:
            self.deactivate()
        delete(self)

    delete_out_of_use.is_mended = True  # type: ignore[attr-defined]
    GlirProgram.delete = delete_out_of_use
