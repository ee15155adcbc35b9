"""State and operations of one viewer; without Qt, so that scripts drive it too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from . import presenting
from .click_mode import ClickMode
from .core.errors import ImageError, PromptError
from .layers import point_on_plane
from .model_choice import FEWEST
from .plane_state import Prompt, within
from .workspace import Workspace, raise_error

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from .embedding_work import Embedded
    from .layers import Plane
    from .running import Runner

DEFAULT_NUMBER = 8


class Controller(Workspace):
    """What the plugin does in one viewer.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer; need not have a window.
    runner : Runner, optional
        Runs long work; by default at once, before the call returns.
    report : callable, optional
        Gets every error; by default it is raised.
    """

    number_changed = Signal(int)
    """Another number of structures."""
    clusters_changed = Signal()
    """Cluster labels were written."""
    finding_changed = Signal(bool)
    """Clicks became prompts, or stopped to."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
    ) -> None:
        super().__init__(viewer, runner, report)
        self._wanted_number = DEFAULT_NUMBER
        self._clicks = ClickMode(viewer, self._on_click)
        self.invite()

    def close(self) -> None:
        """Stop all work and give the viewer its own behaviour back; layers stay."""
        self._clicks.leave()
        super().close()

    def set_model(self, name: str) -> None:
        """Choose a model; prompts are shown anew, clusters when they are asked for."""
        if name == self.model:
            return
        number = self.number_of_structures
        super().set_model(name)
        if self.number_of_structures != number:
            self.number_changed.emit(self.number_of_structures)
        if self.prompts:
            self._request("similarity", self._show_similarity)

    def _layer_here(self, name: str) -> Any | None:
        state = self._state_here()
        derived = getattr(state, name) if state is not None else None
        return derived.layer(self.viewer) if derived is not None else None

    # Clusters

    @property
    def clusters_layer(self) -> Labels | None:
        """The cluster labels of the plane that is shown, if they are in the viewer."""
        return self._layer_here("clusters")

    @property
    def number_of_structures(self) -> int:
        """How many structures an image is shown in."""
        return min(self._wanted_number, self.most_structures)

    def cluster(self) -> None:
        """Label the structures of the plane that is shown."""
        self._request("clusters", self._show_clusters)

    def set_number_of_structures(self, number: int) -> None:
        """Show more or fewer structures; clusters that are shown follow at once.

        They follow after new work only if the embedding is no longer in memory.
        """
        number = max(FEWEST, min(int(number), self.most_structures))
        if number == self.number_of_structures:
            return
        self._wanted_number = number
        self.number_changed.emit(number)
        if self.clusters_layer is not None:
            self.cluster()

    def _show_clusters(self, layer: Image, plane: Plane, known: Embedded) -> None:
        state, number = self._state(layer, plane), self.number_of_structures
        edited = presenting.show_clusters(
            self.viewer, state, layer, plane, known, number
        )
        self.clusters_changed.emit()
        if edited:
            self._say("You painted on the labels, so new ones are in their own layer.")
        else:
            self._say(
                f"{number} structures. Move the slider for more or fewer; a "
                "colour means the same in every image."
            )

    # Similarity

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts on the plane that is shown."""
        state = self._state_here()
        return tuple(state.prompts) if state is not None else ()

    @property
    def similarity_layer(self) -> Image | None:
        """The similarity map of the plane that is shown, if it is in the viewer."""
        return self._layer_here("similarity")

    @property
    def is_finding(self) -> bool:
        """Whether clicks in the canvas are prompts."""
        return self._clicks.is_active

    def set_finding(self, finding: bool) -> None:
        """Let clicks in the canvas be prompts, or stop to."""
        if finding == self._clicks.is_active:
            return
        if finding:
            self._clicks.enter()
        else:
            self._clicks.leave()
        self.finding_changed.emit(finding)
        self.invite()
        if finding and self.image is not None:
            self._request("prepare", lambda layer, plane, known: self.invite())

    def add_prompt(self, point: Sequence[float], positive: bool = True) -> None:
        """Add a point that is, or is not, like what is looked for.

        Parameters
        ----------
        point : sequence of float
            (row, column) in pixels of the plane that is shown.
        positive : bool
            Whether similar pixels are wanted or unwanted.
        """
        with self._embedder.reporting():
            layer, plane = self._here()
            row, column = (float(value) for value in point)
            if not plane.contains((row, column)):
                raise PromptError(
                    f"The point is outside “{layer.name}”: choose one on the image."
                )
            self._state(layer, plane).prompts.append(Prompt(row, column, positive))
            self.prompts_changed.emit()
            self._request("similarity", self._show_similarity)

    def clear_prompts(self) -> None:
        """Forget the prompts of the plane that is shown, and their map."""
        state = self._state_here()
        if state is None:
            return
        presenting.clear_similarity(self.viewer, state)
        self.prompts_changed.emit()
        self.invite()

    def _show_similarity(self, layer: Image, plane: Plane, known: Embedded) -> None:
        state = self._state(layer, plane)
        inside = within(state.prompts, known.embedding.field_of_view)
        outside = len(state.prompts) - len(inside)
        state.prompts = inside
        presenting.show_similarity(self.viewer, state, layer, plane, known)
        self.invite()
        if outside:
            self.prompts_changed.emit()
            raise PromptError(
                "The point is outside the field of view: choose one where the image "
                "shows something."
            )

    def _on_click(self, position: tuple[float, ...], positive: bool) -> None:
        dims = self.viewer.dims
        with self._embedder.reporting():
            if dims.ndisplay != 2:
                raise ImageError("Switch to 2-D display before you click on the image.")
            layer, plane = self._here()
            point = point_on_plane(layer, plane, position, dims)
            self.add_prompt(point, positive)

    # Structures that the model knows by name

    def show_structure(self, name: str) -> None:
        """Lay the probability of a structure that the model names over the image."""

        def show(layer: Image, plane: Plane, known: Embedded) -> None:
            state = self._state(layer, plane)
            presenting.show_structure(self.viewer, state, layer, plane, known, name)
            self._say(f"The brighter, the more probably {name}.")

        self._request(f"structure {name}", show)

    def mask_structure(self, name: str) -> None:
        """Make labels of a structure that the model names."""

        def show(layer: Image, plane: Plane, known: Embedded) -> None:
            state = self._state(layer, plane)
            presenting.mask_structure(self.viewer, state, layer, plane, known, name)
            self._say(f"Label 1 is {name}: correct it with napari's brush.")

        self._request(f"mask {name}", show)

    def invite(self) -> None:
        """Say what can be done next."""
        if self.image is None or self.model is None or not self.is_finding:
            super().invite()
        elif any(prompt.positive for prompt in self.prompts):
            self._say("Click on more of it; Shift + click on what is not meant.")
        else:
            self._say("Click on what you look for; Shift + click on what it is not.")
