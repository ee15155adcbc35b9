"""The field of view with pages, frames, strips and boxes around it."""

import functools
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.blocks import BlockSource
from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.working import as_rgb, look
from napari_localdisc.core.work import run
from napari_localdisc.io.samples import sample_path

SIZES = (240, 520)
COLOURS = {
    "white": (255, 255, 255),
    "paper": (240, 230, 200),
    "light grey": (200, 200, 200),
    "grey": (128, 128, 128),
    "dark grey": (60, 60, 60),
    "lifted black": (25, 25, 25),
    "blue": (30, 60, 120),
}


@functools.cache
def retina(size):
    """The photograph and its field of view, found in the dark frame it has."""
    with Image.open(sample_path()) as file:
        small = file.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    picture = np.asarray(small)
    return picture, find_field_of_view(as_rgb(picture))


def around(size, colour, noise=0.0):
    picture, view = retina(size)
    page = np.full(picture.shape, colour, float)
    page += np.random.default_rng(0).normal(0, noise, picture.shape)
    return np.where(view[..., None], picture, page.clip(0, 255)).astype(np.uint8)


def padded(picture, view, colour, top, bottom, left, right):
    height, width = view.shape
    whole = np.empty((height + top + bottom, width + left + right, 3), np.uint8)
    whole[:] = colour
    seen = np.zeros(whole.shape[:2], bool)
    inside = slice(top, top + height), slice(left, left + width)
    whole[inside], seen[inside] = picture, view
    return whole, seen


def lossy(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=80)
    return np.asarray(Image.open(buffer))


def agreement(picture, view):
    return (find_field_of_view(as_rgb(picture)) == view).mean()


@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_any_colour_around_the_field(colour, size, noise):
    picture, view = around(size, colour, noise), retina(size)[1]
    assert agreement(picture, view) > 0.985
    assert agreement(lossy(picture), view) > 0.97


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colour", ["white", "grey", "dark grey"])
def test_frames_and_pages_around_a_dark_frame(colour, size):
    picture, view = retina(size)
    for width in (size // 60, size // 20, size // 5):
        framed = padded(picture, view, COLOURS[colour], *[width] * 4)
        assert agreement(*framed) > 0.985
    page = padded(picture, view, COLOURS[colour], size // 3, 20, 30, size // 2)
    assert agreement(*page) > 0.985
    bars = padded(picture, view, COLOURS[colour], size // 6, size // 5, 0, 0)
    assert agreement(*bars) > 0.985
    pillars = padded(picture, view, COLOURS[colour], 0, 0, size // 6, size // 5)
    assert agreement(*pillars) > 0.985
    twice = padded(*framed, (255, 255, 255), 30, 40, 50, 20)
    assert agreement(*twice) > 0.985


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frame", ["dark", "white", "grey"])
@pytest.mark.parametrize("box", ["white", "light grey", "dark grey", "blue"])
def test_label_boxes_and_strips_of_text(box, frame, size):
    picture, view = retina(size)
    if frame != "dark":
        picture = around(size, COLOURS[frame])
    ink = (255, 255, 255) if box != "white" else (0, 0, 0)
    for corner in ((0, 0), (size - size // 4, size - size // 8)):
        labelled = Image.fromarray(picture.copy())
        pen = ImageDraw.Draw(labelled)
        left, top = corner
        pen.rectangle((left, top, left + size // 4, top + size // 8), COLOURS[box])
        pen.text((left + 4, top + 4), "OD 7", fill=ink)
        seen = view.copy()
        seen[top : top + size // 8 + 1, left : left + size // 4 + 1] = False
        assert agreement(np.asarray(labelled), seen) > 0.98
    whole, seen = padded(picture, view, COLOURS[box], 0, size // 10, 0, 0)
    strip = Image.fromarray(whole)
    ImageDraw.Draw(strip).text((9, size + 4), "right eye, 3 March", fill=ink)
    assert agreement(np.asarray(strip), seen) > 0.98


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frame", ["dark", "white", "grey"])
@pytest.mark.parametrize(
    "part", [(0, 0.6, 0, 1), (0.2, 1, 0.3, 1), (0, 0.5, 0.5, 1), (0.4, 1, 0, 0.7)]
)
def test_a_part_of_the_field(part, frame, size):
    picture, view = retina(size)
    if frame != "dark":
        picture = around(size, COLOURS[frame])
    top, bottom, left, right = (int(share * size) for share in part)
    cut = slice(top, bottom), slice(left, right)
    assert agreement(picture[cut], view[cut]) > 0.985


@pytest.mark.parametrize("size", [240, 520, 900])
def test_a_picture_without_surroundings_is_used_whole(size):
    picture, _ = retina(size)
    middle = slice(size // 5, -size // 5)
    for crop in (picture[middle, middle], lossy(picture[middle, middle])):
        assert find_field_of_view(as_rgb(crop)).all()
    framed, seen = padded(crop, seen_all(crop), (255, 255, 255), 8, 8, 8, 8)
    assert agreement(framed, seen) > 0.98


def seen_all(picture):
    return np.ones(picture.shape[:2], bool)


def test_shaded_paper_and_two_tones():
    picture, view = retina(520)
    rows, columns = np.mgrid[:520, :520] / 520
    shade = 200 + 50 * rows * columns
    paper = np.where(view[..., None], picture, shade[..., None]).astype(np.uint8)
    assert agreement(paper, view) > 0.985
    halves = np.where(columns < 0.5, 255, 128)[..., None]
    halves = np.where(view[..., None], picture, halves).astype(np.uint8)
    assert agreement(halves, view) > 0.985


def test_a_flat_disc_at_the_border_is_no_page():
    rows, columns = np.mgrid[:300, :400]
    disc = np.hypot(rows - 150, columns - 200) <= 180
    flat = np.where(disc[..., None], (150, 90, 40), 0).astype(np.uint8)
    assert agreement(flat, disc) > 0.999


@pytest.mark.parametrize("colour", ["white", "grey"])
def test_the_same_block_by_block(colour):
    picture, view = around(520, COLOURS[colour]), retina(520)[1]
    source = BlockSource(picture, "fundus")
    run(source.survey())
    seen = source.visible(slice(0, 520), slice(0, 520))
    assert (seen == view).mean() > 0.985
    np.testing.assert_array_equal(seen, find_field_of_view(as_rgb(picture)))


# Values that are missing


@pytest.mark.parametrize("modality", ["fundus", "frame"])
def test_nan_around_the_picture_is_no_fault(modality):
    picture, view = retina(240)
    values = np.where(view[..., None], picture / 255.0, np.nan)
    seen = look(values, modality, 144)
    assert (seen.field_of_view == view).mean() > 0.99
    assert not seen.field_of_view[~view].any()
    assert np.isfinite(seen.colour).all()
    source = BlockSource(values, modality)
    run(source.survey())
    by_blocks = source.visible(slice(0, 240), slice(0, 240))
    assert (by_blocks == seen.field_of_view).mean() > 0.999
    assert not by_blocks[~view].any()


def test_nan_inside_the_picture_is_one():
    values = retina(240)[0] / 255.0
    values[100:104, 120] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        look(values, "fundus", 144)


@pytest.mark.parametrize("size", SIZES)
def test_a_drawn_page_of_the_tissue_s_own_brightness(size):
    """Not even the step at its edge tells it everywhere, but it has no texture."""
    picture, view = retina(size)
    grey = picture.mean(axis=2).astype(np.uint8)
    assert agreement(np.where(view, grey, 128).astype(np.uint8), view) > 0.98
    dim = np.where(view[..., None], picture * 0.3, 40).astype(np.uint8)
    assert agreement(dim, view) > 0.98


@pytest.mark.parametrize("size", SIZES)
def test_a_screenshot_of_a_viewer(size):
    picture, view = retina(size)
    whole, seen = padded(picture, view, (236, 236, 236), 40, 20, 10, 110)
    window = Image.fromarray(whole)
    pen = ImageDraw.Draw(window)
    pen.rectangle((0, 0, whole.shape[1], 24), fill=(60, 90, 160))
    pen.text((5, 6), "Viewer, image 7", fill=(255, 255, 255))
    for number in range(6):
        pen.text((size + 25, 40 + 20 * number), f"Field {number}", fill=(20, 20, 20))
    assert agreement(np.asarray(window), seen) > 0.985


@pytest.mark.parametrize("size", SIZES)
def test_overexposed_tissue_stays_in_the_field(size):
    picture, view = retina(size)
    rows = np.mgrid[:size, :size][0] / size
    flash = 900 * np.clip(rows - 0.65, 0, None)
    bright = np.where(view[..., None], picture + flash[..., None], picture)
    bright = bright.clip(0, 255).astype(np.uint8)
    assert (bright[view] == 255).all(axis=1).mean() > 0.03
    assert agreement(bright, view) > 0.985
