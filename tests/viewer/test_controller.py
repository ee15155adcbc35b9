"""Everything that the plugin does, without Qt and with the real network."""

import gc
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_localdisc.core.errors import ImageError, ModelError, PromptError
from napari_localdisc.viewer.controller import Controller

EVERYTHING = {
    "scale": (0.5, 3),
    "translate": (-7, 11),
    "rotate": 33,
    "shear": (0.4,),
    "affine": np.array([[0.8, -0.6, 3], [0.6, 0.9, -2], [0, 0, 1]]),
    "units": ("um", "um"),
}


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def image(viewer: ViewerModel, picture: np.ndarray) -> Image:
    return viewer.add_image(picture, name="eye", **EVERYTHING)


@pytest.fixture
def controller(viewer: ViewerModel, image: Image, models) -> Controller:
    controller = Controller(viewer)
    controller.set_model("tiny")
    return controller


@pytest.fixture
def waiting(viewer: ViewerModel, image: Image, models, stepped) -> Controller:
    """A controller whose work waits for the test."""
    controller = Controller(viewer, stepped)
    controller.set_model("tiny")
    return controller


def brightest(layer: Image) -> np.ndarray:
    """Where in the world a map's largest value is: a prompt is most like itself."""
    at = np.unravel_index(np.argmax(layer.data), layer.data.shape)
    return np.asarray(layer.data_to_world(at))


# Clusters


def test_clusters_become_labels_on_the_image(controller, image):
    controller.clusters.show()
    labels = controller.clusters.layer
    assert isinstance(labels, Labels)
    assert labels.name == "eye structures"
    assert labels.data.shape == (48, 40)
    assert labels.data.dtype == np.uint8
    assert set(np.unique(labels.data)) <= set(range(1, 9))
    np.testing.assert_allclose(
        labels.data_to_world((47, 0)), image.data_to_world((47, 0))
    )
    assert labels.units == image.units
    assert labels.metadata["napari-localdisc"]["model"] == "tiny"
    assert not controller.workspace.work.is_busy


def test_the_number_of_structures_relabels_without_new_work(waiting, stepped):
    waiting.clusters.show()
    stepped.finish()
    layer = waiting.clusters.layer
    waiting.clusters.set_number(2)
    assert waiting.clusters.layer is layer
    assert layer.data.max() <= 2
    waiting.clusters.set_number(16)
    assert layer.data.max() > 2
    assert len(stepped.runs) == 1


def test_colours_stay_when_the_number_changes(controller):
    controller.clusters.show()
    before = controller.clusters.layer.colormap.map(np.arange(1, 4))
    controller.clusters.set_number(3)
    after = controller.clusters.layer.colormap.map(np.arange(1, 4))
    np.testing.assert_array_equal(before, after)


def test_the_number_stays_in_range(controller):
    controller.clusters.set_number(99)
    assert controller.clusters.number == 16
    controller.clusters.set_number(1)
    assert controller.clusters.number == 2
    controller.clusters.set_number(12)
    controller.set_model("other")  # has six clusters
    assert controller.workspace.models.most_structures == 6
    assert controller.clusters.number == 6


def test_clustering_again_updates_our_layer(controller, viewer):
    controller.clusters.show()
    layer = controller.clusters.layer
    layer.name = "renamed by the user"
    controller.clusters.set_number(4)
    controller.clusters.show()
    assert controller.clusters.layer is layer
    assert len(viewer.layers) == 2


def test_painted_labels_are_never_overwritten(controller, viewer):
    controller.clusters.show()
    painted = controller.clusters.layer
    painted.paint((10, 10), 40)
    kept = painted.data.copy()
    controller.clusters.set_number(3)
    np.testing.assert_array_equal(painted.data, kept)
    assert controller.clusters.layer is not painted
    assert "painted" in controller.workspace.status.text
    controller.clusters.set_number(5)
    controller.clusters.show()
    assert len(viewer.layers) == 3
    np.testing.assert_array_equal(painted.data, kept)


def test_labels_that_the_user_paints_beyond_ours_can_be_seen(controller):
    controller.clusters.show()
    assert controller.clusters.layer.colormap.map(200)[-1] == 1


def test_removed_labels_come_back_only_when_asked_for(controller, viewer):
    controller.clusters.show()
    viewer.layers.remove(controller.clusters.layer)
    controller.clusters.set_number(3)
    assert controller.clusters.layer is None
    controller.clusters.show()
    assert controller.clusters.layer is not None


def test_labels_follow_a_transform_that_was_changed(controller, image):
    controller.clusters.show()
    image.translate = (100, 200)
    image.affine = np.eye(3)
    controller.clusters.show()
    np.testing.assert_allclose(
        controller.clusters.layer.data_to_world((3, 4)), image.data_to_world((3, 4))
    )


# Similarity


def test_a_prompt_lights_up_its_own_pixel(controller, image):
    controller.prompts.add((12, 30))
    layer = controller.prompts.similarity_layer
    assert layer.name == "eye similarity"
    assert layer.data.shape == (144, 120)  # the working grid
    np.testing.assert_allclose(image.world_to_data(brightest(layer)), (12, 30))
    assert layer.contrast_limits == [0, 1]


def test_prompts_accumulate_and_are_cleared(controller, viewer):
    controller.prompts.add((12, 30))
    first = controller.prompts.similarity_layer.data.copy()
    controller.prompts.add((40, 5))
    more = controller.prompts.similarity_layer.data.copy()
    there = 3 * 40 + 1, 3 * 5 + 1  # of the working grid, which is 3 times as fine
    assert more[there] >= max(first[there], 0.5)
    controller.prompts.add((20, 20), positive=False)
    assert controller.prompts.similarity_layer.data.sum() < more.sum()
    assert [prompt.positive for prompt in controller.prompts.points] == [
        True,
        True,
        False,
    ]
    controller.prompts.clear()
    assert controller.prompts.points == ()
    assert controller.prompts.similarity_layer is None
    assert len(viewer.layers) == 1


def test_a_negative_prompt_alone_shows_nothing(controller):
    controller.prompts.add((12, 30), positive=False)
    assert controller.prompts.similarity_layer is None
    assert len(controller.prompts.points) == 1
    controller.prompts.add((20, 20))
    assert controller.prompts.similarity_layer is not None


def test_prompts_outside_the_image_are_refused(controller):
    with pytest.raises(PromptError, match="outside “eye”"):
        controller.prompts.add((48, 3))
    assert controller.prompts.points == ()


def test_prompts_outside_the_field_of_view_are_refused(viewer, models):
    disc = np.hypot(*np.mgrid[-40:40, -40:40]) < 35
    viewer.add_image((disc * 200).astype(np.uint8))
    controller = Controller(viewer)
    controller.set_model("tiny")
    with pytest.raises(PromptError, match="outside the field of view"):
        controller.prompts.add((1, 1))
    assert controller.prompts.points == ()
    controller.prompts.add((40, 40))
    layer = controller.prompts.similarity_layer
    assert layer.data[0, 0] == 0
    with pytest.raises(PromptError, match="outside the field of view"):
        controller.prompts.add((1, 1))
    assert len(controller.prompts.points) == 1


def test_a_map_that_the_user_renamed_is_kept(controller, viewer):
    controller.prompts.add((12, 30))
    layer = controller.prompts.similarity_layer
    layer.name = "mine"
    controller.prompts.clear()
    assert layer in viewer.layers


def test_a_removed_map_comes_back_with_the_next_prompt(controller, viewer):
    controller.prompts.add((12, 30))
    viewer.layers.remove(controller.prompts.similarity_layer)
    controller.prompts.add((13, 30))
    assert controller.prompts.similarity_layer is not None


def test_the_selected_layer_stays_selected(controller, viewer, image):
    viewer.layers.selection.active = image
    controller.prompts.add((12, 30))
    assert viewer.layers.selection.active is image


def test_another_model_answers_the_same_prompts(controller):
    controller.prompts.add((12, 30))
    controller.set_model("other")
    assert controller.prompts.similarity_layer.data.shape == (64, 53)
    assert len(controller.prompts.points) == 1


# Named structures


def test_named_structures_as_map(controller, image):
    assert controller.workspace.models.structures == ("vessel",)
    controller.clusters.show_structure("vessel")
    probability = controller.workspace.viewer.layers[-1]
    assert probability.name == "eye vessel probability"
    np.testing.assert_allclose(
        probability.data_to_world((9, 4)), image.data_to_world((9, 4))
    )
    with pytest.raises(ModelError, match="knows no structure 'disc'"):
        controller.clusters.show_structure("disc")


# Kinds of images


@pytest.mark.parametrize(
    "convert",
    [
        lambda rgb: rgb,
        lambda rgb: rgb[..., 0],
        lambda rgb: np.dstack([rgb, np.ones(rgb.shape[:2], np.float32)]),
        lambda rgb: (rgb * 255).astype(np.uint8),
        lambda rgb: (rgb * 65535).astype(np.uint16),
        lambda rgb: (rgb[..., 0] * 1e4 - 2e3).astype(np.float64),
        lambda rgb: (rgb[..., 0] * 4000 - 2000).astype(np.int16),
    ],
    ids=["rgb", "grey", "rgba", "uint8", "uint16", "any float", "signed"],
)
def test_every_kind_of_image(viewer, models, picture, convert):
    image = viewer.add_image(convert(picture), **EVERYTHING)
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.prompts.add((12, 30))
    controller.clusters.show()
    at = image.world_to_data(brightest(controller.prompts.similarity_layer))
    np.testing.assert_allclose(at, (12, 30))
    assert controller.clusters.layer.data.shape == (48, 40)


def test_slices_of_a_stack_have_their_own_results(viewer, models, picture):
    stack = np.stack([picture[::-1], picture])
    image = viewer.add_image(stack, rgb=True, scale=(5, 2, 2))
    controller = Controller(viewer)
    controller.set_model("tiny")
    viewer.dims.set_current_step(0, 1)
    controller.clusters.show()
    controller.prompts.add((12, 30))
    second = controller.clusters.layer
    assert second.data.shape == (1, 48, 40)
    np.testing.assert_allclose(
        second.data_to_world((0, 3, 4)), image.data_to_world((1, 3, 4))
    )
    assert controller.prompts.similarity_layer.data.shape == (1, 144, 120)
    viewer.dims.set_current_step(0, 0)
    assert controller.prompts.points == ()
    assert controller.clusters.layer is None
    controller.clusters.show()
    first = controller.clusters.layer
    assert first is not second
    assert [first.name, second.name] == [
        f"{image.name} structures, slice {number}" for number in (0, 1)
    ]
    viewer.dims.set_current_step(0, 1)
    assert controller.clusters.layer is second
    assert len(controller.prompts.points) == 1


def test_multiscale_images_use_the_finest_level(viewer, models, picture):
    viewer.add_image([picture, picture[::2, ::2]], rgb=True, multiscale=True)
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.clusters.show()
    assert controller.clusters.layer.data.shape == (48, 40)


# Bad input: one sentence, and everything stays


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros((1, 1)), "at least"),
        (np.zeros((40, 40)), "black|one"),
        (np.full((40, 40), np.nan), "NaN"),
    ],
    ids=["one pixel", "black", "nan"],
)
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_bad_images(viewer, models, data, match):
    viewer.add_image(data, contrast_limits=(0, 1))
    controller = Controller(viewer)
    controller.set_model("tiny")
    for operation in (controller.clusters.show, lambda: controller.prompts.add((0, 0))):
        with pytest.raises(ImageError, match=match):
            operation()
        assert len(viewer.layers) == 1
        assert controller.prompts.points == ()
        assert not controller.workspace.work.is_busy


def test_no_image(viewer, models):
    controller = Controller(viewer)
    assert "Open an image" in controller.workspace.status.text
    with pytest.raises(ImageError, match="no image"):
        controller.clusters.show()
    controller.prompts.clear()
    controller.clusters.set_number(3)


def test_a_damaged_model(controller, models, viewer):
    damaged = models / "damaged.safetensors"
    damaged.write_bytes(b"\0" * 100)
    try:
        with pytest.raises(ModelError, match="damaged"):
            controller.set_model("damaged")
        with pytest.raises(ModelError, match="damaged"):
            controller.clusters.show()
        assert len(viewer.layers) == 1
        assert Controller(viewer).workspace.models.name != "damaged"
    finally:
        damaged.unlink()
    with pytest.raises(ModelError, match="no model 'damaged' any more"):
        controller.clusters.show()
    controller.set_model("tiny")
    controller.clusters.show()
    assert controller.clusters.layer is not None


# Embeddings are kept


def test_the_second_operation_needs_no_work(waiting, stepped):
    waiting.prompts.add((12, 30))
    stepped.finish()
    waiting.clusters.show()
    waiting.clusters.show_structure("vessel")
    assert len(stepped.runs) == 1
    assert waiting.clusters.layer is not None


def test_the_slider_works_on_when_the_image_has_other_data(waiting, stepped, image):
    waiting.clusters.show()
    stepped.finish()
    image.data = image.data[:, ::-1]
    waiting.clusters.set_number(3)
    waiting.clusters.set_number(2)
    assert len(stepped.runs) == 2
    stepped.finish()
    assert waiting.clusters.layer.data.max() <= 2


def test_operations_share_running_work(waiting, stepped):
    waiting.clusters.show()
    stepped.step()
    waiting.prompts.add((12, 30))
    waiting.prompts.add((20, 3), positive=False)
    assert len(stepped.runs) == 1
    stepped.finish()
    assert waiting.clusters.layer is not None
    assert waiting.prompts.similarity_layer is not None


def test_new_data_is_embedded_anew(waiting, stepped, image, picture):
    waiting.clusters.show()
    stepped.finish()
    before = waiting.clusters.layer.data.copy()
    image.data = picture[:, ::-1]
    waiting.clusters.show()
    assert len(stepped.runs) == 2
    stepped.finish()
    assert (waiting.clusters.layer.data != before).any()


def test_pixels_edited_in_place_are_noticed(waiting, stepped, image):
    waiting.clusters.show()
    stepped.finish()
    image.refresh()
    waiting.clusters.show()
    assert len(stepped.runs) == 1
    image.data[:20] = 0.5
    image.refresh()
    waiting.clusters.show()
    assert len(stepped.runs) == 2


def test_a_model_that_was_trained_on_is_another_model(
    viewer, image, tmp_path, monkeypatch, stepped
):
    from napari_localdisc.core.model.model import Model, save_model

    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    save_model(Model.random(seed=0, working_diameter=64, width=4), tmp_path / "mine")
    controller = Controller(viewer, stepped)
    controller.set_model("mine")
    controller.clusters.show()
    stepped.finish()
    save_model(Model.random(seed=1, working_diameter=64, width=4), tmp_path / "mine")
    controller.clusters.show()
    assert len(stepped.runs) == 2


# In the middle of things


def operations(controller: Controller) -> dict:
    return {
        "cluster": controller.clusters.show,
        "prompt": lambda: controller.prompts.add((12, 30)),
        "structure": lambda: controller.clusters.show_structure("vessel"),
    }


@pytest.mark.parametrize("operation", ["cluster", "prompt", "structure"])
@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_cancel_leaves_everything_as_it_was(waiting, stepped, viewer, operation, steps):
    operations(waiting)[operation]()
    for _ in range(steps):
        stepped.step()
    assert waiting.workspace.work.is_busy
    waiting.workspace.cancel()
    assert not waiting.workspace.work.is_busy
    assert "Cancelled" in waiting.workspace.status.text
    assert waiting.prompts.points == ()
    stepped.finish()
    assert len(viewer.layers) == 1


def test_a_result_that_was_on_its_way_when_cancelled_is_dropped(
    waiting, stepped, viewer
):
    waiting.clusters.show()
    job, steps = stepped.runs[-1]
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result = end.value
            break
    waiting.workspace.cancel()
    job.on_result(result)
    assert len(viewer.layers) == 1


def test_cancelling_keeps_earlier_prompts(waiting, stepped, image, picture):
    waiting.prompts.add((12, 30))
    stepped.finish()
    waiting.set_model("other")
    assert waiting.workspace.work.is_busy
    waiting.prompts.add((20, 3))
    waiting.workspace.cancel()
    assert [prompt.point for prompt in waiting.prompts.points] == [(12, 30)]


@pytest.mark.parametrize("operation", ["cluster", "prompt", "structure"])
def test_the_image_is_removed_meanwhile(waiting, stepped, viewer, image, operation):
    operations(waiting)[operation]()
    stepped.step()
    viewer.layers.remove(image)
    assert not waiting.workspace.work.is_busy
    stepped.finish()
    assert len(viewer.layers) == 0
    assert waiting.workspace.images.current is None
    assert "Open an image" in waiting.workspace.status.text


def test_the_image_is_renamed_meanwhile(waiting, stepped, image):
    names = []
    waiting.workspace.images.listed.connect(
        lambda: names.append([layer.name for layer in waiting.workspace.images.images])
    )
    waiting.clusters.show()
    stepped.step()
    image.name = "another name"
    stepped.finish()
    assert waiting.clusters.layer.name == "another name structures"
    assert names[-1] == ["another name"]


def test_the_image_gets_other_data_meanwhile(waiting, stepped, image, viewer):
    waiting.clusters.show()
    stepped.step()
    image.data = np.ones((30, 30, 3), np.float32) * 0.5
    stepped.finish()
    assert not waiting.workspace.work.is_busy
    assert len(viewer.layers) == 1


def test_the_image_is_edited_in_place_meanwhile(waiting, stepped, image, viewer):
    waiting.clusters.show()
    while not waiting.workspace.status.text.startswith("Looking"):
        stepped.step()
    image.data[:9] = 0.4
    with pytest.raises(ImageError, match="“eye” was edited"):
        stepped.finish()
    assert not waiting.workspace.work.is_busy
    assert len(viewer.layers) == 1


def test_the_transform_changes_meanwhile(waiting, stepped, image):
    waiting.clusters.show()
    stepped.step()
    image.scale = (4, 4)
    stepped.finish()
    np.testing.assert_allclose(
        waiting.clusters.layer.data_to_world((3, 4)), image.data_to_world((3, 4))
    )


def test_another_image_or_model_is_chosen_meanwhile(waiting, stepped, viewer, picture):
    eye = waiting.workspace.images.current
    other = viewer.add_image(picture[::-1].copy(), name="other eye")
    waiting.workspace.images.choose(eye)
    waiting.clusters.show()
    stepped.step()
    waiting.workspace.images.choose(other)
    assert not waiting.workspace.work.is_busy
    waiting.clusters.show()
    stepped.step()
    waiting.set_model("other")
    assert not waiting.workspace.work.is_busy
    stepped.finish(0)
    stepped.finish(1)
    assert len(viewer.layers) == 2


def test_scrolling_meanwhile_puts_the_result_where_it_belongs(
    viewer, models, stepped, picture
):
    image = viewer.add_image(np.stack([picture, picture[::-1]]), rgb=True)
    controller = Controller(viewer, stepped)
    controller.set_model("tiny")
    viewer.dims.set_current_step(0, 1)
    controller.clusters.show()
    viewer.dims.set_current_step(0, 0)
    stepped.finish()
    labels = viewer.layers[-1]
    np.testing.assert_allclose(
        labels.data_to_world((0, 3, 4)), image.data_to_world((1, 3, 4))
    )


def test_the_number_may_change_meanwhile(waiting, stepped):
    waiting.clusters.show()
    stepped.step()
    waiting.clusters.set_number(2)
    stepped.finish()
    assert waiting.clusters.layer.data.max() <= 2


def test_closing_meanwhile(waiting, stepped, viewer):
    waiting.prompts.set_finding(True)
    waiting.clusters.show()
    stepped.step()
    waiting.close()
    waiting.close()
    stepped.finish()
    assert len(viewer.layers) == 1
    viewer.layers.clear()
    viewer.add_image(np.ones((20, 20)))


def test_unexpected_errors_are_not_swallowed(waiting, stepped, monkeypatch):
    from napari_localdisc.core.embedding import embed as embedding

    def broken(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(embedding, "embed_steps", broken)
    waiting.clusters.show()
    with pytest.raises(RuntimeError, match="out of memory"):
        stepped.finish()
    assert not waiting.workspace.work.is_busy


# Images come and go


def test_the_selected_image_is_chosen_first(viewer, models, picture):
    viewer.add_image(picture, name="below")
    viewer.add_image(picture, name="above")
    viewer.layers.selection.active = viewer.layers["below"]
    controller = Controller(viewer)
    assert controller.workspace.images.current.name == "below"
    assert [layer.name for layer in controller.workspace.images.images] == [
        "above",
        "below",
    ]
    viewer.layers.remove("below")
    assert controller.workspace.images.current.name == "above"


def test_the_first_image_that_comes_is_chosen(viewer, models, picture):
    controller = Controller(viewer)
    viewer.add_labels(np.ones((9, 9), int))
    assert controller.workspace.images.current is None
    image = viewer.add_image(picture)
    assert controller.workspace.images.current is image
    shown = viewer.add_image(picture, visible=False)
    viewer.layers.selection.active = image
    assert controller.workspace.images.current is image
    viewer.layers.selection.active = shown
    assert controller.workspace.images.current is shown


def test_our_own_maps_are_no_images_to_choose(controller):
    controller.prompts.add((12, 30))
    controller.clusters.show_structure("vessel")
    assert [layer.name for layer in controller.workspace.images.images] == ["eye"]


def test_removed_images_are_let_go(viewer, models, picture):
    gone = weakref.ref(viewer.add_image(picture))
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.clusters.show()
    controller.prompts.add((12, 30))
    viewer.layers.clear()
    gc.collect()
    assert controller.workspace.images.current is None
    assert gone() is None


def test_two_viewers_know_nothing_of_each_other(controller, models, picture):
    elsewhere = ViewerModel()
    elsewhere.add_image(picture[::-1].copy(), name="eye")
    second = Controller(elsewhere)
    second.set_model("tiny")
    second.clusters.set_number(3)
    second.prompts.set_finding(True)
    second.prompts.add((3, 3))
    controller.clusters.show()
    assert controller.prompts.points == ()
    assert controller.clusters.number == 8
    assert not controller.prompts.is_finding
    assert len(elsewhere.layers) == 4
    assert len(controller.workspace.viewer.layers) == 2
