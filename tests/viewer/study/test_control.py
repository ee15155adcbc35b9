"""A study worked through, without Qt: three images, a crash, two graders."""

import csv

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from PIL import Image

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.study import Study
from napari_localdisc.layers.plane import METADATA_KEY
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.study.control import StudyControl
from napari_localdisc.viewer.study.listing import ORDERS

SHAPE = (120, 130)


def paint(control, name, rows=slice(50, 60), columns=slice(50, 60)):
    """Paint a square as a brush does."""
    layer = control.layers[name]
    places = np.nonzero(np.ones((rows.stop - rows.start, columns.stop - columns.start)))
    places = places[0] + rows.start, places[1] + columns.start
    layer.data_setitem(places, layer.selected_label)
    layer.events.paint(value=[])


def names(control):
    return [layer.name for layer in control.viewer.layers]


def test_only_the_current_image_is_open(open_study):
    control = open_study()
    assert names(control) == ["p1_OD", "vessel", "drusen"]
    control.next()
    assert names(control) == ["p1_OS", "vessel", "drusen"]
    assert control.current.state == "proposed"
    control.previous()
    control.previous()
    assert names(control) == ["p1_OD", "vessel", "drusen"]
    assert "no image further" in control.status.text


def test_three_images_accepted_corrected_rejected(open_study, folder):
    control = open_study()
    control.accept()
    paint(control, "drusen")
    assert control.current.state == "corrected"
    control.set_note("soft drusen")
    control.next()
    control.reject()
    states = [image.state for image in Study(folder).images("anna")]
    assert states == ["accepted", "corrected", "rejected"]
    assert control.list.progress.startswith("2 of 3 images done")
    study = Study(folder)
    assert study.image(2, "anna").note == "soft drusen"
    assert study.masks(2, "anna")["drusen"].sum() == 100
    assert {image.state for image in study.images("ben")} == {"proposed"}
    control.reopen()
    assert control.current.state == "proposed"


def test_what_was_painted_survives_a_crash(open_study, folder):
    before = open_study()
    before.next()
    paint(before, "vessel")
    # Nothing is closed: the program is gone
    after = open_study()
    assert after.current.name == "p1_OS"
    assert after.current.state == "corrected"
    assert (after.layers["vessel"].data[50:60, 50:60] == 1).all()


def test_what_was_done_on_another_image_is_not_undone(open_study):
    control = open_study()
    control.layers["vessel"].visible = False
    paint(control, "drusen")
    control.next()
    before = control.layers["drusen"].data.copy()
    control.layers["drusen"].undo()
    np.testing.assert_array_equal(control.layers["drusen"].data, before)
    assert not control.layers["vessel"].visible  # as it was wanted


def test_structures_may_lie_over_each_other(open_study, folder):
    control = open_study()
    paint(control, "vessel")
    paint(control, "drusen")
    masks = Study(folder).masks(1, "anna")
    assert masks["vessel"][50:60, 50:60].all()
    assert masks["drusen"][50:60, 50:60].all()


def test_other_layers_of_a_structure_s_name_count(open_study, folder):
    control = open_study()
    data = np.zeros(SHAPE, np.uint8)
    data[:5, :5] = 7
    control.viewer.add_labels(data, metadata={METADATA_KEY: {"classes": {7: "Drusen"}}})
    control.viewer.add_labels(data + 1, name="mine")
    control.next()
    assert Study(folder).masks(1, "anna")["drusen"][:5, :5].all()
    assert names(control) == ["p1_OS", "vessel", "drusen", "mine"]


def test_the_main_widget_writes_where_the_hand_works(open_study):
    control = open_study()
    main = Controller(control.viewer)
    try:
        control.viewer.layers.selection.active = control.layers["drusen"]
        assert main.workspace.images.current.name == "p1_OD"
        assert main.labels_layer is control.layers["drusen"]
        assert main.classes.chosen.name == "drusen"
        control.viewer.layers.selection.active = control.layers["vessel"]
        assert main.labels_layer is control.layers["vessel"]
        assert main.classes.chosen.name == "vessel"
        main.set_model("tiny")
        main.clusters.show()
        control.next()
        images = [x for x in control.viewer.layers if isinstance(x, ImageLayer)]
        assert [image.name for image in images] == ["p1_OS"]
        assert names(control) == ["p1_OS", "vessel", "drusen"]
    finally:
        main.close()


def test_filter_and_order(open_study):
    control = open_study()
    control.accept()
    control.list.only("proposed")
    assert [image.name for image in control.list.images] == ["p1_OS", "p2_OD"]
    control.accept()  # what is accepted leaves the list, and the next one comes
    assert control.current.name == "p2_OD"
    control.list.only("all")
    for order in ORDERS:
        control.list.sort(order)
        assert len(control.list.images) == 3
    control.list.sort("least certain first")
    sure = [image.certainty for image in control.list.images]
    assert sure == sorted(sure)


def test_two_images_are_made_ready_ahead(open_study, stepped, folder):
    control = open_study(runner=stepped)
    stepped.finish()  # reads and looks at the first one
    assert control.current.name == "p1_OD"
    assert Study(folder).proposed_by(3) == ""
    stepped.finish()  # the two after it
    assert Study(folder).proposed_by(2)
    assert Study(folder).proposed_by(3)
    runs = len(stepped.runs)
    control.next()
    assert control.current.name == "p1_OS"  # at once: nothing was waited for
    assert len(stepped.runs) == runs


def test_accepted_images_teach_and_reopened_ones_no_longer(open_study, folder):
    control = open_study()
    before = Study(folder).proposed_by(3)
    paint(control, "drusen", slice(30, 60), slice(30, 60))
    control.accept()
    assert list(Study(folder).lessons("anna")["drusen"]) == [1]
    assert Study(folder).proposed_by(3) != before
    control.previous()
    control.reopen()
    assert Study(folder).lessons("anna") == {}
    assert Study(folder).proposed_by(3) == before


def test_learning_can_be_switched_off(open_study, folder):
    control = open_study()
    control.set_learns(False)
    before = Study(folder).proposed_by(3)
    paint(control, "drusen", slice(30, 60), slice(30, 60))
    control.accept()
    assert Study(folder).proposed_by(3) == before
    control.set_learns(True)
    assert Study(folder).proposed_by(3) != before


def test_agreement_with_another_grader(open_study, folder):
    first = open_study("ben")
    paint(first, "drusen")
    first.accept()
    first.close()
    control = open_study("anna")
    paint(control, "drusen", slice(50, 65))
    control.accept()
    found = []
    control.results.compared.connect(found.append)
    control.results.compare("")
    (comparison,) = found
    drusen = {row.structure: row for row in comparison.masks}["drusen"]
    assert drusen.dice == pytest.approx(200 / 250)
    area = {
        each.measure: each
        for each in comparison.measures
        if each.structure == "drusen" and each.unit == "pixel²"
    }["area"]
    assert area.bias == 50
    with pytest.raises(FileError, match="say whom"):
        control.results.compare("", "carl")


def test_one_table(open_study, tmp_path):
    control = open_study()
    paint(control, "drusen")
    rows = []
    control.results.save_table(tmp_path / "t.csv", rows.append)
    with (tmp_path / "t.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert rows == [len(read)]
    assert {(row["image"], row["state"]) for row in read} == {
        ("p1_OD", "corrected"),
        ("p1_OS", "proposed"),
        ("p2_OD", "proposed"),
    }


def test_a_study_is_begun_from_a_folder(folder):
    (folder / "study.sqlite").unlink()
    control = StudyControl(ViewerModel())
    control.models.choose("tiny")
    control.begin(folder, [], "anna")
    assert control.study.about.structures == ("vessel",)
    assert len(control.list.images) == 3
    control.begin(folder, ["drusen"], "ben")  # it is there: opened
    assert control.study.about.structures == ("vessel",)
    assert control.grader == "ben"
    control.close()


def test_a_picture_that_was_replaced_is_said(open_study, folder):
    control = open_study()
    control.close()
    Image.new("RGB", (50, 60), "grey").save(folder / "p1_OD.png")
    with pytest.raises(FileError, match="another size"):
        open_study()


def test_two_windows_of_one_grader(open_study, folder):
    here, there = open_study(), open_study()
    paint(there, "drusen")
    with pytest.raises(FileError, match="another window"):
        paint(here, "vessel")
    paint(here, "vessel", slice(70, 80))  # said once
    with pytest.raises(FileError, match="another window"):
        here.accept()
    here.next()
    here.previous()
    assert (here.layers["drusen"].data[50:60, 50:60] == 2).all()
    paint(here, "vessel")
    assert Study(folder).masks(1, "anna")["vessel"][50:60, 50:60].all()


def test_keys_are_given_back(open_study):
    control = open_study()
    before = set(map(str, control.viewer.keymap))
    assert {"PageDown", "PageUp", "Shift+Y", "Shift+X"} <= before
    control.close()
    assert not {"PageDown", "Shift+Y"} & set(map(str, control.viewer.keymap))
