"""What is computed from an image lies on it, whatever transform the layer has."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_localdisc.core.errors import ImageError
from napari_localdisc.layers.plane import (
    METADATA_KEY,
    Plane,
    displayed_plane,
    fingerprint,
    is_derived,
    point_on_plane,
)

TRANSFORMS = {
    "plain": {},
    "scale": {"scale": (0.5, 3)},
    "translate": {"translate": (-7, 11)},
    "rotate": {"rotate": 33},
    "shear": {"shear": (0.4,)},
    "lower shear": {"shear": np.array([[1, 0], [0.4, 1]])},
    "affine": {"affine": np.array([[0.8, -0.6, 3], [0.6, 0.9, -2], [0, 0, 1]])},
    "all": {
        "scale": (0.5, 3),
        "translate": (-7, 11),
        "rotate": 33,
        "shear": (0.4,),
        "affine": np.array([[0.8, -0.6, 3], [0.6, 0.9, -2], [0, 0, 1]]),
    },
}


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_labels_lie_on_the_image(viewer: ViewerModel, transform: dict):
    options = {"units": ("um", "um"), "axis_labels": ("down", "right"), **transform}
    image = viewer.add_image(np.zeros((30, 40)), **options)
    plane = displayed_plane(image, viewer.dims)
    labels = Labels(np.ones((30, 40), np.uint8), **plane.placement(image))
    for point in ((0, 0), (29, 0), (12.3, 39), (29, 39)):
        np.testing.assert_allclose(
            labels.data_to_world(point), image.data_to_world(point), atol=1e-9
        )
    assert labels.units == image.units
    assert labels.axis_labels == image.axis_labels


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_map_of_other_pixels_lies_on_the_image(viewer: ViewerModel, transform: dict):
    image = viewer.add_image(np.zeros((30, 40)), **transform)
    plane = displayed_plane(image, viewer.dims)
    origin, step = np.array([3.25, -0.125]), np.array([0.5, 0.75])
    laid = Image(np.zeros((20, 20)), **plane.placement(image, origin, step))
    for point in np.array([(0, 0), (19, 0), (5, 19)]):
        np.testing.assert_allclose(
            laid.data_to_world(point),
            image.data_to_world(origin + step * point),
            atol=1e-9,
        )


STACK = {
    "scale": (2.5, 0.5, 3),
    "translate": (4, -7, 11),
    "affine": np.diag([1.5, 2, 0.5, 1]),
}


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)])
def test_a_slice_of_a_stack(viewer: ViewerModel, order: tuple[int, ...]):
    data = np.random.default_rng(0).random((5, 6, 7))
    image = viewer.add_image(data, **STACK)
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 3)
    plane = displayed_plane(image, viewer.dims)
    row, column = sorted(order[1:])
    assert plane.axes == (row, column)
    assert plane.shape == (data.shape[row], data.shape[column])
    np.testing.assert_array_equal(plane.read(), np.take(data, 3, axis=order[0]))
    picture = plane.expand(np.ones(plane.shape, np.uint8))
    assert picture.ndim == 3
    assert picture.shape[order[0]] == 1
    labels = Labels(picture, **plane.placement(image))
    corner = np.zeros(3)
    corner[order[0]] = 3
    np.testing.assert_allclose(
        labels.data_to_world((0, 0, 0)), image.data_to_world(corner)
    )
    viewer.add_layer(labels)
    shown = labels.get_value(viewer.dims.point, world=True)
    viewer.dims.set_current_step(order[0], 1)
    assert shown == 1
    assert labels.get_value(viewer.dims.point, world=True) is None


def test_a_rotated_stack_keeps_its_slice(viewer: ViewerModel):
    image = viewer.add_image(np.zeros((5, 6, 7)), rotate=(0, 0, 25), scale=(2, 1, 1))
    viewer.dims.set_current_step(0, 2)
    plane = displayed_plane(image, viewer.dims)
    assert plane.index == (2, None, None)
    labels = Labels(plane.expand(np.ones((6, 7), int)), **plane.placement(image))
    np.testing.assert_allclose(
        labels.data_to_world((0, 4, 5)), image.data_to_world((2, 4, 5)), atol=1e-9
    )


def test_a_colour_stack(viewer: ViewerModel):
    data = np.random.default_rng(0).random((4, 6, 7, 3))
    image = viewer.add_image(data, rgb=True)
    viewer.dims.set_current_step(0, 2)
    plane = displayed_plane(image, viewer.dims)
    assert plane.shape == (6, 7)
    np.testing.assert_array_equal(plane.read(), data[2])


def test_a_2d_image_beside_a_stack(viewer: ViewerModel):
    viewer.add_image(np.zeros((5, 6, 7)))
    image = viewer.add_image(np.zeros((6, 7)))
    viewer.dims.set_current_step(0, 4)
    assert displayed_plane(image, viewer.dims).index == (None, None)


def test_multiscale_means_its_finest_level(viewer: ViewerModel):
    levels = [np.ones((32, 32)), np.zeros((16, 16))]
    image = viewer.add_image(levels, multiscale=True)
    assert displayed_plane(image, viewer.dims).read().shape == (32, 32)


def test_lazy_data_is_read_late(viewer: ViewerModel):
    da = pytest.importorskip("dask.array")
    image = viewer.add_image(da.ones((3, 20, 30), chunks=(1, 20, 30)))
    plane = displayed_plane(image, viewer.dims)
    assert not plane.is_in_memory
    assert plane.read().sum() == 600


def test_a_volume_and_a_missing_slice_are_refused(viewer: ViewerModel):
    image = viewer.add_image(np.zeros((5, 6, 7)), name="stack")
    viewer.dims.ndisplay = 3
    with pytest.raises(ImageError, match="“stack” as a volume: switch to 2-D"):
        displayed_plane(image, viewer.dims)
    viewer.dims.ndisplay = 2
    viewer.add_image(np.zeros((9, 6, 7)))
    viewer.dims.set_current_step(0, 8)
    with pytest.raises(ImageError, match="“stack” has no slice"):
        displayed_plane(image, viewer.dims)


def test_points_in_other_units(viewer: ViewerModel):
    image = viewer.add_image(np.zeros((30, 40)), scale=(0.002, 0.002), units="mm")
    viewer.add_image(np.zeros((9, 9)), scale=(2, 2), units="um")
    plane = displayed_plane(image, viewer.dims)
    # The viewer's world is in micrometres, the smaller unit
    point = point_on_plane(image, plane, (20, 40), viewer.dims)
    np.testing.assert_allclose(point, (10, 20))


def test_a_slice_in_other_units(viewer: ViewerModel):
    image = viewer.add_image(
        np.zeros((5, 30, 40)), scale=(0.002, 0.002, 0.002), units="mm"
    )
    viewer.add_image(np.zeros((9, 9, 9)), scale=(2, 2, 2), units="um")
    viewer.dims.set_point(0, 6)
    assert displayed_plane(image, viewer.dims).index == (3, None, None)


def test_which_points_are_on_the_plane():
    plane = Plane(np.zeros((6, 7)), (None, None))
    assert plane.contains((-0.5, 6.4))
    assert not plane.contains((-0.51, 3))
    assert not plane.contains((5.5, 3))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32, np.float64])
def test_fingerprints_see_every_pixel(dtype: type):
    picture = np.zeros((6, 7), dtype)
    before = fingerprint(picture.T)
    picture[5, 6] = 1
    assert fingerprint(picture.T) != before


def test_our_layers_are_known_by_their_metadata():
    assert is_derived(Image(np.zeros((3, 3)), metadata={METADATA_KEY: {}}))
    assert not is_derived(Image(np.zeros((3, 3)), name="an image similarity"))
