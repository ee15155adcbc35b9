"""Classes that overlap: whole in masks and COCO, a map a group elsewhere."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.names import NOTE_KEY
from napari_localdisc.io.areas import areas_in
from napari_localdisc.io.labels import (
    FORMATS,
    LabelMap,
    find_labels,
    read_labels,
    write_labels,
)
from napari_localdisc.io.labels.label_map import in_maps, map_path
from napari_localdisc.io.measured import find_measured

SHAPE = 30, 26
NAMES = {1: "optic disc", 2: "optic cup", 5: "vessel"}
COLOURS = {1: (1.0, 0.0, 0.0, 1.0), 2: (0.0, 1.0, 0.0, 1.0), 5: (0.0, 0.0, 1.0, 1.0)}


@pytest.fixture
def masks():
    """A cup in a disc, and a vessel over both."""
    found = {value: np.zeros(SHAPE, bool) for value in NAMES}
    found[1][5:20, 5:20] = True
    found[2][9:14, 9:14] = True
    found[5][:, 11:13] = True
    return found


def of(values, masks, **more):
    labels = np.zeros(SHAPE, np.uint8)
    for value in values:
        labels[masks[value]] = value
    looks = {
        key: {value: table[value] for value in values}
        for key, table in (("names", NAMES), ("colours", COLOURS))
    }
    return LabelMap(labels, **looks, name="eye", image="eye.jpg", **more)


@pytest.fixture
def labels(masks):
    others = [of([v], masks, made_by={"group": n}) for n, v in ((1, 2), (2, 5))]
    return of([1], masks, others=tuple(others))


def masks_in(labels) -> dict[int, np.ndarray]:
    return {value: each.array == value for each, value in labels.each_class()}


@pytest.mark.parametrize("form", ["png", "tiff", "ome-tiff", "ome-zarr", "coco"])
def test_each_class_comes_back_whole(labels, masks, tmp_path, form):
    ending = FORMATS[form].endings[0]
    files = write_labels(tmp_path / f"eye{ending}", labels)
    many = 1 if form == "coco" else 3
    names = [f"eye{ending}", f"eye.map2{ending}", f"eye.map3{ending}"]
    assert [file.name for file in files] == names[:many]
    (back,) = read_labels(files[0])
    assert len(back.maps) == 3
    for value, mask in masks_in(back).items():
        np.testing.assert_array_equal(mask, masks[value])
    for before, after in zip(labels.maps, back.maps, strict=True):
        assert after.names == before.names
        assert after.colours == before.colours
        assert after.made_by == before.made_by
        assert after.image == "eye.jpg"
    if many > 1:
        # One of them alone is one map; a folder holds them once
        (alone,) = read_labels(files[1])
        assert [*alone.maps] == [alone]
        assert find_labels([tmp_path]) == [files[0]]
        assert find_labels([*reversed(files)]) == [files[0]]
        assert find_labels([files[2]]) == [files[2]]
    pixels = {area.name: area.pixels for area in areas_in(files[0], "eye")}
    assert pixels == {NAMES[value]: mask.sum() for value, mask in masks.items()}


def test_masks_are_whole_each_in_its_file(labels, masks, tmp_path):
    files = write_labels(tmp_path / "eye.masks.png", labels)
    names = ["eye_optic_disc.png", "eye_optic_cup.png", "eye_vessel.png"]
    assert [file.name for file in files] == names
    for file, mask in zip(files, masks.values(), strict=True):
        (back,) = read_labels(file)
        np.testing.assert_array_equal(back.array > 0, mask)
    (measured,) = find_measured([tmp_path])
    read = measured.read()
    assert {name: mask.sum() for name, mask in read.masks.items()} == {
        NAMES[value]: mask.sum() for value, mask in masks.items()
    }


def test_one_class_of_two_maps_cannot_be_one_file(masks, tmp_path):
    twice = of([1], masks, others=(of([1], masks),))
    with pytest.raises(FileError, match="would become one file"):
        write_labels(tmp_path / "eye.masks.png", twice)
    assert [*tmp_path.iterdir()] == []


def test_measures_read_all_maps(labels, masks, tmp_path):
    write_labels(tmp_path / "eye.png", labels)
    (measured,) = find_measured([tmp_path])
    read = measured.read()
    whole = {**read.masks, read.names[1]: read.labels == 1}
    assert {name: mask.sum() for name, mask in whole.items()} == {
        NAMES[value]: mask.sum() for value, mask in masks.items()
    }


def test_a_file_of_another_program_keeps_what_overlaps(labels, masks, tmp_path):
    path = tmp_path / "eye.json"
    write_labels(path, labels)
    content = json.loads(path.read_text())
    content["info"] = {}
    path.write_text(json.dumps(content))
    (back,) = read_labels(path)
    assert [each.made_by for each in back.maps] == [{}, {"group": 1}, {"group": 2}]
    for value, mask in masks_in(back).items():
        np.testing.assert_array_equal(mask, masks[value])


def test_a_damaged_note_costs_no_pixel(labels, masks, tmp_path):
    path = tmp_path / "eye.json"
    write_labels(path, labels)
    whole = json.loads(path.read_text())
    for others in (None, 3, [], [7], [[None, {"classes": {"2": 1}}]], [[{}] * 9]):
        whole["info"][NOTE_KEY]["others"] = others
        path.write_text(json.dumps(whole))
        (back,) = read_labels(path)
        for value, mask in masks_in(back).items():
            np.testing.assert_array_equal(mask, masks[value])


@pytest.mark.parametrize(
    ("name", "ending", "second"),
    [
        ("a.b.png", ".png", "a.b.map2.png"),
        ("a.ome.tif", ".ome.tif", "a.map2.ome.tif"),
        ("a.OME.tif", ".ome.tif", "a.map2.OME.tif"),
        ("a.tif", ".ome.tif", "a.map2.tif"),
    ],
)
def test_names_of_further_maps(tmp_path, name, ending, second):
    assert map_path(tmp_path / name, 0, [ending]) == tmp_path / name
    assert map_path(tmp_path / name, 1, [ending]) == tmp_path / second


@given(st.lists(arrays(bool, (4, 5)), max_size=6), st.randoms(use_true_random=False))
def test_maps_hold_each_mask_whole_in_any_order(drawn, random):
    masks = dict(enumerate(drawn, 1))
    order = [*masks]
    random.shuffle(order)
    maps = in_maps({value: masks[value] for value in order}, {}, (4, 5))
    for value, mask in masks.items():
        np.testing.assert_array_equal(sum(each == value for each in maps) > 0, mask)
