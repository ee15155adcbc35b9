"""Images, masks and results: told by names, by pixels where names do not."""

import unicodedata

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_localdisc.core.image.files import find_images, roles_of
from napari_localdisc.io.labels import LabelMap, write_labels, write_map
from napari_localdisc.io.labels.tiff import write_tiff

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (20, 24), dtype=np.uint8)
MASK = np.where(GREY > 128, 255, 0).astype(np.uint8)


def save(folder, **pictures):
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")


def names(paths):
    return [path.name for path in paths]


def told(folder):
    roles = roles_of(sorted(folder.iterdir()))
    masks = {
        image.name: {structure: path.name for structure, path in own.items()}
        for image, own in roles.masks.items()
    }
    return names(roles.images), masks, roles


@pytest.mark.parametrize("picture", [COLOUR, GREY], ids=["colour", "grey"])
def test_the_longest_name_owns_a_mask_and_visits_are_images(tmp_path, picture):
    save(tmp_path, visit=picture, visit_2=picture, visit_2_left=picture)
    save(tmp_path, visit_vessel=MASK, visit_2_vessel=MASK)
    images, masks, roles = told(tmp_path)
    assert images == ["visit.png", "visit_2.png", "visit_2_left.png"]
    assert masks == {
        "visit.png": {"vessel": "visit_vessel.png"},
        "visit_2.png": {"vessel": "visit_2_vessel.png"},
    }
    said = " ".join(roles.remarks)
    assert "visit_2_vessel.png is taken for the mask 'vessel' of visit_2.png" in said
    assert "visit_2.png is taken for an image of its own" in said


def test_a_mask_belongs_to_an_exact_name_that_is_there(tmp_path):
    save(tmp_path, eye=COLOUR, eyes_vessel=MASK, Eye_vessel=MASK, eye_vessel=MASK)
    images, masks, _ = told(tmp_path)
    assert images == ["Eye_vessel.png", "eye.png", "eyes_vessel.png"]
    assert masks == {"eye.png": {"vessel": "eye_vessel.png"}}


@pytest.mark.parametrize("kind", ["1 bit", "jpeg", "palette", "float", "16 bit", "rgb"])
@pytest.mark.parametrize("picture", [COLOUR, GREY], ids=["colour", "grey"])
def test_masks_of_many_kinds(tmp_path, kind, picture):
    save(tmp_path, a=picture)
    path = tmp_path / "a_disc.png"
    blocks = np.kron(MASK[:5, :6], np.ones((16, 16), np.uint8))
    if kind == "1 bit":
        Image.fromarray(MASK > 0).save(path)
    elif kind == "jpeg":
        Image.fromarray(blocks).save(tmp_path / "a_disc.jpg", quality=90)
    elif kind == "palette":
        table = Image.fromarray((MASK > 0).astype(np.uint8))
        table.putpalette([0, 0, 0, 200, 30, 30])
        table.save(path)
    elif kind == "float":
        tifffile.imwrite(tmp_path / "a_disc.tif", (MASK > 0).astype(np.float32))
    elif kind == "16 bit":
        Image.fromarray((MASK > 0).astype(np.uint16) * 7000).save(path)
    else:
        Image.fromarray(np.dstack((MASK, MASK * 0, MASK))).save(path)
    images, masks, _ = told(tmp_path)
    assert images == ["a.png"]
    assert list(masks["a.png"]) == ["disc"]


def test_a_soft_mask_is_none_of_a_film(tmp_path):
    """Grey beside grey may be another film; beside a photograph it is a mask."""
    save(tmp_path, a=COLOUR, a_soft=GREY, b=GREY, b_2=GREY)
    images, masks, roles = told(tmp_path)
    assert images == ["a.png", "b.png", "b_2.png"]
    assert list(masks["a.png"]) == ["soft"]
    assert "b_2.png is taken for an image" in " ".join(roles.remarks)


def test_what_we_computed_is_neither_image_nor_mask(tmp_path):
    save(tmp_path, eye=COLOUR, eye_disc=MASK)
    made = {"made": "structure"}
    write_tiff(tmp_path / "eye_vessel.tif", MASK > 0, made, names={1: "vessel"})
    write_map(tmp_path / "eye_vessel_probability.tif", GREY / np.float32(255))
    write_labels(tmp_path / "eye_c.png", LabelMap(GREY // 50, made_by=made))
    write_labels(tmp_path / "eye_c.ome.zarr", LabelMap(GREY // 50, made_by=made))
    write_labels(tmp_path / "eye_c.ome.tif", LabelMap(GREY // 50, made_by=made))
    images, masks, roles = told(tmp_path)
    assert images == ["eye.png"]
    assert list(masks["eye.png"]) == ["disc"]
    assert sum("made by this program" in said for said in roles.remarks) == 5


def test_what_a_hand_labelled_is_a_mask_and_never_an_image(tmp_path):
    save(tmp_path, eye=COLOUR)
    for stem in ("eye_disc", "other"):
        write_labels(tmp_path / f"{stem}.png", LabelMap(MASK // 255, names={1: "disc"}))
    images, masks, roles = told(tmp_path)
    assert images == ["eye.png"]
    assert list(masks["eye.png"]) == ["disc"]
    assert "other.png holds labels of no image here" in " ".join(roles.remarks)


def test_two_ways_to_write_an_accent_are_one(tmp_path):
    composed, apart = (unicodedata.normalize(f, "œil né") for f in ("NFC", "NFD"))
    assert composed != apart
    save(tmp_path, **{composed: COLOUR, f"{apart}_vessel": MASK})
    images, masks, _ = told(tmp_path)
    assert images == [f"{composed}.png"]
    assert list(masks[f"{composed}.png"]) == ["vessel"]


def test_conflicts_are_said(tmp_path):
    save(tmp_path, eye=COLOUR, eye_hard_exudate=MASK)
    Image.fromarray(MASK).save(tmp_path / "eye_Hard exudate.png")
    _, _, roles = told(tmp_path)
    assert "are both masks of" in roles.conflicts[0]
    (tmp_path / "eye_Hard exudate.png").unlink()
    Image.fromarray(COLOUR).save(tmp_path / "eye.bmp")
    _, _, roles = told(tmp_path)
    assert "eye_hard_exudate.png may be a mask of eye.bmp and eye.png" in " ".join(
        roles.conflicts
    )


def test_folders_and_patterns_stand_for_images_alone(tmp_path):
    save(tmp_path, eye=COLOUR, eye_disc=MASK)
    write_tiff(tmp_path / "eye_clusters.tif", GREY // 50, {"made": "clusters"})
    said = []
    assert names(find_images([tmp_path], said.append)) == ["eye.png"]
    assert any("1 mask of another image" in sentence for sentence in said)
    assert names(find_images([tmp_path / "*"])) == ["eye.png"]
    assert names(find_images([tmp_path / "eye_d*"])) == ["eye_disc.png"]
    assert names(find_images([tmp_path / "eye_disc.png"])) == ["eye_disc.png"]


@pytest.mark.parametrize("folder", ["scans [2]", "a b*c", "Größe ñ 眼"])
def test_brackets_blanks_and_letters_of_all_kinds(tmp_path, folder, monkeypatch):
    inside = tmp_path / folder
    inside.mkdir()
    save(inside, **{"eye [1]": COLOUR})
    assert names(find_images([inside])) == ["eye [1].png"]
    assert names(find_images([inside / "*.png"])) == ["eye [1].png"]
    assert names(find_images([inside / "eye [1].png"])) == ["eye [1].png"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_images([f"~/{folder}"]) == [inside / "eye [1].png"]
