"""What is shown against what is computed from: a sentence, and a choice."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from PIL import Image

import napari_localdisc as ld
from napari_localdisc.core.errors import ImageError
from napari_localdisc.io.labelled import labelled_images
from napari_localdisc.layers.files import label_map_of
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.script import Scripts
from napari_localdisc.viewer.session.session import Sessions

ORIENTATION = 274


@pytest.fixture
def open_files(models, request):
    """Open files by napari's own reader, beside a controller."""
    PluginManager.instance().discover()

    def opened(*paths):
        viewer = ViewerModel()
        for path in paths:
            viewer.open(path, plugin="napari")
        controller = Controller(viewer)
        controller.set_model("tiny")
        request.addfinalizer(controller.close)
        return controller

    return opened


@pytest.fixture
def on_its_side(tmp_path, picture):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path, exif=exif)
    return path


@pytest.fixture
def upside_down(tmp_path, picture):
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path, exif=exif)
    return path


def choose(controller, title):
    (choice,) = [c for c in controller.doubts.current.choices if c.title == title]
    choice.do()


def image_of(controller):
    return controller.workspace.images.current


def test_a_photograph_on_its_side_is_turned_when_asked(open_files, on_its_side):
    controller = open_files(on_its_side)
    layer = image_of(controller)
    assert layer.data.shape == (48, 40, 3)
    assert "not upright" in controller.doubts.current.text
    layer.scale = (2, 3)
    choose(controller, "Turn upright")
    assert controller.doubts.current is None
    np.testing.assert_array_equal(layer.data, ld.read_image(on_its_side))
    np.testing.assert_array_equal(layer.scale, (3, 2))


def test_it_may_be_left_as_it_is(open_files, on_its_side):
    controller = open_files(on_its_side)
    choose(controller, "Leave")
    assert controller.doubts.current is None
    assert image_of(controller).data.shape == (48, 40, 3)


def test_nothing_is_said_of_upright_pictures(open_files, tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    assert open_files(path).doubts.current is None


def test_what_was_labelled_is_not_turned(open_files, upside_down):
    controller = open_files(upside_down)
    before = image_of(controller).data.copy()
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    with pytest.raises(ImageError, match="open the file once more"):
        choose(controller, "Turn upright")
    np.testing.assert_array_equal(image_of(controller).data, before)


def test_a_radiograph_that_counts_darkness(open_files, tmp_path, picture):
    path = tmp_path / "film.tif"
    bright = (picture[..., 0] * 255).astype(np.uint8)
    tifffile.imwrite(path, 255 - bright, photometric="miniswhite")
    controller = open_files(path)
    assert "black and white are exchanged" in controller.doubts.current.text
    choose(controller, "Show as meant")
    np.testing.assert_array_equal(image_of(controller).data, bright)
    assert controller.doubts.current is None


@pytest.mark.parametrize("turn", [True, False])
def test_a_session_comes_back_as_it_was_shown(open_files, upside_down, tmp_path, turn):
    controller = open_files(upside_down)
    if turn:
        choose(controller, "Turn upright")
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    Sessions(controller).save(tmp_path / "a.localdisc")
    shown, labels = image_of(controller).data, controller.labels_layer.data
    other = open_files()
    sessions, said = Sessions(other), []
    sessions.opened.connect(said.append)
    sessions.open(tmp_path / "a.localdisc")
    assert said == [[]]
    np.testing.assert_array_equal(image_of(other).data, shown)
    np.testing.assert_array_equal(other.labels_layer.data, labels)
    assert (other.doubts.current is None) == turn


@pytest.mark.parametrize("turn", [True, False])
def test_scripts_never_mix_the_two(open_files, upside_down, turn):
    controller = open_files(upside_down)
    if turn:
        choose(controller, "Turn upright")
    scripts, written = Scripts(controller, Sessions(controller)), []
    scripts.written.connect(written.append)
    scripts.write()
    (script,) = written
    assert ("ld.read_image" in script.text) == turn
    assert ("turn it before" in script.remark) != turn


@pytest.mark.parametrize("turn", [True, False])
@pytest.mark.parametrize("ending", [".png", ".tif", ".masks.png"])
def test_evaluation_never_mixes_the_two(open_files, upside_down, turn, ending):
    """A mask of what was shown unturned lies upright on what is read upright."""
    controller = open_files(upside_down)
    if turn:
        choose(controller, "Turn upright")
    controller.classes.add("disc")
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    labels = controller.labels_layer
    drawn = labels.data > 0
    assert (drawn != drawn[::-1, ::-1]).any()
    data, attributes, _ = labels.as_layer_data_tuple()
    from napari_localdisc.io.labels import write_labels

    stem = "eye" if ending == ".masks.png" else "eye_disc"
    write_labels(upside_down.with_name(stem + ending), label_map_of(data, attributes))
    (image,) = labelled_images(upside_down.parent)
    expected = drawn if turn else drawn[::-1, ::-1]
    case = image.case("disc")
    np.testing.assert_array_equal(case.reference, expected)
    np.testing.assert_array_equal(case.image, ld.read_image(upside_down))


# Colour maps and contrast limits


@pytest.fixture
def film():
    """Values of an inverted film."""
    rows, columns = np.mgrid[:64, :64]
    return (3000 + rows * 10 + columns).astype(np.uint16)


def test_an_inverted_layer_asks_what_is_meant(models, film):
    viewer = ViewerModel()
    layer = viewer.add_image(film, colormap="gray_r", name="film", scale=(2, 2))
    controller = Controller(viewer)
    assert "inverted (gray_r)" in controller.doubts.current.text
    choose(controller, "Use as shown")
    copy = image_of(controller)
    assert copy is not layer
    assert not layer.visible
    assert controller.doubts.current is None
    np.testing.assert_array_equal(layer.data, film)
    np.testing.assert_array_equal(copy.scale, (2, 2))
    tones = np.corrcoef(copy.data.ravel(), film.ravel())[0, 1]
    assert tones < -0.999
    assert copy.colormap.name == "gray"
    controller.close()


def test_or_the_values_are_shown(models, film):
    viewer = ViewerModel()
    layer = viewer.add_image(film, name="film", contrast_limits=(0, 60000))
    controller = Controller(viewer)
    assert "contrast limits 0 to 6e+04" in controller.doubts.current.text
    choose(controller, "Show its values")
    assert controller.doubts.current is None
    assert tuple(layer.contrast_limits) == (film.min(), film.max())
    layer.colormap = "gray_r"
    assert "inverted" in controller.doubts.current.text
    choose(controller, "Show its values")
    assert layer.colormap.name == "gray"
    layer.contrast_limits = (3000, 3050)
    assert "contrast limits" in controller.doubts.current.text
    choose(controller, "Leave")
    assert controller.doubts.current is None
    controller.close()


@pytest.mark.parametrize("colormap", ["gray", "magma", "viridis"])
def test_usual_looks_are_no_doubt(models, film, colormap):
    viewer = ViewerModel()
    viewer.add_image(film, colormap=colormap)
    viewer.add_image(np.dstack([film // 256] * 3).astype(np.uint8), rgb=True)
    controller = Controller(viewer)
    for layer in viewer.layers:
        controller.workspace.images.choose(layer)
        assert controller.doubts.current is None
    controller.close()
