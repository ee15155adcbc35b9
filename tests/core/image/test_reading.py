"""Whatever a file says about its pixels, what is read is what was meant."""

import gc
import io
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from packaging.version import Version
from PIL import Image, ImageCms
from skimage.transform import resize

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.image import pillow
from napari_localdisc.core.image.files import open_large, read_image
from napari_localdisc.io.labels import read_labels
from napari_localdisc.io.samples import sample_path

ORIENTATION = 274
NEWER = pytest.mark.skipif(
    Version(tifffile.__version__) < Version("2026.3.3"),
    reason="this tifffile neither reads CCITT nor writes 12 bits",
)
# What a camera stored, so that the orientation makes it upright again
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: np.rot90(x, 2),
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


@pytest.fixture(scope="module")
def retina():
    """(60, 70, 3) uint8: no two sides alike."""
    with Image.open(sample_path()) as file:
        small = np.asarray(file.resize((80, 80), Image.Resampling.BOX))
    return np.ascontiguousarray(small[:60, :70])


@pytest.fixture(scope="module")
def grey(retina):
    return retina[..., 1]


def same(path, expected, within=0, **options):
    read = read_image(path, **options)
    assert read.dtype == expected.dtype
    assert read.shape == expected.shape
    off = np.abs(read.astype(float) - expected.astype(float))
    assert off.max() <= within if not within or within < 8 else off.mean() <= within


def lazily(path, expected, within=0):
    """Read block by block: the same."""
    read = np.asarray(open_large(path)[0])
    assert (read.dtype, read.shape) == (expected.dtype, expected.shape)
    assert np.abs(read.astype(float) - expected).max() <= within


# Which way up


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation(tmp_path, retina, orientation, suffix):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"a{suffix}"
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](retina)))
    options = {".jpg": {"quality": 95}, ".webp": {"lossless": True}}.get(suffix, {})
    stored.save(path, exif=exif, **options)
    read = read_image(path)
    assert read.shape == retina.shape
    assert np.abs(read.astype(int) - retina).mean() < (4 if suffix == ".jpg" else 0.1)


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_of_deep_png(tmp_path, retina, orientation):
    deep = retina.astype(np.uint16) * 16
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "a.png"
    stored = np.ascontiguousarray(STORED[orientation](deep))
    path.write_bytes(with_exif(imagecodecs.png_encode(stored), exif.tobytes()))
    same(path, deep)


def with_exif(png, exif):
    """Put an eXIf chunk behind a PNG's header."""
    import struct
    import zlib

    body = b"eXIf" + exif.removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body
    chunk += struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["rgb", "grey", "palette", "raw differences"])
def test_tiff_orientation(tmp_path, retina, grey, orientation, kind):
    path = tmp_path / "a.tif"
    tag = [(ORIENTATION, 3, 1, orientation, True)]
    turn = STORED[orientation]
    if kind == "rgb":
        tifffile.imwrite(path, turn(retina), photometric="rgb", extratags=tag)
        same(path, retina)
        lazily(path, retina)
    elif kind == "grey":
        tifffile.imwrite(path, turn(grey), photometric="miniswhite", extratags=tag)
        same(path, 255 - grey)
        lazily(path, 255 - grey)
    elif kind == "palette":
        table = np.random.default_rng(0).integers(0, 256, (3, 256), np.uint16)
        tifffile.imwrite(
            path, turn(grey), photometric="palette", colormap=table * 257, extratags=tag
        )
        expected = table.T.astype(np.uint8)[grey]
        same(path, expected)
        lazily(path, expected)
    else:
        parts = np.asarray(Image.fromarray(retina).convert("YCbCr"))
        tifffile.imwrite(path, turn(parts), photometric="ycbcr", extratags=tag)
        same(path, retina, within=3)


def test_an_impossible_orientation_is_none(tmp_path, grey):
    tifffile.imwrite(
        tmp_path / "a.tif", grey, extratags=[(ORIENTATION, 3, 1, 77, True)]
    )
    same(tmp_path / "a.tif", grey)


# What numbers mean


@pytest.mark.parametrize(
    "kind",
    ["u1", "u2", "f4", "f8", "i2", "1 bit", pytest.param("12 bit", marks=NEWER)],
)
def test_white_is_zero(tmp_path, grey, kind):
    path = tmp_path / "a.tif"
    options = {"photometric": "miniswhite"}
    if kind == "1 bit":
        mask = grey > 60
        tifffile.imwrite(path, ~mask, **options)
        same(path, mask)
    elif kind == "12 bit":
        data = grey.astype(np.uint16) * 16
        tifffile.imwrite(path, 4095 - data, bitspersample=12, **options)
        same(path, data)
    elif kind.startswith("f"):
        data = (grey / 255).astype(kind)
        tifffile.imwrite(path, 1 - data, **options)
        same(path, data, within=1e-6)
        lazily(path, data, within=1)
        tifffile.imwrite(path, 3000 - data * 1000, **options)
        read = read_image(path)
        assert np.corrcoef(read.ravel(), data.ravel())[0, 1] > 0.9999
    elif kind == "i2":
        data = grey.astype(np.int16) - 100
        tifffile.imwrite(path, -data, **options)
        read = read_image(path)
        assert read.dtype == np.int16
        assert np.corrcoef(read.ravel(), data.ravel())[0, 1] > 0.9999
    else:
        data = grey.astype(kind) * (257 if kind == "u2" else 1)
        full = np.iinfo(kind).max
        tifffile.imwrite(path, (full - data).astype(kind), **options)
        same(path, data)
        lazily(path, data)


@pytest.mark.parametrize("compression", [None, pytest.param("group4", marks=NEWER)])
def test_one_bit_files_of_other_programs(tmp_path, grey, compression):
    mask = Image.fromarray(grey > 60)
    mask.save(tmp_path / "a.tif", compression=compression)
    same(tmp_path / "a.tif", np.asarray(mask))


def test_inks(tmp_path, retina):
    inks = Image.fromarray(retina).convert("CMYK")
    inks.save(tmp_path / "a.jpg", quality=100, subsampling=0)
    inks.save(tmp_path / "a.tif")
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - retina).mean() < 2
    same(tmp_path / "a.tif", retina, within=1)
    lazily(tmp_path / "a.tif", retina, within=1)
    deep = 65535 - retina.astype(np.uint16) * 257
    deep = np.concatenate((deep, np.zeros_like(deep[..., :1])), axis=2)
    tifffile.imwrite(tmp_path / "b.tif", deep, photometric="separated")
    same(tmp_path / "b.tif", retina.astype(np.uint16) * 257)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["cielab", "icclab"])
def test_lightness_and_two_differences(tmp_path, retina, kind, bits):
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    picture = ImageCms.applyTransform(Image.fromarray(retina), to_lab)
    picture.save(tmp_path / "b.tif")
    assert np.abs(read_image(tmp_path / "b.tif").astype(int) - retina).mean() < 2
    lab = np.asarray(picture)
    if kind == "icclab":  # 128 added to a* and b*
        lab = lab ^ np.array((0, 128, 128), np.uint8)
    if bits == 16:
        full = 257 if kind == "cielab" else 256
        lab = lab * np.array((full, 256, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", lab, photometric=kind)
    read = read_image(tmp_path / "a.tif")
    assert read.dtype == f"u{bits // 8}"
    shown = read // (257 if bits == 16 else 1)
    assert np.abs(shown.astype(int) - retina).mean() < 2
    lazily(tmp_path / "a.tif", read)


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", None])
def test_brightness_and_two_differences(tmp_path, retina, compression):
    picture = Image.fromarray(retina).convert("YCbCr")
    options = {"quality": 98} if compression == "jpeg" else {}
    picture.save(tmp_path / "a.tif", compression=compression, **options)
    read = read_image(tmp_path / "a.tif")
    assert np.abs(read.astype(int) - retina).mean() < 4
    lazily(tmp_path / "a.tif", read)


def test_coarser_differences_of_colour(tmp_path, retina):
    """Of 2×2 pixels four brightnesses are stored, then their two differences."""
    parts = np.asarray(Image.fromarray(retina).convert("YCbCr"))
    rows, columns = parts.shape[0] // 2, parts.shape[1] // 2
    blocks = parts.reshape(rows, 2, columns, 2, 3).transpose(0, 2, 1, 3, 4)
    units = np.concatenate(
        (
            blocks[..., 0].reshape(rows, columns, 4),
            blocks[..., 1:].reshape(rows, columns, 4, 2).mean(2).astype(np.uint8),
        ),
        axis=2,
    )
    path = tmp_path / "a.tif"
    write_plain_tiff(path, retina.shape, units.tobytes())
    read = read_image(path)
    assert read.shape == retina.shape
    assert np.abs(read.astype(int) - retina).mean() < 6


def write_plain_tiff(path, shape, data):
    import struct

    height, width, _ = shape
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, 8 + len(data)),
        (259, 3, 1, 1),
        (262, 3, 1, 6),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),
        (530, 3, 2, 2 | 2 << 16),
    ]
    bits = struct.pack("<3H", 8, 8, 8) + b"\0\0"
    start = 8 + len(data) + len(bits)
    body = struct.pack("<2sHI", b"II", 42, start) + data + bits
    body += struct.pack("<H", len(tags))
    for tag in tags:
        body += struct.pack("<HHII", *tag)
    path.write_bytes(body + struct.pack("<I", 0))


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_only_two_kinds_of_extra_samples_are_opacity(
    tmp_path, retina, extra, dtype, planes
):
    path = tmp_path / "a.tif"
    colour = retina.astype(dtype)
    alpha = np.full(retina.shape[:2], np.iinfo(dtype).max // 5, dtype)
    stored = colour // 5 if extra == 1 else colour
    data = np.concatenate((stored, alpha[..., None]), axis=2)
    if planes == "separate":
        data = np.moveaxis(data, -1, 0)
    tifffile.imwrite(
        path, data, photometric="rgb", extrasamples=[extra], planarconfig=planes
    )
    read = read_image(path)
    if extra == 0:
        np.testing.assert_array_equal(read, colour)
    else:
        assert read.shape == (*retina.shape[:2], 4)
        np.testing.assert_array_equal(read[..., 3], alpha)
        assert np.abs(read[..., :3].astype(int) - colour).max() <= 5 * (extra == 1)
    lazily(path, read)


@pytest.mark.parametrize("extra", [0, 2])
def test_grey_with_a_further_sample(tmp_path, grey, extra):
    path = tmp_path / "a.tif"
    data = np.stack((grey, 255 - grey), axis=2)
    tifffile.imwrite(
        path, data, photometric="minisblack", extrasamples=[extra], planarconfig=1
    )
    if extra:
        same(path, data[:, :, (0, 0, 0, 1)])
    else:
        same(path, grey)
    lazily(path, read_image(path))


def test_several_extra_samples(tmp_path, retina):
    path = tmp_path / "a.tif"
    alpha = np.full(retina.shape[:2], 200, np.uint8)
    data = np.dstack((retina, alpha // 2, alpha))
    tifffile.imwrite(path, data, photometric="rgb", extrasamples=[0, 2])
    same(path, np.dstack((retina, alpha)))


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_colours_of_png_keep_their_sixteen_bits(tmp_path, retina, samples):
    alpha = np.full(retina.shape[:2], 4000)
    values = retina.astype(np.uint16) * 16 + 5
    planes = {
        2: np.dstack((values[..., 1], alpha)),
        3: values,
        4: np.dstack((values, alpha)),
    }
    data = np.ascontiguousarray(planes[samples], np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(data))
    same(path, data[:, :, (0, 0, 0, 1)] if samples == 2 else data)


@pytest.mark.parametrize("largest", [4095, 65535])
@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_netpbm_keeps_its_sixteen_bits(tmp_path, retina, kind, largest):
    data = retina.astype(np.uint16) * (16 if largest == 4095 else 257)
    data = data if kind == "P6" else data[..., 1]
    path = tmp_path / "a.ppm"
    head = f"{kind}\n# drawn\n70 60\n{largest}\n".encode()
    path.write_bytes(head + data.astype(">u2").tobytes())
    same(path, data)
    small = (data >> 8).astype(np.uint8)
    path.write_bytes(f"{kind}\n70 60\n255\n".encode() + small.tobytes())
    same(path, small)


def test_grey_with_opacity_in_png(tmp_path, grey):
    data = np.dstack((grey, 255 - grey))
    Image.fromarray(data, "LA").save(tmp_path / "a.png")
    same(tmp_path / "a.png", data[:, :, (0, 0, 0, 1)])


@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif"])
def test_tables_of_colours(tmp_path, retina, suffix):
    table = Image.fromarray(retina).quantize(64)
    table.save(tmp_path / f"a{suffix}")
    same(tmp_path / f"a{suffix}", np.asarray(table.convert("RGB")))


def test_transparent_colours(tmp_path, retina):
    table = Image.fromarray(retina).quantize(64)
    table.save(tmp_path / "a.png", transparency=3)
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read[..., 3] == 0, np.asarray(table) == 3)


def test_a_wrong_ending(tmp_path, retina, grey):
    tifffile.imwrite(tmp_path / "a.tif", 255 - grey, photometric="miniswhite")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    same(tmp_path / "a.png", grey)


# Which picture


def small(picture):
    half = resize(picture, (30, 35), preserve_range=True)
    return half.astype(picture.dtype)


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("flagged", [True, False])
def test_a_thumbnail_is_not_the_picture(tmp_path, retina, order, flagged):
    path = tmp_path / "a.tif"
    pages = [(small(retina), int(flagged)), (retina, 0)]
    with tifffile.TiffWriter(path) as file:
        for data, kind in pages if order == "first" else pages[::-1]:
            file.write(data, photometric="rgb", subfiletype=kind, metadata=None)
    same(path, retina)
    lazily(path, retina)
    if order == "first":
        same(path, small(retina), page=0)


@pytest.mark.parametrize("metadata", [None, {}])
@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("bits", [1, 8])
def test_a_page_of_its_mask_is_not_the_picture(
    tmp_path, retina, grey, bits, colour, order, metadata
):
    path = tmp_path / "a.tif"
    picture = retina if colour else grey
    mask = grey > 60 if bits == 1 else np.where(grey > 60, 255, 0).astype(np.uint8)
    pages = [(mask, 4, "minisblack")]
    pages.append((picture, 0, "rgb" if colour else "minisblack"))
    pages = pages if order == "first" else pages[::-1]
    with tifffile.TiffWriter(path) as file:
        for data, _, meaning in pages:
            file.write(data, photometric=meaning, subfiletype=1, metadata=metadata)
    with tifffile.TiffFile(path, mode="r+") as file:
        for page, (_, kind, _) in zip(file.pages, pages, strict=True):
            page.aspage().tags["NewSubfileType"].overwrite(kind)
    same(path, picture)
    lazily(path, picture)


def test_pyramids(tmp_path, retina):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(retina, photometric="rgb", subifds=1, tile=(16, 16))
        file.write(small(retina), photometric="rgb", subfiletype=1, tile=(16, 16))
    same(path, retina)
    lazily(path, retina)
    with tifffile.TiffWriter(path) as file:
        for level, kind in ((retina, 0), (small(retina), 1)):
            file.write(level, photometric="rgb", subfiletype=kind, metadata=None)
    same(path, retina)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_planes_apart(tmp_path, retina, planes):
    path = tmp_path / "a.tif"
    data = np.moveaxis(retina, -1, 0) if planes == "separate" else retina
    tifffile.imwrite(path, data, photometric="rgb", planarconfig=planes)
    same(path, retina)
    lazily(path, retina)


def test_channels_first_of_ome_are_colours(tmp_path, retina):
    path = tmp_path / "a.ome.tif"
    data = np.moveaxis(retina, -1, 0)
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "CYX"})
    same(path, retina)
    lazily(path, retina)
    tifffile.imwrite(
        path, data[:, None], photometric="minisblack", metadata={"axes": "CZYX"}
    )
    same(path, retina)


def test_three_channels_of_imagej_are_colours(tmp_path, retina):
    path = tmp_path / "a.tif"
    data = np.moveaxis(retina, -1, 0)
    options = {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}}
    tifffile.imwrite(path, data, **options)
    same(path, retina)
    lazily(path, retina)
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.zeros((3, 256), np.uint8) for _ in range(3)]
    for table, place in zip(tables, (2, 0, 1), strict=True):
        table[place] = ramp
    options["metadata"] |= {"LUTs": tables}
    tifffile.imwrite(path, data[[2, 0, 1]], **options)
    same(path, retina)
    lazily(path, retina)


@pytest.mark.parametrize(
    ("axes", "shape"), [("ZYX", (5,)), ("TYX", (3,)), ("CYX", (2,)), ("TZYX", (2, 3))]
)
@pytest.mark.parametrize("kind", ["plain", "ome", "imagej"])
def test_stacks_are_refused_and_one_page_is_read(tmp_path, grey, axes, shape, kind):
    data = np.zeros((*shape, *grey.shape), np.uint8)
    data.reshape(-1, *grey.shape)[:] = [grey // n for n in range(1, 1 + np.prod(shape))]
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    options = {"imagej": kind == "imagej", "photometric": "minisblack"}
    metadata = {"axes": axes} if kind != "plain" else {}
    tifffile.imwrite(path, data, metadata=metadata, **options)
    for read in (read_image, open_large):
        with pytest.raises(FileError, match=r"ld\.read_image\(path, page=…\)"):
            read(path)
    if axes == "TZYX" and kind == "imagej":
        data = data.reshape(2, 3, *grey.shape)
    same(path, data.reshape(-1, *grey.shape)[1], page=1)
    with pytest.raises(FileError, match="has no page 6"):
        read_image(path, page=6)


def test_pages_of_one_size_are_a_stack(tmp_path, retina):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for data in (retina, 255 - retina):
            file.write(data, photometric="rgb", metadata=None)
    with pytest.raises(FileError, match=r"2 pictures.*page=…"):
        read_image(path)
    same(path, 255 - retina, page=1)


def test_pages_of_the_clinic(tmp_path, retina):
    """Pillow's way: further pages are appended."""
    path = tmp_path / "a.tif"
    first, second = Image.fromarray(retina), Image.fromarray(255 - retina)
    first.save(path, save_all=True, append_images=[second])
    with pytest.raises(FileError, match=r"page=…"):
        read_image(path)
    same(path, retina, page=0)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_are_refused(tmp_path, retina, suffix):
    path = tmp_path / f"a{suffix}"
    frames = [Image.fromarray(retina), Image.fromarray(255 - retina)]
    options = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    with pytest.raises(FileError, match=r"2 pictures \(frames\).*page=…"):
        read_image(path)
    read = read_image(path, page=1)
    assert np.abs(read[..., :3].astype(int) - (255 - retina)).mean() < 8


def test_a_photograph_with_previews_is_one_picture(tmp_path, retina):
    """As telephones write them: MPO."""
    path = tmp_path / "a.jpg"
    first = Image.fromarray(retina)
    first.save(path, "MPO", save_all=True, append_images=[first.resize((20, 20))])
    assert read_image(path).shape == retina.shape


def test_an_ome_zarr_stack_says_how_to_choose(tmp_path, grey):
    import zarr

    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    data = np.stack((grey, 255 - grey))
    group.create_array("0", data=data)
    axes = [{"name": name} for name in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": []}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets}]
    with pytest.raises(FileError, match=r"page=…"):
        read_image(tmp_path / "a.zarr")
    same(tmp_path / "a.zarr", 255 - grey, page=1)


def test_a_profile_of_inks_is_followed(tmp_path, retina):
    """A damaged one is no reason to refuse a picture."""
    inks = Image.fromarray(retina).convert("CMYK")
    buffer = io.BytesIO()
    inks.save(buffer, "JPEG", quality=100, icc_profile=b"no profile at all")
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue())
    assert np.abs(read_image(path).astype(int) - retina).mean() < 5


def test_a_table_of_two_colours(tmp_path, grey):
    table = np.zeros((3, 2), np.uint16)
    table[:, 1] = (65535, 0, 65535)
    mask = grey > 60
    tag = (320, 3, 6, tuple(map(int, table.ravel())), True)
    tifffile.imwrite(
        tmp_path / "a.tif", mask, photometric="minisblack", extratags=[tag]
    )
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(3)
    expected = (table >> 8).T.astype(np.uint8)[mask.astype(int)]
    same(tmp_path / "a.tif", expected)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "1", "I;16"])
def test_large_pictures_are_read_in_pieces_and_are_the_same(
    tmp_path, mode, monkeypatch
):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (50, 40, 3), np.uint8))
    if mode == "I;16":
        deep = rng.integers(0, 65535, (50, 40)).astype(np.uint16)
        picture = Image.fromarray(deep)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    clear = {"transparency": 3} if mode == "P" else {}
    (picture if mode == "I;16" else picture.convert(mode)).save(path, **clear)
    usual = read_image(path)
    monkeypatch.setattr(pillow, "_HUGE", 700)
    assert np.array_equal(read_image(path), usual)


@pytest.mark.parametrize("read", [read_image, open_large, read_labels])
def test_parts_of_a_picture_that_are_not_there(tmp_path, grey, read):
    """A few bytes that say they are 400 million pixels."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, compression="zlib", rowsperstrip=20)
    read(path)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageLength"].overwrite((1 << 24) + 1)
    with pytest.raises(FileError, match="3 of the 838,861 parts"):
        read(path)


def test_a_damaged_picture_leaves_no_memory(tmp_path, retina):
    """imagecodecs keeps a reference to what libpng gave up in the middle of."""
    path = tmp_path / "a.png"
    deep = np.repeat(retina.astype(np.uint16) * 257, 8, axis=0)
    content = bytearray(imagecodecs.png_encode(deep))
    content[20:24] = (2 * len(deep)).to_bytes(4, "big")  # twice the rows
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    tracemalloc.start()
    try:
        for _ in range(5):
            with pytest.raises(FileError, match="Not enough image data"):
                read_image(path)
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < deep.nbytes
