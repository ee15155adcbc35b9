"""Labels come back as they were: values, names, colours, placement."""

import string
import time

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from napari.layers import Labels
from ome_zarr.writer import write_multiscale
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.names import NOTE_KEY
from napari_localdisc.io.labels import LabelMap, read_labels, write_labels
from napari_localdisc.io.labels.label_map import note_of, note_text, pixel_size
from napari_localdisc.layers.files import layer_data_of

ENDINGS = (".png", ".tif", ".ome.tif", ".ome.zarr", ".json")
COLOUR = st.tuples(*[st.floats(0, 1, width=32)] * 4)
NAME = st.text(string.ascii_letters + " -äµ眼", min_size=1, max_size=12).filter(
    str.strip
)


@st.composite
def label_maps(draw, largest=65535, smallest=0):
    values = st.integers(smallest, draw(st.sampled_from([1, 3, 255, largest])))
    dtype = np.int64 if smallest < 0 else draw(st.sampled_from([np.int64, np.uint16]))
    shape = draw(
        st.sampled_from([(1, 1), (5, 7), (1, 6, 4), (6, 1, 4), (16, 1), (33, 20)])
    )
    array = draw(hnp.arrays(dtype, shape, elements=values))
    classes = st.sampled_from(sorted({*np.unique(array).tolist(), 1, 2}))
    ndim = len(shape)
    scale = st.floats(1e-3, 1e3)
    return LabelMap(
        array,
        names=draw(st.dictionaries(classes, NAME, max_size=4)),
        colours=draw(st.dictionaries(classes, COLOUR, max_size=4)),
        default_colour=draw(st.none() | COLOUR),
        placement={
            "scale": [draw(scale) for _ in range(ndim)],
            "translate": [draw(st.floats(-1e6, 1e6)) for _ in range(ndim)],
            "rotate": np.eye(ndim).tolist(),
            "units": [draw(st.sampled_from(["micrometer", "pixel"]))] * ndim,
        },
        name=draw(NAME),
        image="eye.jpg",
        made_by={"model": "fundus"},
    )


def assert_same(found: LabelMap, expected: LabelMap) -> None:
    assert found.shape == expected.shape
    np.testing.assert_array_equal(np.asarray(found.labels), expected.labels)
    for field in ("names", "colours", "default_colour", "placement", "name", "image"):
        assert getattr(found, field) == getattr(expected, field), field
    assert found.made_by == expected.made_by


@pytest.mark.parametrize("ending", ENDINGS)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(labels=label_maps())
def test_what_was_written_comes_back(ending, labels, tmp_path):
    path = tmp_path / f"labels{ending}"
    assert write_labels(path, labels) == [path]
    (found,) = read_labels(path)
    assert_same(found, labels)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".tif", ".ome.zarr"])
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(labels=label_maps(largest=2**31 - 1, smallest=-(2**31)))
def test_large_and_negative_values_come_back(ending, labels, tmp_path):
    path = tmp_path / f"labels{ending}"
    write_labels(path, labels)
    assert_same(read_labels(path)[0], labels)


def test_stacks_come_back(tmp_path):
    array = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4) % 7
    labels = LabelMap(array, {3: "three"}, placement={"scale": [1.0, 2.0, 0.5, 0.25]})
    for ending in (".tif", ".ome.tif", ".ome.zarr"):
        path = tmp_path / f"stack{ending}"
        write_labels(path, labels)
        (found,) = read_labels(path)
        np.testing.assert_array_equal(np.asarray(found.labels), array)
        assert found.names == {3: "three"}


def test_each_mask_of_a_class_comes_back_with_its_label(tmp_path):
    array = np.zeros((6, 5), np.uint8)
    array[1:3], array[4] = 7, 200
    labels = LabelMap(array, {7: "Optic disc"}, {7: (1.0, 0.5, 0.0, 1.0)})
    files = write_labels(tmp_path / "eye.masks.png", labels)
    names = [path.name for path in files]
    assert names == ["eye_optic_disc.png", "eye_label_200.png"]
    (disc,), (other,) = (read_labels(path) for path in files)
    np.testing.assert_array_equal(disc.labels + other.labels, array)
    assert disc.names == {7: "Optic disc"}
    assert disc.colours == {7: (1.0, 0.5, 0.0, 1.0)}


def test_a_lazy_array_is_written_to_ome_zarr_and_read_lazily(tmp_path):
    import dask.array

    array = np.random.default_rng(0).integers(0, 5, (700, 900)).astype(np.uint8)
    write_labels(tmp_path / "a.ome.zarr", LabelMap(dask.array.from_array(array, 256)))
    (found,) = read_labels(tmp_path / "a.ome.zarr")
    assert not isinstance(found.labels, np.ndarray)
    np.testing.assert_array_equal(found.labels.compute(), array)


@pytest.mark.parametrize(
    ("array", "ending", "sentence"),
    [
        (np.full((4, 4), 70000), ".png", "from 0 to 65535, but the labels hold 70000"),
        (np.full((4, 4), -1), ".png", "hold -1"),
        (np.full((4, 4), -1), ".json", "hold -1"),
        (np.ones((2, 4, 4), np.uint8), ".png", "holds one picture"),
        (np.ones((2, 4, 4), np.uint8), ".json", "holds one picture"),
        (np.ones((2, 4, 4), np.uint8), ".masks.png", "holds one picture"),
        (np.zeros((4, 4), np.uint8), ".masks.png", "are empty"),
        (np.full((4, 4), 2**40), ".tif", "hold 1099511627776"),
        (np.array([[-1, 2**31]]), ".tif", "not both"),
        (np.ones((1, 1, 1, 2, 4, 4), np.uint8), ".tif", "at most 5 axes"),
        (np.ones((1, 1, 1, 2, 4, 4), np.uint8), ".zarr", "at most 5 axes"),
        (np.ones((4, 4), np.uint8), ".jpg", "has no ending"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_before_anything_is_written(
    array, ending, sentence, tmp_path
):
    path = tmp_path / "out" / f"labels{ending}"
    with pytest.raises(FileError, match=sentence):
        write_labels(path, LabelMap(array))
    assert list(tmp_path.iterdir()) == []


def test_floats_and_unprintable_names_are_no_labels():
    with pytest.raises(FileError, match="whole numbers"):
        LabelMap(np.ones((4, 4)))
    with pytest.raises(FileError, match="class 1"):
        LabelMap(np.ones((4, 4), int), {1: "a\x00b"})
    with pytest.raises(FileError, match="class 1"):
        LabelMap(np.ones((4, 4), int), {1: " "})


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    labels = LabelMap(np.ones((4, 4), np.uint8))
    write_labels(path, labels)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(FileError, match=r"a\.png cannot be written: No space"):
        write_labels(path, LabelMap(np.zeros((4, 4), np.uint8)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_folders_and_files_are_not_replaced(tmp_path):
    labels = LabelMap(np.ones((4, 4), np.uint8))
    folder = tmp_path / "precious.zarr"
    folder.mkdir()
    (folder / "thesis.txt").write_text("all of it")
    with pytest.raises(FileError, match="not made by"):
        write_labels(folder, labels)
    assert (folder / "thesis.txt").read_text() == "all of it"


def photograph(path):
    """Write what another program might have, in the format of a file's ending."""
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    if path.suffix == ".zarr":
        group = zarr.open_group(path, mode="w", zarr_format=3)
        write_multiscale([pixels[..., 0]], group, axes=["y", "x"])
    elif path.suffix == ".json":
        path.write_text('{"images": [], "annotations": [], "info": {"year": 2026}}')
    elif path.suffix == ".png":
        Image.fromarray(pixels).save(path)
    else:
        ome = path.name.endswith(".ome.tif")
        tifffile.imwrite(path, pixels, photometric="rgb", ome=ome)


def contents(path):
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file: file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("ending", [*ENDINGS, ".masks.png"])
def test_an_image_under_the_name_of_an_export_stays(ending, damaged, tmp_path):
    path = tmp_path / f"eye{ending}"
    target = tmp_path / "eye_label_1.png" if ending == ".masks.png" else path
    photograph(target)
    if damaged:
        for file, content in contents(target).items():
            file.write_bytes(content[: len(content) // 2])
    before = contents(target)
    with pytest.raises(FileError, match="not made by napari-localdisc"):
        write_labels(path, LabelMap(np.ones((4, 5), np.uint8)))
    assert contents(target) == before
    assert list(tmp_path.iterdir()) == [target]


def test_ome_zarr_is_replaced_by_ome_zarr(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write_labels(path, LabelMap(np.ones((4, 4), np.uint8)))
    write_labels(path, LabelMap(np.zeros((5, 5), np.uint8)))
    assert read_labels(path)[0].shape == (5, 5)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        {"units": ["micrometer"]},
        {"units": ["micrometer", "no unit"]},
        {"scale": [2.0, 2.0, 2.0]},
        {"scale": [2.0]},
        {"translate": []},
        {"rotate": [[1.0, 0.0], [0.0]]},
        {"rotate": [1.0, 2.0, 3.0]},
        {"shear": [1.0, 2.0]},
        {"affine": [[1.0]]},
        {"axis_labels": ["y"]},
    ],
)
def test_a_placement_of_other_axes_costs_that_part(damage, tmp_path):
    whole = {"scale": [0.5, 0.25], "rotate": 30.0, "units": ["millimeter"] * 2}
    note = note_of(LabelMap(np.eye(4, dtype=np.uint8), placement={**whole, **damage}))
    said = PngInfo()
    said.add_text(NOTE_KEY, note_text(note))
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "a.png", pnginfo=said)
    (found,) = read_labels(tmp_path / "a.png")
    assert found.placement == {k: v for k, v in whole.items() if k not in damage}
    assert pixel_size(found.placement, 2)[0] == found.placement.get("scale", [1, 1])
    data, attributes, _ = layer_data_of(found)
    Labels(data, **attributes)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32])
def test_values_are_counted(dtype):
    array = np.random.default_rng(0).integers(0, 2, (3, 2**20)).astype(dtype)
    array[1, :5] = 255
    values, counts = np.unique(array, return_counts=True)
    assert LabelMap(array).counts == dict(zip(values, counts, strict=True))
    assert LabelMap(array).values == sorted(values)


def test_many_pixels_are_counted_at_once():
    """A PNG of 300 bytes may be 100 million of them, which sorting takes 10 s for."""
    array = np.zeros((2**13, 2**12), np.uint16)
    array[0, ::2] = 7
    began = time.process_time()
    assert LabelMap(array).largest == 7
    assert time.process_time() - began < 0.5
