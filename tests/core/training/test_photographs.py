from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_localdisc.core.errors import Cancelled, FileError, TrainingError
from napari_localdisc.core.priors import get_prior
from napari_localdisc.core.training import photographs
from napari_localdisc.core.training.photographs import (
    BACKGROUND,
    FITTED,
    INSIDE,
    PHOTOGRAPH,
    photograph_files,
    prepare_photographs,
)


def lit_disc(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    image = rng.integers(90, 160, (*size, 3)).astype(np.uint8)
    outside = np.hypot(y - size[0] / 2, x - size[1] / 2) > 0.48 * min(size)
    image[outside] = 0
    return image


def test_any_size_comes_to_the_working_grid(tmp_path):
    images = [lit_disc((100, 130)), lit_disc((240, 200))]
    prepared = prepare_photographs(images, working_diameter=90, cache=tmp_path)
    assert len(prepared) == 2
    assert prepared.size == 96
    for array in prepared.arrays:
        assert array.shape == (FITTED, 96, 96)
        assert array.dtype == np.uint8
        columns = np.flatnonzero(array[INSIDE][0].any(0))
        assert abs(columns[-1] - columns[0] + 1 - 90) <= 1
        assert 90 < array[PHOTOGRAPH][:, 48, 48].mean() < 160


def test_priors_add_backgrounds_and_maps(tmp_path):
    priors = [get_prior("vessel-tree"), get_prior("disc")]
    images = [lit_disc((200, 200), k) for k in range(2)]
    prepared = prepare_photographs(
        images, working_diameter=160, priors=priors, cache=tmp_path
    )
    array = prepared.arrays[0]
    assert array.shape[0] == FITTED + 1
    assert array[BACKGROUND].max() > 0
    assert set(np.unique(array[FITTED])) <= {0, 127, 255}


def test_unreadable_files_are_named_and_left_out(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(2):
        Image.fromarray(lit_disc((80, 80), k)).save(folder / f"{k}.png")
    (folder / "note.txt").write_text("no image")
    (folder / "bad.jpg").write_bytes(b"nonsense")
    Image.new("RGB", (64, 64)).save(folder / "black.png")
    files = photograph_files(folder)
    assert [f.name for f in files] == ["0.png", "1.png", "bad.jpg", "black.png"]
    with pytest.warns(UserWarning, match="Left out"):
        prepared = prepare_photographs(files, working_diameter=64, cache=tmp_path)
    assert len(prepared) == 2
    assert sorted(name[-9:] for name in prepared.skipped) == ["black.png", "s/bad.jpg"]


def test_masks_beside_photographs_are_never_shown_to_a_training(tmp_path):
    for name in ("21", "21_vessel", "21_fov", "eye_left", "eye_left_optic_disc"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    assert [f.name for f in photograph_files(tmp_path)] == ["21.png", "eye_left.png"]


def test_prepared_once(tmp_path):
    images = [lit_disc((80, 80), k) for k in range(2)]
    prepare_photographs(images, working_diameter=64, cache=tmp_path)
    before = {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    prepare_photographs(images, working_diameter=64, cache=tmp_path)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()} == before
    prepare_photographs(images, working_diameter=80, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_a_damaged_prepared_photograph_is_made_anew(tmp_path, damage):
    images = [lit_disc((80, 80), k) for k in range(2)]
    before = prepare_photographs(images, working_diameter=64, cache=tmp_path)
    expected = [array.copy() for array in before.arrays]
    file = sorted(tmp_path.iterdir())[0]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    again = prepare_photographs(images, working_diameter=64, cache=tmp_path)
    assert not again.skipped
    np.testing.assert_array_equal(again.arrays, expected)


def test_whatever_a_reader_raises_the_others_are_prepared(tmp_path, monkeypatch):
    folder, read = tmp_path / "images", photographs.read_image
    folder.mkdir()
    for k in range(3):
        Image.fromarray(lit_disc((80, 80), k)).save(folder / f"{k}.png")

    def failing(path):
        if path.name == "1.png":
            raise IndexError("a codec's own")
        return read(path)

    monkeypatch.setattr(photographs, "read_image", failing)
    files = photograph_files(folder)
    with pytest.warns(UserWarning, match=r"Left out: .*1\.png: a codec's own"):
        prepared = prepare_photographs(files, working_diameter=64, cache=tmp_path)
    assert len(prepared) == 2


def test_no_room_for_prepared_photographs_is_said(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FileError, match="cannot be written"):
        prepare_photographs(
            [lit_disc((80, 80))], working_diameter=64, cache=tmp_path / "file", fewest=1
        )


def test_too_few_images_and_a_missing_folder_are_errors(tmp_path):
    with pytest.raises(TrainingError, match="at least 2 images and got 1"):
        prepare_photographs([lit_disc((80, 80))], working_diameter=64, cache=tmp_path)
    with pytest.raises(TrainingError, match="no folder"):
        photograph_files(tmp_path / "missing")


def test_can_be_cancelled(tmp_path):
    with pytest.raises(Cancelled):
        prepare_photographs(
            [lit_disc((80, 80))] * 3,
            working_diameter=64,
            cache=tmp_path,
            cancel=lambda: True,
        )


def test_held_out_photographs_are_not_trained_on(tmp_path):
    images = [lit_disc((80, 80), k) for k in range(6)]
    prepared = prepare_photographs(images, working_diameter=64, cache=tmp_path)
    training, held_out = prepared.split(2)
    assert (len(training), len(held_out)) == (4, 2)
    assert not {a.filename for a in training.arrays} & {
        a.filename for a in held_out.arrays
    }
    few, same = prepared.split(5)
    assert few is same is prepared
