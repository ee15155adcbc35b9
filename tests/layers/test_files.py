"""File > Save and File > Open: napari's layers to files and back."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils import DirectLabelColormap
from npe2 import PluginManager, PluginManifest, io_utils
from PIL import Image as PILImage

import napari_localdisc
from napari_localdisc.layers.plane import METADATA_KEY
from napari_localdisc.viewer.plugin import NotWritten

PLUGIN = "napari-localdisc"


@pytest.fixture
def plugins(monkeypatch):
    """Let npe2 know this plugin, whatever else is installed."""
    from pathlib import Path

    manager = PluginManager.instance()
    if PLUGIN not in manager:
        manifest = Path(napari_localdisc.__file__).with_name("napari.yaml")
        manager.register(PluginManifest.from_file(manifest))
    return manager


@pytest.fixture
def layer():
    """Labels with names, colours and every kind of placement."""
    array = np.zeros((40, 30), np.int32)
    array[5:20, 5:25], array[30:, :] = 1, 7
    colours = {None: "white", 0: "transparent", 1: "#ff3300", 7: (0, 0.3, 0.7, 0.5)}
    return Labels(
        array,
        name="eye structures",
        colormap=DirectLabelColormap(color_dict=colours),
        metadata={METADATA_KEY: {"classes": {1: "vessel"}, "model": "fundus"}},
        scale=(0.5, 0.25),
        translate=(3, -4),
        rotate=20,
        shear=[0.1],
        affine=[[1, 0.1, 5], [0, 1, 7], [0, 0, 1]],
        units=("um", "um"),
        axis_labels=("y", "x"),
    )


def saved(path, layer) -> list[str]:
    data = [layer.as_layer_data_tuple()]
    files, _ = io_utils.write_get_writer(str(path), data, plugin_name=PLUGIN)
    return files


def opened(path) -> Labels:
    from napari_localdisc.viewer.plugin import get_reader

    ((data, attributes, kind),) = get_reader(str(path))(str(path))
    assert kind == "labels"
    layer = Labels(data, **attributes)
    ViewerModel().add_layer(layer)
    return layer


@pytest.mark.parametrize(
    "ending", [".png", ".ome.tif", ".labels.tif", ".tif", ".ome.zarr", ".coco.json"]
)
def test_a_saved_layer_opens_as_it_was(plugins, layer, tmp_path, ending):
    path = tmp_path / f"eye{ending}"
    assert saved(path, layer) == [str(path)]
    found = opened(path)
    np.testing.assert_array_equal(np.asarray(found.data), layer.data)
    assert found.name == layer.name
    assert found.metadata[METADATA_KEY]["classes"] == {1: "vessel"}
    assert found.metadata[METADATA_KEY]["model"] == "fundus"
    for value in (1, 7, None):
        ours, theirs = found.colormap.color_dict, layer.colormap.color_dict
        np.testing.assert_allclose(ours[value], theirs[value], atol=1e-7)
    for key in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(found, key), getattr(layer, key), atol=1e-9)
    np.testing.assert_allclose(
        found.affine.affine_matrix, layer.affine.affine_matrix, atol=1e-9
    )
    assert found.units == layer.units
    assert found.axis_labels == layer.axis_labels


def test_napari_offers_our_reader_for_our_names_alone(plugins):
    def readers(name):
        found = plugins.iter_compatible_readers([name])
        return {reader.plugin_name for reader in found}

    for name in ("a.labels.png", "a.labels.tif", "a.coco.json"):
        assert PLUGIN in readers(name)
    for name in ("a.png", "a.tif", "a.json", "a.ome.tif"):
        assert PLUGIN not in readers(name)


def test_plain_labels_keep_napari_s_own_colours(plugins, tmp_path):
    layer = Labels(np.arange(12).reshape(3, 4))
    saved(tmp_path / "a.png", layer)
    found = opened(tmp_path / "a.png")
    np.testing.assert_array_equal(found.data, layer.data)
    for value in range(1, 12):
        expected = layer.get_color(value)
        np.testing.assert_allclose(found.get_color(value), expected, atol=1e-6)


def test_names_are_taken_from_features_where_we_have_none(plugins, tmp_path):
    features = {"index": [1, 2], "name": ["cup", "disc"]}
    layer = Labels(np.eye(8, dtype=np.uint8) * 2, features=features)
    files = saved(tmp_path / "eye.masks.png", layer)
    assert [file.rsplit("/", 1)[1] for file in files] == ["eye_cup.png", "eye_disc.png"]


def test_multiscale_labels_are_saved_at_their_finest(plugins, tmp_path):
    finest = np.random.default_rng(0).integers(0, 4, (64, 64)).astype(np.uint8)
    layer = Labels([finest, finest[::2, ::2]], multiscale=True)
    saved(tmp_path / "a.png", layer)
    np.testing.assert_array_equal(opened(tmp_path / "a.png").data, finest)


def test_a_map_is_saved_as_floats_with_its_scale(plugins, tmp_path):
    values = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    layer = Image(values, scale=(0.5, 0.5), units=("um", "um"))
    path = tmp_path / "map.ome.tif"
    assert saved(path, layer) == [str(path)]
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), values)
        ome = tifffile.xml2dict(file.ome_metadata)["OME"]
    assert ome["Image"]["Pixels"]["PhysicalSizeX"] == 0.5


def test_a_hidden_class_is_saved_in_its_colour(plugins, models, picture, tmp_path):
    from napari_localdisc.viewer.controller import Controller

    viewer = ViewerModel()
    viewer.add_image(picture)
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.writing.add_structure("vessel")
    controller.classes.recolour(1, "#ff3300")
    controller.classes.set_visible(1, False)
    labels = controller.labels_layer
    assert labels.colormap.map(1)[3] == 0
    saved(tmp_path / "eye.png", labels)
    np.testing.assert_allclose(
        opened(tmp_path / "eye.png").colormap.map(1), (1, 0.2, 0, 1), atol=0.01
    )
    controller.close()


@pytest.mark.usefixtures("plugins")
def test_why_something_was_not_saved_reaches_the_user(layer, tmp_path):
    stack = Labels(np.ones((3, 4, 5), np.uint8))
    with pytest.raises(NotWritten, match="holds one picture"):
        stack.save(str(tmp_path / "stack.png"), plugin=PLUGIN)
    theirs = tmp_path / "eye.png"
    PILImage.new("RGB", (4, 4)).save(theirs)
    before = theirs.read_bytes()
    with pytest.raises(NotWritten, match="not made by napari-localdisc"):
        layer.save(str(theirs), plugin=PLUGIN)
    assert theirs.read_bytes() == before
    with pytest.raises(NotWritten, match="32-bit floats would change"):
        Image(np.full((4, 4), 1 / 3)).save(str(tmp_path / "map.ome.tif"), plugin=PLUGIN)
    assert list(tmp_path.iterdir()) == [theirs]
