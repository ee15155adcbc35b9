"""Structures are tuned with a live outline, on two images that lie differently."""

import numpy as np
import pytest

from napari_localdisc.annotation.script import differences, replay
from napari_localdisc.annotation.sources import Structure
from napari_localdisc.core.embedding.tuning import StructureOptions
from napari_localdisc.core.errors import PromptError

TUNED = 0.502
"""The small model's weights are random, and its probabilities near to a half."""


@pytest.fixture
def tuning(two, wait):
    """A widget whose vessels are being tuned."""
    two.structure_panel.tune_buttons["vessel"].click()
    wait(two)
    return two


def known(widget):
    workspace = widget.controller.workspace
    return workspace.known(workspace.place_or_none()).embedding


def test_the_outline_follows_the_options(tuning, viewer):
    controller, form = tuning.controller, tuning.structure_panel.tuning_form
    layer, embedding = controller.tuning.layer, known(tuning)
    usual = embedding.structure_mask("vessel")
    np.testing.assert_array_equal(layer.data > 0, usual)
    assert layer.name == "large vessel outline"
    assert layer.contour > 0
    np.testing.assert_allclose(
        layer.data_to_world((3, 5)), viewer.layers["large"].data_to_world((3, 5))
    )
    assert form.effect.text().startswith(f"{usual.sum():,} pixels")
    assert "as by default" in form.effect.text()
    controller.tuning.preview(threshold=TUNED)
    dragged = embedding.structure_mask("vessel", TUNED)
    np.testing.assert_array_equal(layer.data > 0, dragged)
    assert f"{dragged.sum() - usual.sum():+,}" in form.effect.text()
    assert controller.next_undo is None
    form.bridge_gaps.value = 3
    form.largest_only.value = True
    options = StructureOptions(bridge_gaps=3, largest_only=True)
    assert controller.tuning.options == options
    np.testing.assert_array_equal(
        layer.data > 0, embedding.structure_mask("vessel", **options.given)
    )
    assert controller.next_undo.text == "tune vessel"
    controller.undo()
    assert not form.largest_only.value
    assert form.bridge_gaps.value == 3
    form.reset_button.click()
    np.testing.assert_array_equal(layer.data > 0, usual)
    assert not form.reset_button.isEnabled()
    with pytest.raises(PromptError, match="between 0 and 1"):
        StructureOptions(threshold=2).check()
    tuning.structure_panel.tune_buttons["vessel"].click()
    assert layer not in viewer.layers
    assert not form.isVisible()


def test_each_image_is_tuned_by_itself(tuning, choose_image, wait):
    controller = tuning.controller
    controller.tuning.set_options(threshold=TUNED)
    large = known(tuning)
    tuning.structure_panel.add_buttons["vessel"].click()
    np.testing.assert_array_equal(
        controller.labels_layer.data == 1, large.structure_mask("vessel", TUNED)
    )
    choose_image(tuning, "small")
    tuning.structure_panel.add_buttons["vessel"].click()
    wait(tuning)
    assert controller.tuning.options == StructureOptions()
    np.testing.assert_array_equal(
        controller.labels_layer.data == 1, known(tuning).structure_mask("vessel")
    )
    choose_image(tuning, "large")
    assert controller.tuning.options.threshold == TUNED


def test_what_is_tuned_since_replaces_what_was_written(tuning):
    """But for what a hand painted and rubbed out meanwhile."""
    controller, add = tuning.controller, tuning.structure_panel.add_buttons["vessel"]
    embedding = known(tuning)
    first = embedding.structure_mask("vessel")
    add.click()
    labels = controller.labels_layer
    tuned = embedding.structure_mask("vessel", TUNED)
    painted = tuple(np.argwhere(~first)[0])
    kept = tuple(np.argwhere(first & tuned)[0])
    labels.data[painted], labels.data[kept] = 1, 0
    before = labels.data.copy()
    controller.tuning.set_options(threshold=TUNED)
    add.click()
    wanted = tuned.copy()
    wanted[painted], wanted[kept] = True, False
    np.testing.assert_array_equal(labels.data == 1, wanted)
    gone = np.count_nonzero(before & ~labels.data.astype(bool))
    assert f"{gone:,} that it no longer has" in controller.workspace.status.text
    document = controller.workspace.place().document
    log = document.history.log
    again = replay(log, (None, None), first.shape, lambda key: embedding)[0]
    assert len(differences(labels.data, again)) == 2  # what the hand did
    controller.undo()
    np.testing.assert_array_equal(labels.data, before)


def test_it_comes_back_with_a_session(tuning, wait, tmp_path, qtbot):
    controller = tuning.controller
    controller.tuning.set_options(threshold=TUNED, minimum_size=3)
    with qtbot.waitSignal(tuning.sessions.saved):
        tuning.sessions.save(tmp_path / "one")
    controller.tuning.reset()
    with qtbot.waitSignal(tuning.sessions.opened):
        tuning.sessions.open(tmp_path / "one.localdisc")
    wait(tuning)
    assert controller.tuning.options == StructureOptions(TUNED, minimum_size=3)
    outlines = [
        layer.name
        for layer in controller.workspace.viewer.layers
        if "outline" in layer.name
    ]
    assert outlines == ["large vessel outline"]  # it is no layer of the session


def test_a_script_says_how_it_was_tuned():
    options = {"threshold": 0.4, "bridge_gaps": 2}
    tuned, usual = Structure(name="vessel", **options), Structure(name="vessel")
    assert tuned.to_json() == {"kind": "structure", "name": "vessel", **options}
    call = "embedding.structure_mask('vessel', threshold=0.4, bridge_gaps=2)"
    assert call in tuned.code("embedding", 3, False)
    anew = tuned.code_instead("embedding", 3, False, usual)
    assert anew.splitlines() == [
        "earlier = embedding.structure('vessel') >= 0.5",
        f"mask = {call}",
        "take_back(labels, earlier & ~mask, 3)",
        "write(labels, mask, 3, overwrite=False)",
    ]
