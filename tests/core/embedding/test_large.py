"""Images from blocks: the labels of `embed`, in memory that does not grow."""

import dataclasses
from importlib.resources import files

import dask.array
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.embedding.large import (
    ClusterPaint,
    StructurePaint,
    paint_large,
)
from napari_localdisc.core.errors import (
    Cancelled,
    ImageError,
    LocalDiscError,
    ModelError,
)
from napari_localdisc.core.image.blocks import BlockSource
from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.grid import WorkingGrid, axis_blocks, resize
from napari_localdisc.core.image.working import as_rgb, working_image
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.work import run


def photograph(height=700, width=900, dtype=np.uint8, seed=0):
    """A round, textured, coloured field of view in a dark frame."""
    rng = np.random.default_rng(seed)
    small = rng.random((height // 20, width // 20, 3))
    texture = np.kron(small, np.ones((20, 20, 1)))
    rows, columns = np.mgrid[:height, :width]
    radius = np.hypot(rows - height / 2, columns - width / 2)
    view = (radius < 0.45 * height)[..., None]
    values = (0.3 + 0.6 * texture) * view
    return (values * np.iinfo(dtype).max).astype(dtype)


def lazy(array, chunk=128):
    return dask.array.from_array(array, chunks=(chunk, chunk, *array.shape[2:]))


def model_for(modality, diameter=300, surround=0.0):
    """Return the bundled network, whose clusters follow the image, at another scale."""
    model = load_model("fundus", "cpu")
    card = dataclasses.replace(
        model.card, modality=modality, working_diameter=diameter, surround=surround
    )
    return Model(card, model.network, model.centres)


def labels_of(source, model, n=6, progress=None, cancel=None, **options):
    target = zarr.zeros(shape=source.shape[:2], chunks=(256, 256), dtype="uint8")
    paint = ClusterPaint.of(model, n)
    run(paint_large(source, model, paint, target, **options), progress, cancel)
    return target[...]


def agreement(one, other):
    return np.mean(one == other)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_window_of_an_axis_is_resampled_as_the_whole(data):
    source, size = data.draw(st.integers(2, 90)), data.draw(st.integers(1, 120))
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    length = data.draw(st.integers(1, 40))
    x = torch.from_numpy(np.random.default_rng(source).random((1, 1, source, 3)))
    whole = resize(x.float(), (size, 3))[0, :, start:stop]
    found = torch.zeros(1, stop - start, 3)
    for part, weights in axis_blocks(slice(start, stop), size, source, length):
        block = x[0, :, part].float()
        found[:, weights.outputs] += weights.apply(block, dim=1)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_field_of_view_grid_and_picture_are_those_of_an_image_in_memory(dtype):
    image = photograph(dtype=dtype)
    source = BlockSource(lazy(image), "fundus")
    done, total = list(source.survey())[-1]
    assert done == total
    rgb = as_rgb(image)
    view = find_field_of_view(rgb)
    whole = slice(0, 700), slice(0, 900)
    np.testing.assert_array_equal(source.rgb(*whole), rgb)
    np.testing.assert_array_equal(source.visible(*whole), view)
    grid = source.grid(300)
    assert grid == WorkingGrid.around(view, 300)
    expected, inside = working_image(rgb, view, grid)
    found, found_inside = source.on_grid(grid, (slice(40, 200), slice(10, 300)))
    np.testing.assert_array_equal(found_inside, inside[40:200, 10:300])
    np.testing.assert_allclose(found, expected[40:200, 10:300], atol=1e-5)


@pytest.mark.parametrize("kind", ["fundus", "frame", "frame of few tones"])
def test_labels_are_those_of_embed(kind):
    image, model = photograph(), model_for(kind.partition(" ")[0])
    if "few" in kind:
        image = image // 6 + 100
    expected = embed(image, model, precision="float32").clusters(6)
    found = labels_of(lazy(image), model, precision="float32")
    assert len(np.unique(expected[expected > 0])) >= 4
    assert agreement(found, expected) > 0.999
    np.testing.assert_array_equal(found == 0, expected == 0)


def test_surroundings_are_filled_block_by_block_as_they_are_in_memory():
    image, model = photograph(), model_for("fundus", 560, surround=0.04)
    image[:, :300] = 0  # cut straight
    whole = embed(image, model, magnification=1, precision="float32")
    found = labels_of(lazy(image), model, tile_size=400, precision="float32")
    np.testing.assert_array_equal(found == 0, ~whole.field_of_view)
    rim = ndimage.distance_transform_edt(whole.field_of_view) < 12
    rim &= whole.field_of_view
    assert agreement(found[rim], whole.clusters(6)[rim]) > 0.98


@pytest.mark.parametrize("kind", ["fundus", "frame of few tones"])
def test_tiles_leave_no_seam(kind):
    image, model = photograph(), model_for(kind.partition(" ")[0], 560)
    if "few" in kind:
        image = image // 6 + 100
    seen = embed(image, model, magnification=1, precision="float32")
    expected = seen.clusters(6)
    found = labels_of(lazy(image), model, tile_size=400, precision="float32")
    # The colours' statistics come from a smaller picture of the image
    assert agreement(found, expected) > 0.98


def test_a_structure_is_that_of_embed():
    image, model = photograph(), model_for("fundus")
    expected = embed(image, model, precision="float32").structure("optic disc") >= 0.5
    target = zarr.zeros(shape=image.shape[:2], chunks=(256, 256), dtype="uint8")
    paint = StructurePaint.of(model, "optic disc")
    run(paint_large(lazy(image), model, paint, target, precision="float32"))
    assert 0 < expected.mean() < 1
    assert agreement(target[...], expected) > 0.999
    with pytest.raises(ModelError, match="macula"):
        StructurePaint.of(model, "macula")


def retina():
    with Image.open(files("napari_localdisc.data") / "retina.jpg") as picture:
        return np.asarray(picture.resize((700, 700)))


def test_a_structure_that_follows_from_others_is_that_of_embed():
    image, model = retina(), model_for("fundus", 288)
    expected = embed(image, model, precision="float32").structure("fovea") >= 0.5
    target = zarr.zeros(shape=image.shape[:2], chunks=(256, 256), dtype="uint8")
    paint = StructurePaint.of(model, "fovea")
    run(paint_large(lazy(image), model, paint, target, precision="float32"))
    assert 0 < expected.mean() < 0.05
    assert agreement(target[...], expected) > 0.999


def test_more_detail_keeps_the_background_and_finds_finer_structures():
    image, model = retina(), model_for("fundus", 288)
    coarse, fine = (
        labels_of(lazy(image), model, 8, detail=detail, tile_size=400)
        for detail in (1, 2)
    )
    np.testing.assert_array_equal(coarse == 0, fine == 0)
    both = (coarse != 1) & (fine != 1)
    assert agreement(coarse[both], fine[both]) > 0.95
    assert 0.02 < (fine == 1).mean() < 0.25
    edges = [np.count_nonzero(np.diff(part == 1)) for part in (coarse, fine)]
    assert edges[1] > edges[0]


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: image[..., 0],
        lambda image: image[..., :1],
        lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
        lambda image: image.astype(np.float32) / 255,
        lambda image: image.astype(np.int16) - 100,
        lambda image: image[..., 0] > 100,
    ],
    ids=["grey", "one channel", "RGBA", "float", "negative", "bool"],
)
def test_every_kind_of_image_is_taken(convert):
    image, model = convert(photograph(520, 600)), model_for("frame", 200)
    expected = embed(image, model, precision="float32").clusters(6)
    found = labels_of(lazy(image), model, precision="float32")
    assert agreement(found, expected) > 0.99


@pytest.mark.parametrize("tile_size", [400, 1024])
def test_structures_reach_the_edge_as_in_memory(tile_size):
    image, model = photograph(), model_for("fundus", 560, surround=0.04)
    whole = embed(image, model, magnification=1, precision="float32")
    expected = whole.structure("vessel") >= 0.3
    target = zarr.zeros(shape=image.shape[:2], chunks=(256, 256), dtype="uint8")
    paint = StructurePaint.of(model, "vessel", 0.3)
    work = paint_large(
        lazy(image), model, paint, target, tile_size=tile_size, precision="float32"
    )
    run(work)
    rim = ndimage.distance_transform_edt(whole.field_of_view) < 8
    rim &= whole.field_of_view
    assert expected[rim].any()
    assert agreement(target[...][rim], expected[rim]) > 0.98
    assert not target[...][~whole.field_of_view].any()


def test_a_single_structure_is_in_one_piece_as_in_memory():
    image, model = photograph(), model_for("fundus")
    card = dataclasses.replace(model.card, single=[])
    several = Model(card, model.network, model.centres)
    pieces = embed(image, several, precision="float32").structure("optic disc") >= 0.5
    assert ndimage.label(pieces)[1] > 1
    card = dataclasses.replace(card, single=["optic disc"])
    model = Model(card, model.network, model.centres)
    expected = embed(image, model, precision="float32").structure("optic disc") >= 0.5
    target = zarr.zeros(shape=image.shape[:2], chunks=(256, 256), dtype="uint8")
    paint = StructurePaint.of(model, "optic disc")
    run(paint_large(lazy(image), model, paint, target, precision="float32"))
    assert ndimage.label(expected)[1] == 1
    assert agreement(target[...], expected) > 0.999


def test_more_detail_uses_more_of_the_image():
    image, model = photograph(), model_for("frame", 200)
    coarse = labels_of(lazy(image), model)
    fine = labels_of(lazy(image), model, detail=3)
    assert agreement(coarse, fine) < 0.98
    assert labels_of(lazy(image), model, detail=100).min() >= 1


def test_progress_and_cancel():
    image, model = photograph(), model_for("frame", 560)
    seen = []

    def progress(done, total):
        seen.append(done / total)

    labels_of(lazy(image), model, tile_size=400, progress=progress)
    assert seen[-1] == 1
    with pytest.raises(Cancelled):
        labels_of(lazy(image), model, cancel=lambda: True)


def test_what_cannot_be_used_is_refused():
    model = model_for("fundus")
    with pytest.raises(ImageError, match="not a 2-D image"):
        labels_of(np.zeros((3, 40, 40, 7)), model)
    with pytest.raises(ImageError, match="at least 16"):
        labels_of(np.zeros((8, 40)), model)
    with pytest.raises(ImageError, match="all black"):
        labels_of(np.zeros((600, 600), np.uint8), model)
    with pytest.raises(ImageError, match="one colour"):
        labels_of(np.ones((600, 600), np.uint8), model_for("frame"))
    with pytest.raises(ImageError, match="NaN"):
        labels_of(np.full((600, 600), np.nan), model)
    with pytest.raises(LocalDiscError, match="from 2 to 16"):
        labels_of(photograph(), model, n=17)
    with pytest.raises(LocalDiscError, match="detail"):
        labels_of(photograph(), model, detail=0)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image():
    benchmark = pytest.importorskip("benchmarks.large_image", reason="no check-out")
    small, large = (benchmark.peak_megabytes(side, width=4) for side in (1536, 4096))
    assert large - small < 300
