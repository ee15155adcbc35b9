"""Large lazy layers: labelled block by block into a layer that stays on the disk."""

import dask.array
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.model import load_model
from napari_localdisc.layers.plane import METADATA_KEY
from napari_localdisc.viewer import large as smaller_copy
from napari_localdisc.viewer.controller import Controller


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 255, (30, 33, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((20, 20, 1), np.uint8))


@pytest.fixture
def controller(models, monkeypatch):
    monkeypatch.setattr(smaller_copy, "LARGE_PIXELS", 10_000)
    controller = Controller(ViewerModel())
    controller.set_model("tiny")
    yield controller
    controller.close()


@pytest.mark.parametrize("kind", ["dask", "zarr", "pyramid", "stack"])
def test_lazy_layers_get_labels_on_the_disk(controller, pixels, tmp_path, kind):
    import zarr

    lazy = dask.array.from_array(pixels, chunks=(256, 256, 3))
    options = {"rgb": True, "scale": (2, 3), "translate": (5, 7), "name": "slide"}
    if kind == "zarr":
        lazy = zarr.array(pixels, chunks=(256, 256, 3))
    elif kind == "pyramid":
        lazy = [lazy, lazy[::2, ::2]]
    elif kind == "stack":
        lazy = dask.array.stack([lazy[::-1], lazy])
        options |= {"scale": (1, 2, 3), "translate": (0, 5, 7)}
    layer = controller.workspace.viewer.add_image(lazy, **options)
    if kind == "stack":
        controller.workspace.viewer.dims.set_current_step(0, 1)
    seen = []
    controller.workspace.work.progressed.connect(
        lambda done, total: seen.append((done, total))
    )
    controller.clusters.show()
    labels = controller.workspace.viewer.layers[-1]
    assert labels.name.startswith("slide structures")
    assert labels.multiscale
    finest = labels.data[0]
    assert not isinstance(finest, np.ndarray)
    expected = embed(pixels, load_model("tiny", "cpu")).clusters(8)
    assert np.mean(np.squeeze(np.asarray(finest)) == expected) > 0.99
    np.testing.assert_array_equal(labels.scale, layer.scale)
    corner = (1, 0, 0) if kind == "stack" else (0, 0)
    np.testing.assert_allclose(
        labels.data_to_world((0,) * labels.ndim), layer.data_to_world(corner)
    )
    assert seen[-1][0] == seen[-1][1] > 1
    assert not controller.workspace.work.is_busy
    assert "on the disk" in controller.workspace.status.text


def test_a_structure_is_found_on_the_disk(controller, pixels):
    lazy = dask.array.from_array(pixels, chunks=(256, 256, 3))
    controller.workspace.viewer.add_image(lazy, rgb=True, name="slide", scale=(2, 3))
    controller.clusters.show_structure("vessel")
    labels = controller.workspace.viewer.layers[-1]
    assert labels.name == "slide vessel"
    assert not isinstance(labels.data[0], np.ndarray)
    assert labels.metadata[METADATA_KEY]["classes"] == {1: "vessel"}
    expected = embed(pixels, load_model("tiny", "cpu")).structure("vessel") >= 0.5
    assert 0 < expected.mean() < 1
    assert np.mean(np.asarray(labels.data[0]) == expected) > 0.999


@pytest.mark.parametrize("kind", ["dask", "pyramid", "stack"])
def test_prompts_go_to_a_smaller_copy(controller, pixels, monkeypatch, kind):
    for limit in ("LARGE_PIXELS", "COPY_PIXELS"):
        monkeypatch.setattr(smaller_copy, limit, 50_000)
    lazy = dask.array.from_array(pixels, chunks=(256, 256, 3))
    options = {"rgb": True, "scale": (2, 3), "translate": (5, 7), "name": "slide"}
    expected = pixels.reshape(200, 3, 220, 3, 3).mean(axis=(1, 3)).round()
    if kind == "pyramid":
        lazy = [lazy, lazy[::2, ::2], lazy[::4, ::4]]
        expected = pixels[::4, ::4]
    elif kind == "stack":
        lazy = dask.array.stack([lazy[::-1], lazy])
        options |= {"scale": (1, 2, 3), "translate": (0, 5, 7)}
    layer = controller.workspace.viewer.add_image(lazy, **options)
    if kind == "stack":
        controller.workspace.viewer.dims.set_current_step(0, 1)
    controller.prompts.add((300, 300))
    copy = controller.workspace.images.current
    assert copy is not layer
    assert copy.name.startswith("slide")
    assert "1/" in copy.name
    assert isinstance(copy.data, np.ndarray)
    np.testing.assert_array_equal(np.squeeze(copy.data), expected)
    assert "smaller copy" in controller.workspace.status.text
    assert not controller.prompts.points
    step = 4 if kind == "pyramid" else 3
    first = np.array([0.5, 0.5]) * step - 0.5
    rest = [1] if kind == "stack" else []
    start = [0] * len(rest) + [0, 0]
    np.testing.assert_allclose(
        copy.data_to_world(start), layer.data_to_world([*rest, *first])
    )
    controller.prompts.add((60, 60))
    assert controller.prompts.similarity_layer in controller.workspace.viewer.layers
    count = len(controller.workspace.viewer.layers)
    controller.workspace.images.choose(layer)
    controller.prompts.set_finding(True)
    assert controller.workspace.images.current is copy
    assert len(controller.workspace.viewer.layers) == count


def test_images_in_memory_are_clustered_as_ever(controller, pixels):
    controller.workspace.viewer.add_image(pixels, rgb=True)
    controller.clusters.show()
    assert isinstance(controller.clusters.layer.data, np.ndarray)


def test_cancelling_or_removing_the_image_leaves_nothing(
    models, stepped, monkeypatch, pixels
):
    monkeypatch.setattr(smaller_copy, "LARGE_PIXELS", 10_000)
    controller = Controller(ViewerModel(), stepped)
    controller.set_model("tiny")
    layer = controller.workspace.viewer.add_image(
        dask.array.from_array(pixels), rgb=True
    )
    controller.clusters.show()
    stepped.step()
    assert controller.workspace.work.is_busy
    controller.workspace.cancel()
    assert not controller.workspace.work.is_busy
    assert not stepped.step()
    controller.clusters.show()
    stepped.step()
    controller.workspace.viewer.layers.remove(layer)
    stepped.finish()
    assert len(controller.workspace.viewer.layers) == 0
    controller.close()
