import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.image.files import find_images, read_image


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_png_and_grey_come_back_as_they_are(tmp_path, colour):
    Image.fromarray(colour).save(tmp_path / "a.png")
    Image.fromarray(colour[..., 0]).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colour)
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), colour[..., 0])


def test_sixteen_bits_stay(tmp_path, colour):
    grey = colour[..., 0].astype(np.uint16) * 200
    Image.fromarray(grey).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.dtype.kind in "iu"
    np.testing.assert_array_equal(read, grey)


def test_colour_tables_are_applied(tmp_path, colour):
    image = Image.fromarray(colour).quantize(16)
    image.save(tmp_path / "a.png")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


def test_grey_with_alpha_becomes_rgba(tmp_path, colour):
    Image.fromarray(colour[..., 0]).convert("LA").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (20, 30, 4)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_tiff(tmp_path, colour, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, colour, compression=compression, photometric="rgb")
    np.testing.assert_array_equal(read_image(path), colour)


def test_tiff_with_a_leading_axis_and_with_planes_apart(tmp_path, colour):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, colour[None], photometric="rgb")
    np.testing.assert_array_equal(read_image(path), colour)
    planes = np.moveaxis(colour, -1, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path), colour)
    tifffile.imwrite(path, colour[None, ..., 0])
    np.testing.assert_array_equal(read_image(path), colour[..., 0])


def test_inverted_tiff_is_put_right(tmp_path, colour):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, colour[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path), 255 - colour[..., 0])


@pytest.mark.parametrize("name", ["notes.txt", "fake.png", "fake.tif", "empty.jpg"])
def test_what_is_no_image_is_said_by_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"no picture at all")
    with pytest.raises(FileError, match=f"{name} is not an image"):
        read_image(path)


def test_a_cut_file_is_no_image(tmp_path, colour):
    path = tmp_path / "a.png"
    Image.fromarray(colour).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileError, match=r"a\.png is not an image"):
        read_image(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileError, match="There is no file"):
        read_image(tmp_path / "a.png")
    with pytest.raises(FileError, match="is a folder"):
        read_image(tmp_path)


def test_find_images_in_files_folders_and_patterns(tmp_path):
    for name in ("b.png", "a.TIF", "notes.txt", ".hidden.png", "sub/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [path.name for path in find_images([tmp_path])]
    assert names == ["a.TIF", "b.png"]
    found = find_images([tmp_path / "b.png", tmp_path, tmp_path / "**/*.jpg"])
    assert [path.name for path in found] == ["b.png", "a.TIF", "c.jpg"]
    assert find_images([tmp_path / "gone.png"]) == [tmp_path / "gone.png"]


def test_find_images_needs_images(tmp_path):
    with pytest.raises(FileError, match="holds no image file"):
        find_images([tmp_path])
    with pytest.raises(FileError, match="No file matches"):
        find_images([tmp_path / "*.png"])
    with pytest.raises(FileError, match="No image was given"):
        find_images([])


@pytest.mark.parametrize(("chunks", "is_read"), [((1, 1), False), ((2, 2), True)])
def test_an_array_in_thousands_of_crumbs_is_refused(tmp_path, chunks, is_read):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(100, 100), chunks=chunks, dtype="u1")
    if is_read:
        assert read_image(path).shape == (100, 100)
    else:
        with pytest.raises(FileError, match="cut into 10,000 pieces"):
            read_image(path)
