"""napari layer ↔ array: the one place that knows how layers lie in the world.

A `Plane` is the 2-D picture that a viewer shows of an image layer.  What is computed
from it goes into a layer of as many dimensions as the image has, one pixel thick along
the axes that are not shown, so that it lies on that picture and on no other slice.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import Dims, ViewerModel
from napari.layers import Image, Layer
from napari.utils.transforms import Affine
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.annotation.state import PlaneKey
from napari_localdisc.core.errors import ImageError

FloatArray = NDArray[np.float64]

METADATA_KEY = "napari-localdisc"
"""Key in the metadata of the layers that we make."""


OF_KEY = "napari-localdisc of"
"""Key in the metadata of other layers: a weak reference to the image they are of."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The 2-D picture that a viewer shows of an image layer.

    Attributes
    ----------
    data : array_like
        The layer's finest level, of all its dimensions; possibly lazy.
    index : tuple of (int or None)
        Per axis of the layer: None for the two axes shown, else the slice's number;
        what tells this plane from the other planes of its layer.
    """

    data: Any
    index: PlaneKey

    @property
    def caption(self) -> str:
        """What to add to a layer's name where it has several planes."""
        slices = ", ".join(str(at) for at in self.index if at is not None)
        return f", slice {slices}" if slices else ""

    @property
    def axes(self) -> tuple[int, int]:
        """The layer's axes that are this plane's rows and columns."""
        row, column = (axis for axis, at in enumerate(self.index) if at is None)
        return row, column

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        row, column = self.axes
        return int(self.data.shape[row]), int(self.data.shape[column])

    def read(self) -> NDArray[Any]:
        """Return the plane's pixels, (H, W) or (H, W, C); may take time if lazy."""
        where = tuple(slice(None) if at is None else at for at in self.index)
        return np.asarray(self.data[where])

    @property
    def is_in_memory(self) -> bool:
        """Whether `read` costs next to nothing."""
        return isinstance(self.data, np.ndarray)

    def contains(self, *points: Sequence[float]) -> bool:
        """Whether (row, column) points are on pixels of the plane."""
        height, width = self.shape
        return all(
            -0.5 <= row < height - 0.5 and -0.5 <= column < width - 0.5
            for row, column in points
        )

    def expand(self, picture: NDArray[Any]) -> NDArray[Any]:
        """View an (h, w) array with the layer's number of dimensions."""
        hidden = [axis for axis, at in enumerate(self.index) if at is not None]
        return np.expand_dims(picture, hidden)

    def placement(
        self,
        layer: Layer,
        origin: ArrayLike = (0, 0),
        step: ArrayLike = (1, 1),
    ) -> dict[str, Any]:
        """Place a picture that was computed from this plane.

        Parameters
        ----------
        layer : Layer
            The layer that the plane belongs to.
        origin : array_like
            (row, column) on the plane of the centre of the picture's first pixel.
        step : array_like
            Height and width of the picture's pixels, in pixels of the plane.

        Returns
        -------
        dict
            scale, translate, rotate, shear, affine, units and axis_labels: arguments
            of a layer that holds the `expand`-ed picture.
        """
        start = np.array([0 if at is None else at for at in self.index], dtype=float)
        steps = np.ones(len(self.index))
        axes = list(self.axes)
        start[axes] = origin
        steps[axes] = step
        physical = Affine(
            scale=layer.scale,
            translate=layer.translate,
            rotate=layer.rotate,
            shear=layer.shear,
            ndim=layer.ndim,
        )
        return {
            "scale": np.asarray(layer.scale) * steps,
            "translate": np.asarray(physical(start)),
            "rotate": np.array(layer.rotate),
            "shear": np.array(layer.shear),
            "affine": np.array(layer.affine.affine_matrix),
            "units": layer.units,
            "axis_labels": layer.axis_labels,
        }


def displayed_plane(layer: Image, dims: Dims) -> Plane:
    """Find the plane of an image layer that a viewer shows.

    Parameters
    ----------
    layer : Image
        A layer of the viewer; of a multiscale layer the finest level counts.
    dims : Dims
        The viewer's dimensions.

    Raises
    ------
    ImageError
        If the viewer shows a volume, or a position that the layer does not reach.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    if layer.ndim == 2:
        return Plane(data, (None, None))
    if dims.ndisplay != 2:
        raise ImageError(
            f"The viewer shows “{layer.name}” as a volume: switch to 2-D display and "
            "choose a slice."
        )
    offset = dims.ndim - layer.ndim
    order = [axis - offset for axis in dims.order if axis >= offset]
    hidden = order[:-2]
    index: list[int | None] = [None] * layer.ndim
    for axis, at in zip(hidden, _hidden_position(layer, dims, hidden), strict=True):
        if not 0 <= at < data.shape[axis]:
            raise ImageError(
                f"The viewer is at a position where “{layer.name}” has no slice: move "
                "the slider below the canvas."
            )
        index[axis] = int(at)
    return Plane(data, tuple(index))


def _hidden_position(layer: Layer, dims: Dims, hidden: list[int]) -> FloatArray:
    """Round the viewer's position to the layer's pixels, as napari slices."""
    to_data = _world_to_data(layer)
    here = _layer_point(layer, dims.point, dims)[hidden]
    at = to_data.linear_matrix[np.ix_(hidden, hidden)] @ here
    return np.asarray(np.round(at + to_data.translate[hidden]))


def _world_to_data(layer: Layer) -> Affine:
    """Read a layer's world-to-data transform off its public interface."""
    corner = np.asarray(layer.world_to_data(np.zeros(layer.ndim)))
    columns = [layer.world_to_data(unit) - corner for unit in np.eye(layer.ndim)]
    return Affine(linear_matrix=np.stack(columns, axis=1), translate=corner)


def _layer_point(layer: Layer, point: ArrayLike, dims: Dims) -> FloatArray:
    """Take a world point's coordinates along a layer's axes, in the layer's units."""
    along = np.asarray(point, dtype=float)[-layer.ndim :]
    return np.asarray(along * _world_unit(layer, dims))


def _world_unit(layer: Layer, dims: Dims) -> FloatArray:
    """Return the viewer's units in the layer's units, along the layer's axes."""
    world_units = getattr(dims, "units", None)
    if world_units is None or len(world_units) < layer.ndim:
        return np.ones(layer.ndim)
    pairs = zip(world_units[-layer.ndim :], layer.units, strict=True)
    return np.array([float((1 * world).to(unit).magnitude) for world, unit in pairs])


def point_on_plane(
    layer: Layer, plane: Plane, position: ArrayLike, dims: Dims
) -> tuple[float, float]:
    """Turn a point of the world into (row, column) on a plane, in pixels.

    Parameters
    ----------
    layer : Layer
        The layer that the plane belongs to.
    plane : Plane
        The plane.
    position : array_like
        A mouse event's position.
    dims : Dims
        The viewer's dimensions.
    """
    at = layer.world_to_data(_layer_point(layer, position, dims))
    row, column = plane.axes
    return float(at[row]), float(at[column])


def show_point(
    viewer: ViewerModel,
    layer: Layer,
    plane: Plane,
    point: tuple[float, float] | None = None,
) -> None:
    """Show a plane, and a point of it in the middle of the view.

    Parameters
    ----------
    viewer : ViewerModel
        What shows it.
    layer : Layer
        The layer that the plane belongs to.
    plane : Plane
        The plane.
    point : tuple of float, optional
        (row, column) on the plane; None: the view stays where it is.
    """
    dims = viewer.dims
    at = np.array([0 if index is None else index for index in plane.index], float)
    if point is not None:
        at[list(plane.axes)] = point
    world = np.asarray(layer.data_to_world(at)) / _world_unit(layer, dims)
    offset = dims.ndim - layer.ndim
    for axis in dims.not_displayed:
        if axis >= offset:
            dims.set_point(axis, float(world[axis - offset]))
    if point is None:
        return
    camera = getattr(viewer, "scene", viewer).camera  # the viewer's own before 0.9
    centre = list(camera.center)
    for place, axis in zip((-2, -1), dims.displayed[-2:], strict=True):
        centre[place] = float(world[axis - offset])
    camera.center = tuple(centre)


def grid_of(viewer: ViewerModel) -> Any:
    """Return a viewer's grid: where it is on, each layer that is shown has a cell."""
    return getattr(viewer, "canvas", viewer).grid  # the viewer's own before 0.9


def is_seen(layer: Layer, plane: Plane, point: tuple[float, float]) -> bool:
    """Whether a (row, column) point of a plane is in view; false without a canvas."""
    if getattr(layer, "multiscale", False):
        return False  # corners are those of the level that is shown
    low, high = np.asarray(layer.corner_pixels, float)[:, list(plane.axes)]
    at = np.asarray(point)
    return bool(((at >= low) & (at <= high) & (high > low)).all())


def fingerprint(picture: NDArray[Any]) -> int:
    """Sum up pixels in one number that changes when they are edited in place."""
    return zlib.crc32(np.ascontiguousarray(picture).view(np.uint8).data)


def is_derived(layer: Layer) -> bool:
    """Whether the layer is one that this plugin computed."""
    return METADATA_KEY in layer.metadata
