import numpy as np
import pytest
from PIL import Image

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.labelled import labelled_images, with_structure


def save(path, mask):
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    masks = {}
    for name in ("eye_1", "eye_2", "eye_3"):
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{name}.jpg")
    for name in (
        "eye_1_vessel",
        "eye_1_hard_exudate",
        "eye_1_fov",
        "eye_2_soft_exudate",
    ):
        masks[name] = rng.random((20, 30)) < 0.5
        save(tmp_path / f"{name}.png", masks[name])
    return tmp_path, masks


def test_images_and_their_masks_are_told_apart(folder):
    images = labelled_images(folder[0])
    assert [image.path.name for image in images] == [
        "eye_1.jpg",
        "eye_2.jpg",
        "eye_3.jpg",
    ]
    assert set(images[0].masks) == {"vessel", "hard_exudate", "fov"}


def test_a_case_holds_image_mask_and_field_of_view(folder):
    path, masks = folder
    (image,) = with_structure(labelled_images(path), "vessel", path)
    case = image.case("vessel")
    assert case.name == "eye_1.jpg"
    assert case.image.shape == (20, 30, 3)
    np.testing.assert_array_equal(case.reference, masks["eye_1_vessel"])
    np.testing.assert_array_equal(case.field_of_view, masks["eye_1_fov"])


def test_a_union_of_masks(folder):
    path, masks = folder
    chosen = with_structure(labelled_images(path), "hard_exudate+soft_exudate", path)
    assert len(chosen) == 2
    case = chosen[1].case("hard_exudate+soft_exudate")
    np.testing.assert_array_equal(case.reference, masks["eye_2_soft_exudate"])
    assert case.field_of_view is None


@pytest.mark.parametrize("name", ["hard exudate", "Hard-Exudate", " HARD_exudate"])
def test_blanks_hyphens_and_case_are_alike(folder, name):
    path, masks = folder
    (image,) = with_structure(labelled_images(path), name, path)
    case = image.case(name)
    np.testing.assert_array_equal(case.reference, masks["eye_1_hard_exudate"])
    both = with_structure(labelled_images(path), f"{name}+Soft exudate", path)
    assert len(both) == 2


def test_files_may_be_spelt_in_any_way_too(folder):
    path, masks = folder
    save(path / "eye_3_Optic-Disc.png", masks["eye_1_vessel"])
    (image,) = with_structure(labelled_images(path), "optic disc", path)
    assert image.path.name == "eye_3.jpg"
    assert image.case("optic_disc").reference.any()


def test_an_empty_mask_is_empty(folder):
    path, _ = folder
    save(path / "eye_3_vessel.png", np.zeros((20, 30)))
    assert not labelled_images(path)[2].case("vessel").reference.any()


def test_a_mask_of_another_size_is_refused(folder):
    path, _ = folder
    save(path / "eye_1_vessel.png", np.ones((10, 30)))
    with pytest.raises(
        FileError, match=r"10×30 pixels, but its image eye_1\.jpg has 20"
    ):
        labelled_images(path)[0].case("vessel")


def test_an_unknown_structure_names_the_known(folder):
    path, _ = folder
    with pytest.raises(FileError, match="hard_exudate, soft_exudate, vessel"):
        with_structure(labelled_images(path), "fovea", path)


def test_no_folder_and_no_image(tmp_path):
    with pytest.raises(FileError, match="There is no folder"):
        labelled_images(tmp_path / "gone")
    with pytest.raises(FileError, match="holds no image"):
        labelled_images(tmp_path)


def test_an_ambiguity_is_an_error_and_a_doubt_is_said(folder):
    path, masks = folder
    said = []
    labelled_images(path, said.append)
    assert said == []
    save(path / "eye_1_Vessel.bmp", masks["eye_1_vessel"])
    with pytest.raises(FileError, match="are both masks of"):
        labelled_images(path)


def test_what_was_computed_is_no_reference(folder):
    from napari_localdisc.io.labels.tiff import write_tiff

    path, masks = folder
    wrong = ~masks["eye_1_vessel"]
    write_tiff(path / "eye_1_vessel.tif", wrong, {"made": "structure"})
    (image,) = with_structure(labelled_images(path), "vessel", path)
    reference = image.case("vessel").reference
    np.testing.assert_array_equal(reference, masks["eye_1_vessel"])
