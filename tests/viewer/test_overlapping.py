"""Classes that may overlap: a layer a group, without Qt and with the real network."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from tests.core import phantoms

import napari_localdisc as ld
from napari_localdisc.annotation import sources
from napari_localdisc.annotation.state import free_group
from napari_localdisc.core.errors import PromptError
from napari_localdisc.layers.plane import METADATA_KEY
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.measure import Measuring
from napari_localdisc.viewer.script import Scripts
from napari_localdisc.viewer.session.session import Sessions
from napari_localdisc.viewer.writing import of_source

PLACED = {"scale": (0.5, 3), "translate": (-7, 11), "rotate": 33, "shear": (0.4,)}
DISC, CUP, VESSEL = "optic disc", "optic cup", "vessels"
WANTED = {DISC: ((12, 30), 0.5), CUP: ((12, 30), 0.6), VESSEL: ((40, 8), 0.5)}
"""A point and a threshold: the cup lies in the disc, the vessels over both."""


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def controller(viewer, picture, models):
    viewer.add_image(picture, name="eye", **PLACED)
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.classes.set_may_overlap(True)
    yield controller
    controller.close()


@pytest.fixture
def whole(picture, models):
    """The mask of each structure."""
    embedding = ld.embed(picture, ld.load_model("tiny"))
    found = {
        name: embedding.mask([point], threshold=threshold)
        for name, (point, threshold) in WANTED.items()
    }
    assert (found[DISC] & found[CUP]).sum() == found[CUP].sum() > 50
    assert 50 < (found[DISC] & found[VESSEL]).sum() < found[VESSEL].sum()
    return found


def add(controller, name) -> None:
    """Click, set a threshold, choose the class, and add the mask to it."""
    point, threshold = WANTED[name]
    controller.prompts.add(point)
    controller.prompts.set_options(threshold=threshold)
    values = {entry.name: entry.value for entry in controller.classes.entries}
    if name in values:
        controller.classes.choose(values[name])
    else:
        controller.classes.add(name)
    controller.prompts.add_mask()


def counts(masks) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def areas(controller) -> dict[str, int]:
    measured = controller.class_areas.measured().values()
    return {each.name: each.pixels for each in measured}


def masks(controller) -> dict[str, np.ndarray]:
    layers = controller.classes.layers
    return {
        entry.name: np.asarray(layers[entry.group].data) == entry.value
        for entry in controller.classes.entries
    }


def put(controller, name, mask) -> None:
    """Write a mask as the class of a name, as a structure is."""

    def make(place, known):
        named = {entry.name: entry for entry in controller.classes.entries}
        entry = named.get(name) or controller.classes.new(name)
        source = sources.Clusters(2, (1,))
        return of_source(known, source, f"add {name}", entry, mask)

    controller.writing.add(name, make)


def test_no_order_of_additions_changes_an_area(controller, whole):
    for order in itertools.permutations(WANTED):
        for name in order:
            put(controller, name, whole[name])
        assert areas(controller) == counts(whole)
        for name, mask in masks(controller).items():
            np.testing.assert_array_equal(mask, whole[name])
        assert len(controller.classes.groups()) == 3
        for _ in order:
            controller.undo()
        assert controller.classes.entries == ()
        layers = controller.classes.layers
        assert not any(np.any(labels.data) for labels in layers.values())
    for _ in order:
        controller.redo()
    assert areas(controller) == counts(whole)


def test_one_layer_stays_where_nothing_may_overlap(controller, whole):
    controller.classes.set_may_overlap(False)
    add(controller, DISC)
    add(controller, CUP)
    assert [*controller.classes.layers] == [0]
    assert [entry.group for entry in controller.classes.entries] == [0, 0]
    assert areas(controller)[CUP] == 0
    # Later it may: what is added then is whole, and what is there keeps its pixels
    controller.classes.set_may_overlap(True)
    add(controller, CUP)
    assert (
        "“optic cup” may overlap other classes now" in controller.workspace.status.text
    )
    assert areas(controller) == counts({DISC: whole[DISC], CUP: whole[CUP]})
    controller.undo()
    assert [entry.group for entry in controller.classes.entries] == [0, 0]
    assert areas(controller) == {DISC: whole[DISC].sum(), CUP: 0}


def test_a_structure_that_another_class_held_becomes_whole(controller, whole):
    controller.classes.set_may_overlap(False)
    put(controller, DISC, np.ones_like(whole[DISC]))
    controller.writing.add_structure("vessel")
    assert areas(controller)["vessel"] == 0
    assert "tick “May overlap” and add it again" in controller.workspace.status.text
    controller.classes.set_may_overlap(True)
    controller.writing.add_structure("vessel")
    place = controller.workspace.place()
    embedding = controller.workspace.known(place).embedding
    found = embedding.structure_mask("vessel")
    assert found.any()
    np.testing.assert_array_equal(masks(controller)["vessel"], found)


def test_the_mask_says_what_it_takes_in_its_own_group(controller, whole):
    add(controller, DISC)
    disc = controller.classes.chosen
    controller.classes.add(CUP)
    controller.classes.set_may_overlap(False)
    controller.prompts.add((12, 30))
    assert controller.mask.destination.name == CUP
    assert controller.mask.overlap == {}
    other = controller.classes.add("rim")
    assert controller.classes.find(other).group == 0
    assert controller.mask.overlap.keys() == {disc.value}
    controller.classes.set_may_overlap(True)
    assert controller.mask.overlap == {}


def test_a_class_is_put_into_another_group_and_back(controller, whole):
    add(controller, DISC)
    add(controller, CUP)
    disc, cup = (entry.value for entry in controller.classes.entries)
    assert controller.classes.find(cup).group == 1
    controller.groups.set_alone(cup, False)
    assert controller.classes.find(cup).group == 0
    lost = f"{whole[CUP].sum():,} pixels of it are “optic disc” alone now."
    assert lost in controller.workspace.status.text
    assert areas(controller) == {DISC: whole[DISC].sum(), CUP: 0}
    assert controller.next_undo.text == "let “optic cup” exclude “optic disc”"
    controller.undo()
    assert controller.classes.find(cup).group == 1
    assert areas(controller)[CUP] == whole[CUP].sum()
    controller.classes.remove(cup)
    assert not controller.classes.layers[1].data.any()
    assert areas(controller) == {DISC: whole[DISC].sum()}
    controller.undo()
    assert areas(controller)[CUP] == whole[CUP].sum()
    controller.groups.set_alone(disc, True)  # as it is already
    assert controller.classes.find(disc).group == 0


def test_a_brush_follows_the_class_into_its_layer(controller, viewer):
    classes = controller.classes
    disc = classes.add("optic disc")
    labels = classes.target()
    viewer.layers.selection.active = labels
    labels.mode, labels.brush_size = "paint", 7
    cup = classes.add("optic cup")
    classes.choose(cup)  # as its row is clicked
    own = viewer.layers.selection.active
    assert own is classes.layers[1]
    assert own is not labels
    assert (own.mode, own.brush_size, own.selected_label) == ("paint", 7, cup)
    labels.paint((10, 10), disc)
    own.paint((10, 10), cup)
    before = areas(controller)
    assert before["optic disc"] == before["optic cup"] > 0
    classes.choose(disc)
    assert viewer.layers.selection.active is labels
    # With the wrong layer in hand: it goes where it belongs
    own.paint((30, 30), disc)
    classes._on_painted()
    assert areas(controller) == before | {"optic disc": 2 * before["optic cup"]}
    assert not np.any(np.asarray(own.data) == disc)


def test_pieces_are_those_of_the_whole_class(controller, whole):
    add(controller, DISC)
    add(controller, CUP)
    controller.pieces.set_active(True)
    largest = controller.pieces.found[0]
    controller.pieces.choose([largest.number])
    controller.pieces.drop()
    assert areas(controller) == {
        DISC: whole[DISC].sum(),
        CUP: whole[CUP].sum() - largest.pixels,
    }


def test_a_prediction_goes_into_the_groups_of_its_classes(controller):
    first, second = controller.classes.add("first"), controller.classes.add("second")
    assert [entry.group for entry in controller.classes.entries] == [0, 1]
    controller.strokes.start()
    strokes = controller.strokes.layer
    pixels = np.zeros(strokes.data.shape, strokes.data.dtype)
    pixels[2:6, 2:30] = first
    pixels[30:34, 2:30] = second
    strokes.data = pixels
    controller.strokes.learn()
    controller.strokes.accept()
    predicted = np.asarray(controller.strokes.learned.prediction.labels)
    layers = controller.classes.layers
    np.testing.assert_array_equal(layers[0].data == first, predicted == first)
    np.testing.assert_array_equal(layers[1].data == second, predicted == second)
    assert not np.any(layers[0].data == second)


def test_sessions_hold_each_group(controller, whole, tmp_path):
    add(controller, DISC)
    add(controller, CUP)
    Sessions(controller).save(tmp_path / "both")
    other = Controller(ViewerModel())
    sessions, troubles = Sessions(other), []
    sessions.open(tmp_path / "both.localdisc", troubles.append)
    assert troubles == [[]]
    assert areas(other) == counts({DISC: whole[DISC], CUP: whole[CUP]})
    assert [entry.group for entry in other.classes.entries] == [0, 1]
    assert other.classes.may_overlap
    add(other, VESSEL)
    assert areas(other) == counts(whole)
    other.close()


def test_a_script_makes_a_map_of_each_group(controller, viewer, whole, tmp_path):
    np.save(tmp_path / "eye.npy", viewer.layers["eye"].data)
    controller.classes.set_may_overlap(False)
    add(controller, DISC)
    add(controller, CUP)
    controller.classes.set_may_overlap(True)
    add(controller, CUP)
    controller.writing.add_structure("vessel")
    disc, cup, vessel = (entry.value for entry in controller.classes.entries)
    controller.strokes.start()
    pixels = np.zeros(controller.strokes.layer.data.shape, np.uint8)
    pixels[2:6, 2:30], pixels[30:34, 2:30] = disc, cup
    controller.strokes.layer.data = pixels
    controller.strokes.learn()
    controller.strokes.accept()
    controller.groups.set_alone(vessel, False)
    controller.classes.layers[1].paint((20, 20), cup)
    made = []
    scripts = Scripts(controller, Sessions(controller))
    scripts.written.connect(made.append)
    scripts.write()
    (tmp_path / "script.py").write_text(made[0].text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py", "out.tif"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, made[0].text.splitlines())) <= 120
    layers = controller.classes.layers
    assert len(layers) > 1
    for group, labels in layers.items():
        name = f"out.map{group + 1}.tif" if group else "out.tif"
        np.testing.assert_array_equal(tifffile.imread(tmp_path / name), labels.data)


def test_a_layer_joins_as_the_group_that_it_was_saved_as(controller, viewer, whole):
    add(controller, DISC)
    layer = viewer.layers["eye"]
    placed = {key: getattr(layer, key) for key in PLACED}
    pixels = whole[CUP].astype(np.uint8)
    ours = {"group": 1, "classes": {1: CUP}}
    mine = viewer.add_labels(pixels, metadata={METADATA_KEY: ours}, **placed)
    with pytest.raises(PromptError, match="give it another number first"):
        controller.groups.use_labels(mine)
    ours["classes"] = {7: CUP}
    mine.data = 7 * pixels
    controller.groups.use_labels(mine)
    assert controller.classes.layers[1] is mine
    assert controller.classes.find(7).group == 1
    assert areas(controller) == counts({DISC: whole[DISC], CUP: whole[CUP]})
    # Writing to a layer of another group: the chosen class goes there
    controller.classes.choose(1)
    controller.groups.use_labels(mine)
    assert controller.classes.find(1).group == 1


@pytest.mark.parametrize("group", ["x", [], -1, 1 << 40, None, True, 0.5])
def test_what_is_no_group_in_a_layer_of_strangers_is_none(controller, viewer, group):
    ours = {"group": group, "classes": {"7": CUP, "x": "none", None: "none"}}
    placed = {key: getattr(viewer.layers["eye"], key) for key in PLACED}
    pixels = np.zeros(viewer.layers["eye"].data.shape[:2], np.uint8)
    mine = viewer.add_labels(pixels, metadata={METADATA_KEY: ours}, **placed)
    controller.classes.use_labels(mine)
    assert controller.classes.layers == {0: mine}
    assert [(e.value, e.name) for e in controller.classes.entries] == [(7, CUP)]


def test_the_first_free_group_is_taken(controller):
    assert free_group(()) == 0
    controller.classes.add("one")
    controller.classes.add("two")
    controller.classes.add("none", background=True)
    assert [entry.group for entry in controller.classes.entries] == [0, 1, 0]
    controller.classes.remove(controller.classes.entries[0].value)
    assert free_group(controller.classes.entries) == 0


SIZE = 120, 150


def phantom() -> dict[str, np.ndarray]:
    """A cup in a disc, and vessels that run over both."""
    vessels = phantoms.tube(SIZE, [np.array([(58, 6), (64, 145)])], 4).mask
    return {
        DISC: phantoms.disc(SIZE, (60, 100), 20),
        CUP: phantoms.disc(SIZE, (61, 102), 9),
        VESSEL: vessels,
    }


def rows_of(table) -> set[tuple]:
    return {(r.structure, r.piece, r.region, r.measure, r.value, r.unit) for r in table}


def test_no_order_changes_a_measure(models):
    masks = phantom()
    viewer, made = ViewerModel(), []
    noise = np.random.default_rng(1).random((*SIZE, 3), dtype=np.float32)
    viewer.add_image(noise * np.float32(0.3) + np.float32(0.4), name="eye")
    controller = Controller(viewer)
    controller.set_model("tiny")
    controller.classes.set_may_overlap(True)
    measuring = Measuring(controller.workspace)
    measuring.watch(True)
    for order in ((DISC, CUP, VESSEL), (VESSEL, CUP, DISC), (CUP, DISC, VESSEL)):
        for name in order:
            put(controller, name, masks[name])
        made.append(rows_of(measuring.result.table))
        areas = {
            name: measuring.result.table.value(
                structure=name, measure="area", unit="pixel²", region="field of view"
            )
            for name in (DISC, CUP)
        }
        assert areas == {DISC: masks[DISC].sum(), CUP: masks[CUP].sum()}
        assert np.count_nonzero(measuring.result.examined.subject.masks[VESSEL]) == (
            masks[VESSEL].sum()
        )
        for _ in order:
            controller.undo()
    assert made[0] == made[1] == made[2]
    assert {"vertical cup-to-disc ratio", "CRAE"} & {row[3] for row in made[0]}
    measuring.close()
    controller.close()


def test_measures_of_masks_know_no_order():
    masks = phantom()
    found = [
        rows_of(ld.measure({name: masks[name] for name in order}, "fundus"))
        for order in itertools.permutations(masks)
    ]
    assert all(rows == found[0] for rows in found)
    areas = {(row[0], row[4]) for row in found[0] if row[3] == "area" and not row[1]}
    assert (DISC, masks[DISC].sum()) in areas
    assert (CUP, masks[CUP].sum()) in areas
