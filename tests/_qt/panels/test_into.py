"""What is added says where it goes; two images of other sizes and transforms."""

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt

LEFT, RIGHT = (30, 8), (30, 32)
"""(row, column) that means vessels, and that means what looks like it."""


def click(widget, wait, point, positive=True):
    widget.controller.prompts.add(point, positive)
    wait(widget)


@pytest.fixture
def says(qtbot):
    """Wait for the button to say it: a choice shows a tenth of a second later."""

    def until(panel, text):
        qtbot.waitUntil(lambda: panel.add_button.text() == text)

    return until


def offers(panel):
    """Open the menu beside the button; return its entries by their texts."""
    menu = panel.into_button.menu()
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions() if action.text()}


def test_each_mask_goes_where_the_button_says(two, wait, viewer, choose_image, says):
    panel, controller = two.similar_panel, two.controller
    masks = {}
    for name in ("large", "small"):
        choose_image(two, name)
        click(two, wait, LEFT)
        says(panel, "Add to new “vessel”")
        masks[name] = controller.mask.layer.data.copy()
        panel.add_button.click()
        labels = controller.labels_layer
        said = controller.workspace.status.text
        assert f"{np.count_nonzero(labels.data):,} pixels" in said
        assert "“vessel”" in said
        assert f"“{name} labels”" in said
        assert controller.next_undo.text == "add the mask to “vessel”"
    for name, mask in masks.items():
        labels = viewer.layers[f"{name} labels"]
        np.testing.assert_array_equal(labels.data == 1, mask > 0)
        np.testing.assert_allclose(
            labels.data_to_world((3, 5)), viewer.layers[name].data_to_world((3, 5))
        )


def test_the_same_meaning_goes_to_the_same_class(two, wait, says):
    panel, controller = two.similar_panel, two.controller
    click(two, wait, RIGHT)
    says(panel, "Add to a new class")
    panel.add_button.click()
    assert [entry.name for entry in controller.classes.entries] == ["class 1"]
    click(two, wait, LEFT)  # another one is selected, and has pixels
    says(panel, "Add to new “vessel”")
    panel.add_button.click()
    click(two, wait, RIGHT)
    says(panel, "Add to “vessel”")  # the selected one
    offers(panel)["class 1"].trigger()
    says(panel, "Add to “class 1”")
    panel.add_button.click()
    click(two, wait, LEFT)
    says(panel, "Add to “vessel”")
    controller.classes.rename(2, "arcades")
    says(panel, "Add to “arcades”")


def test_another_class_is_one_choice_away(two, wait, qtbot, says):
    panel, controller = two.similar_panel, two.controller
    controller.classes.add("first")
    controller.classes.add("mine")
    click(two, wait, LEFT)
    says(panel, "Add to “mine”")  # new, so made for this
    found = offers(panel)
    assert list(found) == ["first", "mine", "New class “vessel”", "New class"]
    assert [text for text, each in found.items() if each.isChecked()] == ["mine"]
    found["New class “vessel”"].trigger()
    says(panel, "Add to “vessel”")
    table = two.labels_panel.table
    where = table.visualItemRect(table.item(0, 1)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    says(panel, "Add to “first”")
    colour = controller.mask.layer.colormap.map(1)
    assert controller.labels_layer is None
    offers(panel)["What the clicks mean"].trigger()
    assert controller.prompts.annotation.into is None
    controller.classes.choose(3)
    says(panel, "Add to “vessel”")
    assert (controller.mask.layer.colormap.map(1) != colour).any()
    panel.add_button.click()
    assert controller.class_areas.measured()[3].pixels > 0
    controller.undo()
    assert controller.prompts.annotation.into == 3
    says(panel, "Add to “vessel”")
    controller.prompts.clear()
    assert controller.prompts.annotation.into is None
    says(panel, "Add to labels")


def test_the_class_comes_back_with_its_prompts(two, wait, tmp_path, says):
    controller = two.controller
    click(two, wait, RIGHT)
    controller.classes.add("mine")
    controller.classes.add("other")
    two.sessions.save(tmp_path / "one")
    controller.classes.choose(1)
    says(two.similar_panel, "Add to “mine”")
    two.sessions.open(tmp_path / "one.localdisc")
    wait(two)
    says(two.similar_panel, "Add to “other”")


def test_a_concept_is_named_by_the_class_of_its_prompts(two, wait, monkeypatch):
    controller = two.controller
    asked = []

    def ask(parent, title, name, kinds):
        asked.append(Path(name).name)
        return "", ""

    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", ask)
    click(two, wait, LEFT)
    save = two.concept_section.save_prompts
    save.trigger()
    two.similar_panel.add_button.click()
    controller.classes.add("selected since")
    save.trigger()
    assert asked == ["vessel.concept.safetensors"] * 2


def test_buttons_of_clusters_and_structures_say_it_as_well(two, wait):
    controller = two.controller
    assert two.structure_panel.add_buttons["vessel"].text() == "Add to “vessel”"
    two.cluster_panel.button.click()
    wait(two)
    legend, add = two.cluster_panel.legend, two.cluster_panel.add_button
    legend._choose({1, 3})
    assert add.text() == "Add to “structures 1 + 3”"
    add.click()
    assert controller.classes.chosen.name == "structures 1 + 3"
    assert "“structures 1 + 3”" in controller.workspace.status.text
