"""The files as other programs' own libraries see them."""

import json

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.labels import LabelMap, read_labels, write_labels, write_map
from napari_localdisc.io.labels.coco import write_coco

NAMES = {1: "vessel", 2: "optic disc", 9: "never painted"}
COLOURS = {1: (1.0, 0.0, 0.2, 1.0), 2: (0.0, 1.0, 0.0, 0.4)}
PLACEMENT = {"scale": [0.5, 0.25], "units": ["micrometer", "micrometer"]}


@pytest.fixture
def labels():
    """A ring (1) around a disc (2), and a lone pixel of 3."""
    rows, columns = np.mgrid[:40, :50]
    radius = np.hypot(rows - 20, columns - 24)
    array = np.zeros((40, 50), np.int32)
    array[radius < 15] = 1
    array[radius < 9] = 2
    array[39, 49] = 3
    return LabelMap(
        array, NAMES, COLOURS, placement=PLACEMENT, name="eye", image="eye.jpg"
    )


def test_pillow_sees_indices_and_colours(labels, tmp_path):
    write_labels(tmp_path / "eye.png", labels)
    with Image.open(tmp_path / "eye.png") as file:
        assert file.mode == "P"
        np.testing.assert_array_equal(np.asarray(file), labels.labels)
        colours = np.asarray(file.convert("RGBA"))
        assert file.info["dpi"] == pytest.approx((25400 / 0.25, 25400 / 0.5), rel=1e-6)
    assert tuple(colours[20, 12]) == (255, 0, 51, 255)
    assert tuple(colours[20, 24]) == (0, 255, 0, 102)
    assert colours[0, 0, 3] == 0


def test_pillow_sees_sixteen_bits_where_they_are_needed(labels, tmp_path):
    many = LabelMap(labels.labels * 300)
    write_labels(tmp_path / "eye.png", many)
    with Image.open(tmp_path / "eye.png") as file:
        assert file.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(file), many.labels)


def test_tifffile_sees_imagej_metadata(labels, tmp_path):
    write_labels(tmp_path / "eye.tif", labels)
    with tifffile.TiffFile(tmp_path / "eye.tif") as file:
        assert file.is_imagej
        page = file.pages.first
        np.testing.assert_array_equal(file.asarray(), labels.labels)
        assert file.asarray().dtype == np.uint8
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert file.imagej_metadata["unit"] == "um"
        across, down = (page.tags[f"{axis}Resolution"].value for axis in "XY")
        lookup = np.reshape(file.imagej_metadata["LUTs"], (3, 256))
        classes = json.loads(file.imagej_metadata["Info"])["localdisc"]["classes"]
    assert across[0] / across[1] == pytest.approx(4)
    assert down[0] / down[1] == pytest.approx(2)
    assert tuple(lookup[:, 1]) == (255, 0, 51)
    assert classes["2"]["name"] == "optic disc"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_tifffile_sees_ome_metadata(labels, tmp_path, dtype):
    many = LabelMap(
        labels.labels.astype(dtype) * (70000 if dtype == np.uint32 else 1),
        {70000: "vessel"} if dtype == np.uint32 else NAMES,
        placement=PLACEMENT,
    )
    path = tmp_path / ("eye.tif" if dtype == np.uint32 else "eye.ome.tif")
    write_labels(path, many)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        np.testing.assert_array_equal(file.asarray(), many.labels)
        assert file.asarray().dtype == dtype
        ome = tifffile.xml2dict(file.ome_metadata)["OME"]
    pixels = ome["Image"]["Pixels"]
    assert pixels["PhysicalSizeY"] == 0.5
    assert pixels["PhysicalSizeX"] == 0.25
    assert pixels["PhysicalSizeXUnit"] == "µm"
    named = ome["StructuredAnnotations"]["MapAnnotation"]["Value"]["M"]
    assert "vessel" in {entry["value"] for entry in named}


def test_ome_zarr_sees_a_pyramid_with_colours_and_names(labels, tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    big = LabelMap(
        np.kron(labels.labels, np.ones((30, 30), np.int32)),
        NAMES,
        COLOURS,
        placement=PLACEMENT,
    )
    write_labels(tmp_path / "eye.ome.zarr", big)
    (node,) = Reader(parse_url(tmp_path / "eye.ome.zarr"))()
    levels = node.data
    np.testing.assert_array_equal(levels[0].compute(), big.labels)
    np.testing.assert_array_equal(levels[1].compute(), big.labels[::2, ::2])
    assert max(levels[-1].shape) <= 512
    transforms = node.metadata["coordinateTransformations"]
    assert transforms[0][0]["scale"] == [0.5, 0.25]
    assert transforms[1][0]["scale"] == [1.0, 0.5]
    assert node.metadata["axes"][0]["unit"] == "micrometer"
    assert node.metadata["color"][1] == pytest.approx([1, 0, 0.2, 1])
    assert node.metadata["color"][2] == pytest.approx([0, 1, 0, 0.4])
    assert node.metadata["properties"][1]["name"] == "vessel"


@pytest.mark.parametrize("segmentation", ["auto", "rle"])
def test_pycocotools_loads_objects_and_categories(labels, tmp_path, segmentation):
    from pycocotools.coco import COCO

    path = tmp_path / "eye.json"
    write_coco(path, [labels], segmentation)
    coco = COCO(str(path))
    categories = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
    assert categories == {**NAMES, 3: "label 3"}
    (image,) = coco.loadImgs(coco.getImgIds())
    assert image["file_name"] == "eye.jpg"
    assert (image["height"], image["width"]) == (40, 50)
    painted = np.zeros((40, 50), int)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(annotation)
        assert annotation["area"] == mask.sum()
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation["bbox"] == box
        painted += annotation["category_id"] * mask
    np.testing.assert_array_equal(painted, labels.labels)
    kinds = {type(a["segmentation"]) for a in coco.loadAnns(coco.getAnnIds())}
    assert kinds == ({dict, list} if segmentation == "auto" else {dict})


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    array=hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.integers(0, 2),
    )
)
def test_polygons_and_run_lengths_hold_every_pixel(array, tmp_path):
    path = tmp_path / "any.json"
    write_coco(path, [LabelMap(array)])
    (found,) = read_labels(path)
    np.testing.assert_array_equal(found.labels, array)


def test_coco_of_several_images_is_one_data_set(labels, tmp_path):
    from pycocotools.coco import COCO

    other = LabelMap(labels.labels[:20, :20], NAMES, COLOURS, image="other.jpg")
    write_coco(tmp_path / "all.json", [labels, other])
    coco = COCO(str(tmp_path / "all.json"))
    names = [image["file_name"] for image in coco.loadImgs(coco.getImgIds())]
    assert names == ["eye.jpg", "other.jpg"]
    first, second = read_labels(tmp_path / "all.json")
    np.testing.assert_array_equal(first.labels, labels.labels)
    np.testing.assert_array_equal(second.labels, other.labels)
    renamed = LabelMap(labels.labels, {1: "artery"}, image="third.jpg")
    with pytest.raises(FileError, match="'vessel' in one image and 'artery'"):
        write_coco(tmp_path / "bad.json", [labels, renamed])
    with pytest.raises(FileError, match="has holes"):
        write_coco(tmp_path / "bad.json", [labels], "polygon")
    assert not (tmp_path / "bad.json").exists()


def test_a_missing_library_is_named(labels, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setitem(sys.modules, "ome_zarr", None)
    with pytest.raises(FileError, match="napari-localdisc\\[coco\\]"):
        write_coco(tmp_path / "eye.json", [labels])
    with pytest.raises(FileError, match="napari-localdisc\\[ome-zarr\\]"):
        write_labels(tmp_path / "eye.ome.zarr", labels)
    assert list(tmp_path.iterdir()) == []


def test_masks_are_black_and_white_and_fit_evaluate(labels, tmp_path):
    from napari_localdisc.io.labelled import labelled_images

    Image.new("RGB", (50, 40)).save(tmp_path / "eye.png")
    write_labels(tmp_path / "eye.masks.png", labels)
    with Image.open(tmp_path / "eye_vessel.png") as file:
        assert file.mode == "1"
        np.testing.assert_array_equal(np.asarray(file), labels.labels == 1)
    (image,) = labelled_images(tmp_path)
    assert set(image.masks) == {"vessel", "optic_disc", "label_3", "never_painted"}
    reference = image.case("optic_disc").reference
    np.testing.assert_array_equal(reference, labels.labels == 2)


@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_maps_are_exact_32_bit_floats(tmp_path, ending):
    values = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    values[0, 0] = np.nan
    path = tmp_path / f"map{ending}"
    write_map(path, values, PLACEMENT)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome if "ome" in ending else file.is_imagej
        found = file.asarray()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)
    write_map(path, values.astype(np.float64))
    with pytest.raises(FileError, match="would change"):
        write_map(path, np.full((4, 4), 0.1))
    with pytest.raises(FileError, match=r"must end with \.tif"):
        write_map(tmp_path / "map.png", values)


def test_files_of_other_programs_are_read_too(tmp_path):
    array = np.array([[0, 1], [2, 2]], np.uint8)
    picture = Image.fromarray(array)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    (found,) = read_labels(tmp_path / "a.png")
    np.testing.assert_array_equal(found.labels, array)
    assert found.colours[2] == (0.0, 0.0, 1.0, 1.0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        array.astype(np.uint16),
        imagej=True,
        resolution=(2.0, 2.0),
        metadata={"unit": "um"},
    )
    (found,) = read_labels(tmp_path / "a.tif")
    assert found.placement["scale"] == [0.5, 0.5]
    assert found.placement["units"] == ["micrometer", "micrometer"]
    metadata = {"axes": "YX", "PhysicalSizeX": 3.0, "PhysicalSizeXUnit": "mm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata=metadata)
    (found,) = read_labels(tmp_path / "a.ome.tif")
    assert found.placement["scale"] == [1.0, 3.0]
    assert found.placement["units"][1] == "millimeter"
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    with pytest.raises(FileError, match="a picture, not labels"):
        read_labels(tmp_path / "rgb.png")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(FileError, match=r"a\.json cannot be read as COCO"):
        read_labels(tmp_path / "a.json")
    (tmp_path / "broken.tif").write_text("nothing")
    with pytest.raises(FileError, match=r"broken\.tif cannot be read as TIFF"):
        read_labels(tmp_path / "broken.tif")
    with pytest.raises(FileError, match="There is no file"):
        read_labels(tmp_path / "gone.png")
    with pytest.raises(FileError, match="cannot be read as OME-Zarr"):
        read_labels(tmp_path)


@pytest.mark.parametrize(
    ("unit", "name", "symbol", "metres"),
    [
        ("um", "micrometer", "µm", 1e-6),
        ("micron", "micrometer", "µm", 1e-6),
        ("\\u00B5m", "micrometer", "µm", 1e-6),  # as ImageJ writes µ
        ("mm", "millimeter", "mm", 1e-3),
        ("in", "inch", "in", 0.0254),
        ("pixels", "pixel", "pixel", 0),
        ("px", "pixel", "pixel", 0),
        ("second", "second", "second", 0),
        ("what / 3", "what / 3", "what / 3", 0),
        ("", "", "", 0),
    ],
)
def test_units_in_other_programs_words(unit, name, symbol, metres):
    from napari_localdisc.io.labels import label_map

    found = label_map.name_of(unit)
    assert found == name
    assert label_map.symbol_of(found) == symbol
    assert label_map.metres(found) == metres


def coco(**changes):
    """A file of one annotation on one picture, with something changed."""
    content = {
        "images": [{"id": 1, "file_name": "eye.png", "height": 6, "width": 5}],
        "categories": [{"id": 3, "name": "disc", "color": [255, 0, 0]}],
        "annotations": [
            {"image_id": 1, "category_id": 3, "segmentation": [[1, 1, 4, 1, 4, 4]]}
        ],
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        entry = content
        for key in parents:
            entry = entry[int(key) if key.isdigit() else key]
        entry[last] = value
    return content


HOSTILE = {
    "an image of a petabyte": {"images__0__height": 10**9, "images__0__width": 10**6},
    "an image that memory does not hold": {
        "images__0__height": 100_000,
        "images__0__width": 100_000,
    },
    "an image below nothing": {"images__0__height": -6},
    "a polygon that leads far away": {
        "annotations__0__segmentation": [[1, 1, 2e9, 1, 4, 4e9]]
    },
    "a polygon of no numbers": {"annotations__0__segmentation": [["a"] * 6]},
    "a polygon of two corners": {"annotations__0__segmentation": [[1, 1, 2, 2]]},
    "runs longer than the image": {
        "annotations__0__segmentation": {"size": [6, 5], "counts": [0, 10**12]}
    },
    "runs below nothing": {
        "annotations__0__segmentation": {"size": [6, 5], "counts": [40, -10]}
    },
    "no runs": {"annotations__0__segmentation": {"size": [6, 5], "counts": []}},
    "runs of another image": {
        "annotations__0__segmentation": {"size": [5, 6], "counts": [0, 30]}
    },
    "packed runs beyond the image": {
        "annotations__0__segmentation": {"size": [6, 5], "counts": "ooooooooooo7"}
    },
    "packed runs of other letters": {
        "annotations__0__segmentation": {"size": [6, 5], "counts": "\x00\xff"}
    },
    "a category below nothing": {"annotations__0__category_id": -1},
    "a category of another file": {"categories__0__id": "x"},
    "a colour out of range": {"categories__0__color": [10**6] * 3},
    "an image a thousand times": {
        "images": [{"id": 1, "file_name": "eye.png", "height": 9, "width": 9}] * 1000
    },
    "images that memory does not hold": {
        "images": [
            {"id": at, "file_name": "eye.png", "height": 5000, "width": 5000}
            for at in range(100_000)
        ]
    },
    "infinite corners": {"annotations__0__segmentation": [[float("inf")] * 6]},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_coco_file_is_a_sentence(tmp_path, changes):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(coco(**changes)))
    with pytest.raises(FileError, match=r"labels\.json"):
        read_labels(path)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"images":' * 50_000, "", "\x00"])
def test_json_of_any_depth_is_a_sentence(tmp_path, text):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(FileError, match=r"labels\.json cannot be read as COCO"):
        read_labels(path)


def test_run_lengths_are_read_as_the_coco_interface_reads_them(tmp_path):
    mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for density in (0.0, 0.02, 0.5, 1.0):
        wanted = rng.random((60, 50)) < density
        packed = mask.encode(np.asfortranarray(wanted, np.uint8))
        runs = {"size": [60, 50], "counts": packed["counts"].decode()}
        path = tmp_path / "labels.json"
        changes = {
            "images__0__height": 60,
            "images__0__width": 50,
            "annotations__0__segmentation": runs,
        }
        path.write_text(json.dumps(coco(**changes)))
        np.testing.assert_array_equal(read_labels(path)[0].labels == 3, wanted)


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_masks_of_other_programs_are_read_as_they_are_meant(tmp_path, suffix):
    import tifffile

    from napari_localdisc.core.image.files import read_image

    mask = np.zeros((20, 30), bool)
    mask[2:5, 4:19] = True
    path = tmp_path / f"eye_disc{suffix}"
    if suffix == ".tif":
        upside_down = [(274, 3, 1, 3, True)]
        stored = ~mask[::-1, ::-1]
        tifffile.imwrite(path, stored, photometric="miniswhite", extratags=upside_down)
    else:
        exif = Image.Exif()
        exif[274] = 3
        Image.fromarray(mask[::-1, ::-1]).save(path, exif=exif)
    (found,) = read_labels(path)
    np.testing.assert_array_equal(np.asarray(found.labels) > 0, mask)
    np.testing.assert_array_equal(read_image(path), mask)
