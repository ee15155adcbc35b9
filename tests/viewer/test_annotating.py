"""Prompts, masks, classes, strokes and undo, without Qt and with the real network."""

import gc
import json
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from npe2 import PluginManager
from tests.napari_versions import camera_of

import napari_localdisc as ld
from napari_localdisc.annotation.state import (
    AnnotationClass,
    ImageAnnotation,
    Prompt,
    from_runs,
)
from napari_localdisc.core.errors import PromptError
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.keys import KEYS, napari_keys
from napari_localdisc.viewer.writing import Effect

PLACED = {"scale": (0.5, 3), "translate": (-7, 11), "rotate": 33, "shear": (0.4,)}
UNITS = {"scale": (0.5, 3), "units": ("um", "um")}


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def image(viewer, picture):
    return viewer.add_image(picture, name="eye", **PLACED)


@pytest.fixture
def controller(viewer, image, models) -> Controller:
    controller = Controller(viewer)
    controller.set_model("tiny")
    return controller


@pytest.fixture
def embedding(picture, models):
    return ld.embed(picture, ld.load_model("tiny"))


def names(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def stroke(labels, at, value) -> None:
    """Paint as napari's brush does: the stroke is told of when it is complete."""
    with labels.block_history():
        labels.paint(at, value)


# Prompts as points


def test_prompts_are_points_with_colour_and_symbol(controller, image):
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    points = controller.prompts.points_layer
    np.testing.assert_allclose(points.data, [(12, 30), (40, 8)])
    np.testing.assert_allclose(
        points.data_to_world(points.data[0]), image.data_to_world((12, 30))
    )
    symbols = [str(symbol) for symbol in points.symbol]
    assert symbols[0] != symbols[1]
    assert (points.face_color[0] != points.face_color[1]).any()
    assert list(points.features["positive"]) == [True, False]


def test_dragged_points_are_prompts_elsewhere(controller):
    controller.prompts.add((12, 30))
    before = controller.prompts.similarity_layer.data.copy()
    points = controller.prompts.points_layer
    points.data = [(20, 21)]
    moved = controller.prompts.points[0]
    assert moved == Prompt(*points.data[0])
    assert moved.point == (20, 21)
    assert (controller.prompts.similarity_layer.data != before).any()
    assert controller.next_undo.text == "move a prompt"
    controller.undo()
    np.testing.assert_array_equal(controller.prompts.similarity_layer.data, before)
    np.testing.assert_allclose(controller.prompts.points_layer.data, [(12, 30)])


def test_deleted_and_added_points(controller, viewer):
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    points = controller.prompts.points_layer
    points.add((5, 6))
    assert controller.prompts.points[-1] == Prompt(5, 6, True)
    points.selected_data = {1}
    points.remove_selected()
    assert [prompt.positive for prompt in controller.prompts.points] == [True, True]
    points.selected_data = {0, 1}
    points.remove_selected()
    assert controller.prompts.points == ()
    assert names(viewer) == ["eye"]
    controller.undo()
    assert len(controller.prompts.points_layer.data) == 2


def test_points_are_saved_as_a_table(controller, viewer, tmp_path):
    PluginManager.instance().discover()
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    points = controller.prompts.points_layer
    looks = points.symbol.copy(), points.face_color.copy()
    (path,) = points.save(str(tmp_path / "prompts.csv"), plugin="napari")
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert table.dtype.names == ("index", "axis0", "axis1", "positive")
    np.testing.assert_array_equal(table["axis0"], (12, 40))
    np.testing.assert_array_equal(table["axis1"], (30, 8))
    np.testing.assert_array_equal(table["positive"], (1, 0))
    np.testing.assert_array_equal(points.symbol, looks[0])
    np.testing.assert_array_equal(points.face_color, looks[1])
    assert len(controller.prompts.points) == 2
    controller.close()
    (opened,) = ViewerModel().open(path, plugin="napari")
    np.testing.assert_array_equal(opened.data, points.data)
    np.testing.assert_array_equal(opened.features["positive"], (1, 0))


def test_a_point_dragged_off_the_image_goes_back(controller):
    controller.prompts.add((12, 30))
    points = controller.prompts.points_layer
    points.selected_data = {0}
    with pytest.raises(PromptError, match="outside “eye”"):
        points.data = [(500, 20)]
    np.testing.assert_allclose(controller.prompts.points_layer.data, [(12, 30)])
    assert controller.prompts.points == (Prompt(12, 30),)


# Threshold and mask


def test_the_mask_is_what_the_embedding_says(controller, embedding):
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    wanted = embedding.mask([(12, 30)], [(40, 8)])
    np.testing.assert_array_equal(controller.mask.layer.data == 1, wanted)
    assert controller.mask.pixels == wanted.sum()
    automatic = embedding.automatic_threshold([(12, 30)], [(40, 8)])
    assert controller.mask.threshold == pytest.approx(automatic)
    options = {"threshold": 0.35, "smooth": True, "minimum_size": 4}
    controller.prompts.set_options(**options)
    wanted = embedding.mask([(12, 30)], [(40, 8)], **options)
    np.testing.assert_array_equal(controller.mask.layer.data == 1, wanted)
    controller.prompts.set_options(threshold=None, smooth=False, connected=True)
    wanted = embedding.mask([(12, 30)], [(40, 8)], connected=True, minimum_size=4)
    np.testing.assert_array_equal(controller.mask.layer.data == 1, wanted)


def test_while_a_threshold_is_dragged_only_the_display_changes(controller):
    controller.prompts.add((12, 30))
    written = controller.mask.layer.data.copy()
    values = controller.prompts.similarity_layer.data
    for threshold in (0.2, 0.5, 0.7):
        controller.mask.preview_threshold(threshold)
        low, high = controller.prompts.similarity_layer.contrast_limits
        assert low < threshold < high < low + 0.1
        assert controller.prompts.similarity_layer.data is values
        assert not controller.mask.layer.visible
    np.testing.assert_array_equal(controller.mask.layer.data, written)
    controller.prompts.set_options(threshold=0.7)
    assert controller.prompts.similarity_layer.contrast_limits == [0, 1]
    assert controller.mask.layer.visible
    assert controller.mask.layer.data.sum() < written.sum()


def test_a_threshold_dragged_back_ends_the_preview(controller):
    controller.prompts.add((12, 30))
    controller.prompts.set_options(threshold=0.4)
    controller.mask.preview_threshold(0.6)
    controller.prompts.set_options(threshold=0.4)
    assert controller.mask.layer.visible
    assert controller.prompts.similarity_layer.contrast_limits == [0, 1]


@pytest.mark.parametrize("options", [{"threshold": 1.2}, {"minimum_size": -1}])
def test_impossible_options_are_refused(controller, options):
    controller.prompts.add((12, 30))
    with pytest.raises(PromptError):
        controller.prompts.set_options(**options)
    assert controller.prompts.options.threshold is None
    assert controller.prompts.options.minimum_size == 0


# Into the labels


def test_a_mask_becomes_a_class_of_a_new_layer(controller, viewer, image, embedding):
    controller.prompts.add((12, 30))
    controller.classes.add("vessel", "#00ff00")
    controller.prompts.add_mask()
    labels = controller.labels_layer
    assert isinstance(labels, Labels)
    assert labels.data.shape == (48, 40)
    np.testing.assert_array_equal(labels.data == 1, embedding.mask([(12, 30)]))
    np.testing.assert_allclose(
        labels.data_to_world((40, 3)), image.data_to_world((40, 3))
    )
    np.testing.assert_allclose(labels.colormap.map(1), (0, 1, 0, 1))
    assert labels.metadata["napari-localdisc"]["classes"] == {1: "vessel"}
    assert names(viewer) == ["eye", "eye labels"]
    assert controller.prompts.points == ()
    assert "“vessel”" in controller.workspace.status.text


def test_other_classes_are_overwritten_only_when_asked(controller, embedding):
    first = embedding.mask([(12, 30)])
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    controller.classes.add("second")
    controller.prompts.add((12, 30))
    controller.prompts.set_options(threshold=0.0)
    assert controller.mask.overlap == {1: first.sum()}
    np.testing.assert_array_equal(controller.mask.layer.data == 2, first)
    controller.prompts.add_mask()
    labels = controller.labels_layer.data
    np.testing.assert_array_equal(labels == 1, first)
    assert (labels[~first] == 2).all()
    assert "left as they were" in controller.workspace.status.text
    controller.writing.set_overwrite(True)
    controller.prompts.add((12, 30))
    controller.prompts.set_options(threshold=0.0)
    controller.prompts.add_mask()
    assert (labels == 2).all()
    controller.undo()
    np.testing.assert_array_equal(labels == 1, first)


def test_structures_and_clusters_become_classes(controller, embedding):
    controller.writing.add_structure("vessel")
    vessel = embedding.structure("vessel") >= 0.5
    labels = controller.labels_layer.data
    np.testing.assert_array_equal(labels == 1, vessel)
    assert controller.classes.chosen.name == "vessel"
    controller.clusters.show()
    clusters = embedding.clusters(8)
    some = [int(value) for value in np.unique(clusters)[-2:]]
    controller.clusters.add(some)
    merged = np.isin(clusters, some)
    np.testing.assert_array_equal(labels == 2, merged & ~vessel)
    entry = controller.classes.chosen
    assert entry.name == f"structures {some[0]} + {some[1]}"
    colour = controller.clusters.layer.colormap.map(some[0])
    np.testing.assert_allclose(
        controller.labels_layer.colormap.map(2)[:3], colour[:3], atol=0.01
    )
    controller.writing.add_structure("vessel")
    assert len(controller.classes.entries) == 2
    with pytest.raises(PromptError, match="Choose structures"):
        controller.clusters.add([])


def test_what_would_be_overwritten_shows_before(controller, viewer, embedding):
    """Clusters, one or merged, structures, predictions: as it shows of masks."""
    preview = controller.writing.preview
    controller.writing.preview_structure("vessel")
    assert preview.effect is None  # nothing is embedded for a preview
    controller.clusters.show()
    clusters = embedding.clusters(8)
    some = [int(value) for value in np.unique(clusters)[-2:]]
    merged, vessel = np.isin(clusters, some), embedding.structure("vessel") >= 0.5
    controller.clusters.preview(some)
    assert preview.effect == Effect(merged.sum())  # there are no labels yet
    assert preview.layer is None
    assert f"{merged.sum():,} pixels" in controller.workspace.status.text
    controller.clusters.add(some)
    labels, said = controller.labels_layer, controller.workspace.status.text
    assert "written" in said
    assert preview.effect == Effect(merged.sum())  # the class has them itself
    preview.hide()
    assert controller.workspace.status.text == said
    controller.writing.preview_structure("vessel")
    both = merged & vessel
    assert preview.effect == Effect(vessel.sum(), {1: both.sum()})
    np.testing.assert_array_equal(preview.layer.data == 1, both)
    np.testing.assert_allclose(
        preview.layer.data_to_world((40, 3)), labels.data_to_world((40, 3))
    )
    assert "would stay" in controller.workspace.status.text
    controller.writing.set_overwrite(True)
    assert "would be overwritten" in controller.workspace.status.text
    assert (labels.data != 0).sum() == merged.sum()  # nothing was written
    layer = preview.layer
    preview.hide()
    assert layer not in viewer.layers
    assert preview.effect is None
    assert controller.workspace.status.text == said
    controller.strokes.preview()
    assert preview.effect is None  # there is no prediction yet
    controller.strokes.start()
    stroke(controller.strokes.layer, (10, 10), 1)
    stroke(controller.strokes.layer, (35, 30), 2)
    assert controller.classes.find(2).background
    predicted = controller.strokes.learned.prediction.labels
    assert preview.effect.pixels == (predicted == 1).sum()
    assert preview.effect.taken == {}  # class 1 is the only one there
    controller.writing.add_structure("vessel")
    overlap = (labels.data == controller.classes.chosen.value) & (predicted == 1)
    assert sum(preview.effect.taken.values()) == overlap.sum() > 0
    controller.clusters.preview([])
    assert preview.effect is None
    controller.clusters.preview(some[:1])
    assert preview.effect.pixels == (clusters == some[0]).sum()
    controller.writing.preview_structure("vessel")
    controller.classes.add("more")
    shown = [layer.name for layer in viewer.layers]
    controller.close()
    assert set(shown) - set(names(viewer)) <= {"eye taken pixels"}
    assert labels in viewer.layers
    assert preview.layer is None


def test_the_users_own_layer_is_used_and_kept(controller, viewer):
    mine = np.zeros((48, 40), np.int32)
    mine[:4] = 7
    labels = viewer.add_labels(mine, name="mine", **PLACED)
    colour = labels.colormap.map(7)
    controller.groups.use_labels(labels)
    assert [entry.value for entry in controller.classes.entries] == [7]
    np.testing.assert_allclose(labels.colormap.map(7)[:3], colour[:3], atol=0.01)
    controller.classes.add("new")
    controller.writing.add_structure("vessel")
    assert controller.labels_layer is labels
    assert (labels.data[:4] == 7).all()
    assert labels.data.dtype == np.int32


@pytest.mark.parametrize(
    ("shape", "placement", "words"),
    [
        ((9, 9), PLACED, "9×9 pixels"),
        ((48, 40), {}, "does not lie on the image"),
    ],
)
def test_layers_that_do_not_fit_are_refused(
    controller, viewer, shape, placement, words
):
    labels = viewer.add_labels(np.zeros(shape, int), **placement)
    assert labels not in controller.classes.candidates
    with pytest.raises(PromptError, match=words):
        controller.groups.use_labels(labels)
    assert controller.labels_layer is None


def test_layers_that_cannot_be_written_to_are_a_sentence(controller, viewer):
    frozen = np.zeros((48, 40), np.uint8)
    frozen.setflags(write=False)
    controller.groups.use_labels(viewer.add_labels(frozen, **PLACED))
    with pytest.raises(PromptError, match="cannot be written to"):
        controller.writing.add_structure("vessel")
    assert controller.next_undo is None


def test_an_empty_mask_is_a_sentence(controller, viewer):
    with pytest.raises(PromptError, match="no mask yet"):
        controller.prompts.add_mask()
    controller.prompts.add((12, 30))
    controller.prompts.set_options(minimum_size=10_000)
    with pytest.raises(PromptError, match="empty"):
        controller.prompts.add_mask()
    assert controller.labels_layer is None


# Classes


def test_classes_are_named_coloured_hidden_and_removed(controller):
    controller.writing.add_structure("vessel")
    classes, labels = controller.classes, controller.labels_layer
    before = labels.data.copy()
    classes.rename(1, "  vessels ")
    classes.recolour(1, "#102030")
    assert classes.find(1) == AnnotationClass(1, "vessels", "#102030")
    assert labels.metadata["napari-localdisc"]["classes"] == {1: "vessels"}
    classes.set_visible(1, False)
    assert labels.colormap.map(1)[3] == 0
    classes.set_visible(1, True)
    classes.remove(1)
    assert classes.entries == ()
    assert not labels.data.any()
    controller.undo()
    np.testing.assert_array_equal(labels.data, before)
    assert classes.entries[0].name == "vessels"
    with pytest.raises(PromptError, match="no class 9"):
        classes.find(9)


def test_areas_in_pixels_and_in_units(viewer, picture, models):
    viewer.add_image(picture, name="eye", rotate=20, **UNITS)
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.writing.add_structure("vessel")
    pixels = int((controller.labels_layer.data == 1).sum())
    area = controller.class_areas.measured()[1]
    assert area.pixels == pixels
    assert area.area == pytest.approx(pixels * 1.5)
    assert area.unit in ("µm", "um", "μm")
    heard = []
    controller.classes.areas_changed.connect(lambda: heard.append(True))
    controller.labels_layer.paint((10, 10), 1)
    assert heard
    assert controller.class_areas.measured()[1].pixels >= pixels


def test_areas_without_units(controller):
    controller.writing.add_structure("vessel")
    assert controller.class_areas.measured()[1].area is None


def test_jump_to_a_class(controller, viewer, image):
    controller.writing.add_structure("vessel")
    controller.class_areas.jump_to(1)
    centre = camera_of(viewer).center[-2:]
    at = np.rint(image.world_to_data(centre)).astype(int)
    assert controller.labels_layer.data[tuple(at)] == 1
    empty = controller.classes.add("nothing")
    with pytest.raises(PromptError, match="no pixel of “nothing”"):
        controller.class_areas.jump_to(empty)


def test_choosing_a_class_sets_the_brush(controller):
    controller.writing.add_structure("vessel")
    second = controller.classes.add("disc")
    assert controller.classes.chosen.value == second
    controller.classes.choose_next()
    assert controller.labels_layer.selected_label == 1


def test_what_the_user_paints_is_a_class_too(controller):
    controller.writing.add_structure("vessel")
    labels = controller.labels_layer
    with labels.block_history():
        labels.paint((10, 10), 9)
    assert [entry.value for entry in controller.classes.entries] == [1, 9]
    assert controller.class_areas.measured()[9].pixels == (labels.data == 9).sum()
    controller.undo()
    assert [entry.value for entry in controller.classes.entries] == [9]


# Strokes


@pytest.fixture
def painted(controller):
    """Strokes of two classes, painted with napari's brush."""
    controller.strokes.start()
    strokes = controller.strokes.layer
    strokes.brush_size = 5
    stroke(strokes, (10, 10), 1)
    assert controller.strokes.learned is None
    assert "another class" in controller.workspace.status.text
    controller.classes.choose_next()
    assert strokes.selected_label == 2
    stroke(strokes, (35, 30), strokes.selected_label)
    return strokes


def test_strokes_are_learned_after_each_one(controller, painted, embedding, viewer):
    classifier = ld.learn(embedding, painted.data)
    prediction = controller.strokes.prediction_layer
    np.testing.assert_array_equal(prediction.data, classifier.predict(embedding))
    stroke(painted, (40, 5), 1)
    assert controller.strokes.prediction_layer is prediction
    again = ld.learn(embedding, painted.data)
    np.testing.assert_array_equal(prediction.data, again.predict(embedding))
    painted.undo()
    np.testing.assert_array_equal(prediction.data, classifier.predict(embedding))
    assert painted.mode == "paint"
    assert viewer.layers.selection.active is painted


def test_uncertainty_and_where_next(controller, painted, embedding, viewer):
    classifier = ld.learn(embedding, painted.data)
    controller.strokes.set_shows_uncertainty(True)
    shown = controller.workspace.layer("uncertainty")
    np.testing.assert_allclose(shown.data, classifier.uncertainty(embedding))
    before = camera_of(viewer).center, camera_of(viewer).zoom
    controller.strokes.where_next()
    # The spot is in view: nothing moves
    assert (camera_of(viewer).center, camera_of(viewer).zoom) == before
    marker = controller.workspace.layer("marker")
    point = classifier.where_next(embedding, painted.data)
    np.testing.assert_allclose(marker.data, [point])
    stroke(painted, point, 1)
    assert (marker.data != [point]).any()
    controller.strokes.set_shows_uncertainty(False)
    assert controller.workspace.layer("uncertainty") is None


def test_the_prediction_becomes_labels_without_background(controller, painted):
    predicted = controller.strokes.prediction_layer.data
    controller.strokes.accept()
    labels = controller.labels_layer
    np.testing.assert_array_equal(labels.data == 1, predicted == 1)
    assert set(np.unique(labels.data)) == {0, 1}
    controller.undo()
    assert not labels.data.any()


def test_strokes_can_be_put_back(controller, painted, viewer):
    pixels = painted.data.copy()
    predicted = controller.strokes.prediction_layer.data.copy()
    second = Controller(viewer)
    second.set_model("tiny")
    second.restore_annotation(controller.annotation())
    second.strokes.put(second.workspace.place(), pixels)
    np.testing.assert_array_equal(second.strokes.prediction_layer.data, predicted)
    with pytest.raises(PromptError, match="size"):
        second.strokes.put(second.workspace.place(), pixels[:5])


def test_accepting_nothing_is_a_sentence(controller):
    for operation in (controller.strokes.accept, controller.strokes.where_next):
        with pytest.raises(PromptError, match="at least two classes"):
            operation()


def test_removed_strokes_stop_it_all(controller, painted, viewer):
    viewer.layers.remove(painted)
    stroke(painted, (3, 3), 2)
    controller.classes.add("more")
    controller.strokes.start()
    assert controller.strokes.layer is not painted


def test_stale_predictions_are_dropped(viewer, image, models, stepped):
    controller = Controller(viewer, stepped)
    controller.set_model("tiny")
    controller.clusters.show()
    stepped.finish()
    controller.strokes.start()
    strokes = controller.strokes.layer
    stroke(strokes, (10, 10), 1)
    stroke(strokes, (35, 30), 2)
    stroke(strokes, (20, 20), 2)
    assert controller.strokes.work.is_busy
    stepped.finish(-2)
    assert controller.strokes.learned is None
    stepped.step()
    viewer.layers.remove(image)
    stepped.finish()
    assert not controller.strokes.work.is_busy
    assert "eye prediction" not in names(viewer)


# Undo and redo


def test_everything_is_undone_and_done_again_in_order(controller, painted):
    controller.classes.choose(1)
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    controller.prompts.set_options(threshold=0.3)
    controller.prompts.add_mask()
    controller.classes.rename(2, "not it")
    controller.writing.set_overwrite(True)
    controller.writing.add_structure("vessel")
    controller.strokes.accept()
    end, labels = controller.annotation(), controller.labels_layer
    pixels = labels.data.copy()
    done = [operation.text for operation in end.log]
    undone = []
    while controller.next_undo:
        undone.append(controller.next_undo.text)
        controller.undo()
    assert undone == done[::-1]
    assert not labels.data.any()
    assert controller.prompts.points == ()
    assert controller.annotation().log == ()
    controller.undo()
    assert "nothing" in controller.workspace.status.text
    while controller.next_redo:
        controller.redo()
    assert controller.annotation() == end
    np.testing.assert_array_equal(labels.data, pixels)


def test_undo_leaves_what_was_painted_since(controller):
    controller.writing.add_structure("vessel")
    labels = controller.labels_layer
    labels.data_setitem((np.array([3, 4]), np.array([5, 5])), 9)
    controller.undo()
    assert sorted(np.unique(labels.data)) == [0, 9]
    controller.redo()
    assert (labels.data[3:5, 5] == 9).all()
    labels.undo()  # napari's own history has its one stroke
    assert 9 not in labels.data


def test_napari_undo_is_not_disturbed(controller):
    controller.writing.add_structure("vessel")
    labels = controller.labels_layer
    written = labels.data.copy()
    labels.undo()
    np.testing.assert_array_equal(labels.data, written)


def test_cancelled_prompts_are_no_steps(viewer, image, models, stepped):
    controller = Controller(viewer, stepped)
    controller.set_model("tiny")
    controller.prompts.add((12, 30))
    controller.prompts.add((20, 20))
    controller.undo()
    assert len(controller.prompts.points) == 1
    controller.workspace.cancel()
    assert controller.prompts.points == ()
    assert controller.next_undo is None
    controller.prompts.add((12, 30))
    controller.prompts.add((20, 20))
    stepped.finish()
    texts = [operation.text for operation in controller.annotation().log]
    assert texts == ["add a prompt", "add a prompt"]


def test_undo_shows_the_slice_where_it_was(viewer, picture, models):
    viewer.add_image(np.stack([picture, picture[::-1]]), rgb=True, scale=(5, 1, 1))
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.writing.add_structure("vessel")
    viewer.dims.set_current_step(0, 1)
    controller.undo()
    assert viewer.dims.current_step[0] == 0
    assert not controller.labels_layer.data.any()


def test_the_brush_paints_on_the_plane_that_is_shown_alone(viewer, picture, models):
    viewer.add_image(np.stack([picture, picture[::-1]]), rgb=True, scale=(5, 1, 1))
    strokes = (controller := Controller(viewer)).strokes
    controller.set_model("tiny")
    strokes.start()
    first = strokes.layer
    viewer.dims.set_current_step(0, 1)
    assert (first.mode, strokes.is_painting) == ("pan_zoom", False)
    assert "another plane" in controller.workspace.status.text
    first.mode = "fill"  # by hand
    assert first.mode == "pan_zoom"
    strokes.start()
    second = strokes.layer
    assert second is not first
    controller.classes.choose(2)
    viewer.dims.set_current_step(0, 0)
    assert strokes.is_painting
    assert viewer.layers.selection.active is first
    assert (first.mode, first.selected_label) == ("paint", 2)
    assert second.mode == "pan_zoom"


# The whole stack


def test_labels_of_a_stack_have_its_size(viewer, picture, models):
    stack = np.stack([picture, picture[::-1], picture[:, ::-1]])
    viewer.add_image(stack, rgb=True, name="eyes", scale=(5, 1, 1))
    controller = Controller(viewer)
    controller.set_model("tiny")
    viewer.dims.set_current_step(0, 1)
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    labels = controller.labels_layer
    assert labels.data.shape == (3, 48, 40)
    assert labels.data[1].any()
    assert not labels.data[[0, 2]].any()
    viewer.dims.set_current_step(0, 2)
    assert controller.class_areas.measured()[1].pixels == 0
    controller.strokes.start()
    assert controller.strokes.layer.data.shape == (1, 48, 40)
    stroke(controller.strokes.layer, (0, 10, 10), 1)
    stroke(controller.strokes.layer, (0, 35, 30), 2)
    controller.strokes.accept()
    assert labels.data[2].any()
    controller.classes.remove(1)
    assert not labels.data.any()
    controller.undo()
    assert labels.data[1].any()
    assert labels.data[2].any()


def test_labels_of_a_multiscale_image(viewer, picture, models):
    viewer.add_image([picture, picture[::2, ::2]], rgb=True, multiscale=True)
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.writing.add_structure("vessel")
    assert controller.labels_layer.data.shape == (48, 40)


# The description


def test_a_description_can_be_put_back(controller, viewer, models):
    controller.writing.add_structure("vessel")
    controller.prompts.add((12, 30))
    controller.prompts.set_options(threshold=0.4, smooth=True)
    text = json.dumps(controller.annotation().to_json())
    labels = controller.labels_layer
    second = Controller(viewer)
    second.set_model("tiny")
    second.restore_annotation(ImageAnnotation.from_json(json.loads(text)), labels)
    assert second.prompts.points == (Prompt(12, 30),)
    assert second.mask.threshold == 0.4
    assert second.classes.entries == controller.classes.entries
    assert second.labels_layer is labels
    assert second.annotation() == controller.annotation()
    assert second.next_undo is None


def test_what_was_written_can_be_repeated_from_the_log(controller, painted, embedding):
    controller.strokes.accept()
    controller.classes.add("mask")
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    controller.prompts.set_options(smooth=True, minimum_size=3)
    controller.writing.set_overwrite(True)
    controller.prompts.add_mask()
    controller.clusters.show()
    controller.writing.set_overwrite(False)
    controller.clusters.add([int(controller.clusters.layer.data.max())])
    controller.writing.add_structure("vessel")
    log = json.loads(json.dumps(controller.annotation().to_json()))["log"]
    labels = np.zeros((48, 40), np.uint8)
    for parameters in (
        entry["parameters"] for entry in log if entry["kind"] == "write"
    ):
        source, value = parameters["source"], parameters["value"]
        kind = source.pop("kind")
        if kind == "prompts":
            wanted = embedding.mask(**source) * value
        elif kind == "clusters":
            clusters = embedding.clusters(source["number"])
            wanted = np.isin(clusters, source["clusters"]) * value
        elif kind == "structure":
            found = embedding.structure(source["name"]) >= source["threshold"]
            wanted = found * value
        else:
            strokes = from_runs(source["strokes"], labels.shape)
            wanted = ld.learn(embedding, strokes).predict(embedding)
            wanted[np.isin(wanted, source["background"])] = 0
        free = parameters["overwrite"] | (labels == 0) | (labels == wanted)
        labels = np.where((wanted > 0) & free, wanted, labels)
    np.testing.assert_array_equal(labels, controller.labels_layer.data)


def test_listeners_hear_of_everything_that_is_to_be_saved(controller):
    heard = []
    controller.annotation_changed.connect(lambda: heard.append(True))
    for operation in (
        lambda: controller.prompts.add((12, 30)),
        lambda: controller.prompts.set_options(threshold=0.4),
        lambda: controller.classes.add("disc"),
        controller.prompts.add_mask,
        controller.undo,
        controller.redo,
        controller.undo,
        controller.prompts.clear,
    ):
        heard.clear()
        operation()
        assert heard


def test_other_data_take_prompts_and_mask_away(controller, viewer, image, picture):
    controller.prompts.set_finding(True)
    move(viewer, image.data_to_world((12, 30)))
    controller.prompts.add((12, 30))
    controller.writing.add_structure("vessel")
    image.data = picture[::-1].copy()
    assert names(viewer) == ["eye", "eye preview", "eye labels"]
    controller.prompts.add((12, 30))
    viewer.layers.remove(image)
    controller.prompts.set_finding(False)
    assert "eye preview" not in names(viewer)


def test_an_undo_that_is_cancelled_leaves_nothing_stale(viewer, image, models, stepped):
    controller = Controller(viewer, stepped)
    controller.set_model("tiny")
    controller.prompts.add((12, 30))
    stepped.finish()
    controller.prompts.add((20, 20))
    controller.set_model("other")
    controller.undo()
    controller.workspace.cancel()
    assert controller.prompts.points == (Prompt(12, 30),)
    assert names(viewer) == ["eye"]
    controller.prompts.add((30, 30))
    stepped.finish()
    assert len(controller.prompts.points_layer.data) == 2


# Hover


def move(viewer, position) -> None:
    """Move the mouse, as the canvas reports it."""
    for callback in list(viewer.mouse_move_callbacks):
        if getattr(callback, "__self__", None).__class__.__name__ == "HoverPreview":
            callback(viewer, SimpleNamespace(position=position))


def test_the_preview_follows_the_cursor(controller, viewer, image, embedding):
    move(viewer, image.data_to_world((12, 30)))
    assert controller.prompts.hover.layer is None  # not in the mode
    controller.prompts.set_finding(True)
    move(viewer, image.data_to_world((12, 30)))
    layer = controller.prompts.hover.layer
    np.testing.assert_allclose(
        layer.data, embedding.similarity_on_grid([(12, 30)]), atol=1e-6
    )
    move(viewer, image.data_to_world((20, 10)))
    assert controller.prompts.hover.layer is layer
    np.testing.assert_allclose(
        layer.data, embedding.similarity_on_grid([(20, 10)]), atol=1e-6
    )
    assert controller.prompts.points == ()
    move(viewer, image.data_to_world((500, 500)))
    assert not layer.visible
    move(viewer, image.data_to_world((20, 10)))
    assert layer.visible
    controller.prompts.add((20, 10))
    assert not layer.visible
    controller.prompts.set_finding(False)
    assert "eye preview" not in names(viewer)


def test_no_preview_where_it_is_not_wanted(controller, viewer, image):
    controller.prompts.set_finding(True)
    controller.prompts.hover.set_enabled(False)
    move(viewer, image.data_to_world((12, 30)))
    assert controller.prompts.hover.layer is None
    controller.prompts.hover.set_enabled(True)
    move(viewer, image.data_to_world((12, 30)))
    viewer.layers.remove(controller.prompts.hover.layer)
    move(viewer, image.data_to_world((13, 30)))
    assert names(viewer) == ["eye"]


# Keys


def test_no_key_is_naparis():
    keys = {key.replace("-", "+") for key in KEYS.values()}
    assert len(keys) == len(KEYS)
    assert not keys & napari_keys()


def press(viewer, name) -> None:
    from napari.utils.key_bindings import coerce_keybinding

    viewer.keymap[coerce_keybinding(KEYS[name])](viewer)


def test_keys_do_it_and_are_given_back(controller, viewer):
    press(viewer, "find similar")
    assert controller.prompts.is_finding
    controller.prompts.add((12, 30))
    before = controller.mask.threshold
    press(viewer, "higher threshold")
    assert controller.mask.threshold == pytest.approx(before + 0.02, abs=1e-3)
    press(viewer, "lower threshold")
    press(viewer, "add to labels")
    assert controller.labels_layer.data.any()
    press(viewer, "undo")
    assert not controller.labels_layer.data.any()
    press(viewer, "redo")
    assert controller.labels_layer.data.any()
    press(viewer, "next class")
    controller.close()
    assert not viewer.keymap


def test_keys_of_others_are_left_alone(viewer, image, models):
    def mine(viewer) -> None:
        """Somebody else's."""

    viewer.bind_key("Q", mine)
    controller = Controller(viewer)
    assert controller.keys.hint("find similar") == ""
    assert "U" in controller.keys.hint("undo")
    controller.close()
    assert list(viewer.keymap.values()) == [mine]


# Anything may happen in the middle


@pytest.mark.parametrize("which", range(6))
def test_any_layer_may_be_removed_or_renamed(controller, viewer, painted, which):
    controller.writing.add_structure("vessel")
    controller.prompts.add((12, 30))
    layer = viewer.layers[which]
    layer.name = "renamed"
    viewer.layers.remove(layer)
    for operation in (
        lambda: controller.prompts.add((20, 20)),
        lambda: controller.prompts.set_options(threshold=0.3),
        controller.prompts.add_mask,
        controller.undo,
        controller.redo,
        lambda: controller.classes.rename(1, "other"),
        controller.prompts.clear,
    ):
        if controller.workspace.images.current is not None:
            operation()
    controller.close()


def test_labels_survive_everything(controller, viewer, image, picture):
    controller.writing.add_structure("vessel")
    labels = controller.labels_layer
    kept = labels.data.copy()
    labels.name = "my vessels"
    controller.set_model("other")
    image.data = picture[::-1].copy()
    assert controller.next_undo is None
    viewer.layers.remove(image)
    controller.close()
    assert labels in viewer.layers
    np.testing.assert_array_equal(labels.data, kept)


def test_labels_of_other_data_are_not_written_to(controller, viewer, image):
    controller.writing.add_structure("vessel")
    labels = controller.labels_layer
    kept = labels.data.copy()
    image.data = np.random.default_rng(1).random((30, 36, 3)) * 0.7 + 0.2
    assert controller.labels_layer is None
    controller.writing.add_structure("vessel")
    assert controller.labels_layer is not labels
    assert controller.labels_layer.data.shape == (30, 36)
    np.testing.assert_array_equal(labels.data, kept)


def test_images_are_let_go(viewer, picture, models):
    gone = weakref.ref(viewer.add_image(picture))
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.prompts.set_finding(True)
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    controller.strokes.start()
    stroke(controller.strokes.layer, (10, 10), 1)
    stroke(controller.strokes.layer, (30, 30), 2)
    viewer.layers.clear()
    gc.collect()
    assert gone() is None
