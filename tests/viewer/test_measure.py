"""Measures of labels that follow edits, without a window."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from tests.core import phantoms
from tests.napari_versions import camera_of

from napari_localdisc.viewer import measure_files
from napari_localdisc.viewer.measure import Measuring, kind_of
from napari_localdisc.viewer.measure_files import MeasureFiles, as_text
from napari_localdisc.viewer.measure_shown import MeasureShown
from napari_localdisc.viewer.workspace import Workspace

SHAPE = (160, 200)
DISC, FOVEA = (80.0, 130.0), (82.0, 50.0)
CLASSES = {1: "vessel", 2: "optic disc", 3: "exudate"}


@pytest.fixture
def labels():
    made = np.zeros(SHAPE, np.uint8)
    made[phantoms.disc(SHAPE, DISC, 15)] = 2
    made[phantoms.disc(SHAPE, (60, 40), 5)] = 3
    made[phantoms.tube(SHAPE, [np.array([(20, 15), (24, 180)])], 5).mask] = 1
    return made


@pytest.fixture
def workspace():
    made = Workspace(ViewerModel())
    yield made
    made.close()


@pytest.fixture
def layer(workspace, labels):
    return add(workspace, labels)


@pytest.fixture
def measuring(workspace, layer):
    made = Measuring(workspace)
    made.watch(True)
    yield made
    made.close()


@pytest.fixture
def shown(workspace, measuring):
    made = MeasureShown(workspace.viewer, measuring)
    yield made
    made.close()


def add(workspace, labels, classes=CLASSES, **options):
    metadata = {"napari-localdisc": {"classes": classes}} if classes else {}
    options = {"name": "eye labels", **options}
    return workspace.viewer.add_labels(labels, metadata=metadata, **options)


def area(measuring, structure="exudate", unit="pixel²"):
    return measuring.result.table.value(
        structure=structure, measure="area", unit=unit, region="image"
    )


def paint(layer, row, value=3):
    with layer.block_history():
        layer.data[row, 30:40] = value
        layer.refresh()


def test_numbers_follow_what_is_painted(measuring, layer):
    before = area(measuring)
    paint(layer, 110)
    assert area(measuring) == before + 10
    layer.data = np.where(layer.data == 3, 0, layer.data)
    rows = measuring.result.table.where(structure="exudate")
    assert rows.value(measure="area", unit="pixel²") == 0


def test_nothing_is_measured_while_nobody_looks(workspace, labels):
    layer = add(workspace, labels)
    measuring = Measuring(workspace)
    assert measuring.result is None
    measuring.watch(True)
    first = measuring.result
    measuring.watch(False)
    paint(layer, 110)
    assert measuring.result is first
    measuring.watch(True)
    assert measuring.result is not first
    measuring.close()
    paint(layer, 112)
    assert area(measuring) == area_of(layer, 3) - 10


def area_of(layer, value):
    return np.count_nonzero(layer.data == value)


def test_what_shows_the_same_is_not_measured_again(measuring, layer):
    told = []
    measuring.changed.connect(lambda: told.append(1))
    layer.refresh()
    layer.opacity = 0.3
    layer.visible = False
    layer.visible = True
    assert not told
    paint(layer, 110)
    assert len(told) == 1


def test_one_run_at_a_time_and_the_last_edit_counts(labels, stepped):
    workspace = Workspace(ViewerModel(), stepped)
    layer = add(workspace, labels)
    measuring = Measuring(workspace)
    measuring.watch(True)
    paint(layer, 110)
    paint(layer, 112)
    assert len(stepped.runs) == 1  # the second waits for the first
    stepped.finish()
    assert area(measuring) == area_of(layer, 3) - 20
    assert len(stepped.runs) == 2
    stepped.finish()
    assert area(measuring) == area_of(layer, 3)
    measuring.close()
    workspace.close()


def test_units_are_the_layer_s_or_the_disc_s_if_its_user_says_so(
    workspace, labels, measuring, layer, shown
):
    assert shown.units == ["pixel", "disc diameter"]
    measuring.set_options(disc_mm=1.8)
    pixels = measuring.result.examined.landmarks.disc.diameter
    wide = measuring.result.table.value(measure="diameter", unit="mm")
    assert wide == pytest.approx(1.8)
    assert "disc taken as 1.8 mm" in MeasureFiles(workspace, shown).sentence()
    layer.units = ["micrometer", "micrometer"]
    layer.scale = (10, 10)
    wide = measuring.result.table.value(measure="diameter", unit="mm")
    assert wide == pytest.approx(pixels * 0.01)
    assert "by the scale: 0.01 mm" in MeasureFiles(workspace, shown).sentence()
    layer.scale = (10, 20)
    assert measuring.result is None
    assert "not square" in measuring.sentence


def test_the_layer_that_the_user_chose_is_measured(workspace, labels, measuring, layer):
    assert measuring.labels is layer
    mask = phantoms.disc(SHAPE, (40, 40), 9).astype(np.uint8)
    other = add(workspace, mask, None, name="img_07_haemorrhages")
    measuring.choose(layer)
    assert measuring.labels is layer
    measuring.choose(other)
    table = measuring.result.table
    assert {row.structure for row in table} == {"haemorrhages"}  # as files are named
    assert table.value(measure="count") == 1
    workspace.viewer.layers.remove(other)
    assert measuring.labels is layer
    assert measuring.result.asked.layer is layer
    workspace.viewer.layers.remove(layer)
    assert measuring.result is None
    assert measuring.sentence == "There are no labels to measure."


def test_the_picture_under_the_labels_is_measured_in(workspace, labels):
    truth = phantoms.tube(SHAPE, [np.array([(40, 15), (44, 180)])], 5)
    picture = np.repeat((180 - 90 * truth.probability)[..., None], 3, 2)
    image = workspace.viewer.add_image(picture.astype(np.uint8), name="eye")
    grown = np.where(np.roll(truth.mask, 1, 0) | np.roll(truth.mask, -1, 0), 1, 0)
    add(workspace, grown.astype(np.uint8))
    measuring = Measuring(workspace)
    measuring.watch(True)

    def calibre():
        return measuring.result.table.value(
            measure="calibre median", unit="pixel", region="field of view"
        )

    assert calibre() == pytest.approx(5, abs=0.3)
    measuring.set_options(in_picture=False)
    assert calibre() == pytest.approx(7, abs=0.5)
    measuring.set_options(in_picture=True)
    image.data = 255 - image.data  # its vessel is bright now
    assert calibre() == pytest.approx(5, abs=0.3)
    image.translate = (40, 0)  # it lies elsewhere
    measuring.watch(False)
    measuring.watch(True)
    assert measuring.result.asked.image is None
    measuring.close()


def test_a_slice_of_a_stack_is_measured(workspace, labels):
    empty = np.where(labels == 3, 0, labels)
    layer = add(workspace, np.stack([labels, empty]))
    measuring = Measuring(workspace)
    shown = MeasureShown(workspace.viewer, measuring)
    workspace.viewer.dims.set_point(0, 1)
    measuring.watch(True)
    assert area(measuring) == 0
    (row,) = (row for row in shown.rows if row.measure == "calibre median")
    shown.show(row)
    bars = workspace.viewer.layers["eye labels calibre"]
    assert bars.ndim == 3
    assert bars.data_to_world(bars.data[0, 0])[0] == 1
    shown.close()
    measuring.close()
    assert list(workspace.viewer.layers) == [layer]


def test_objects_are_no_classes(workspace):
    add(workspace, np.arange(400, dtype=np.int32).reshape(20, 20), None)
    measuring = Measuring(workspace)
    measuring.watch(True)
    assert "399 objects" in measuring.sentence
    measuring.close()


def test_kinds_are_told_by_names(measuring):
    assert kind_of({1: "vessel"}) == measuring.kind == "fundus"
    assert kind_of({1: "lung", 2: "heart"}) == "chest"
    assert kind_of({1: "cell"}) == "any"
    measuring.set_options(kind="any")
    assert measuring.result.examined.kind == "any"


def names(viewer):
    return {layer.name for layer in viewer.layers}


def test_a_row_shows_where_it_comes_from_and_follows(
    workspace, measuring, layer, shown
):
    viewer = workspace.viewer
    viewer.layers.selection.active = layer
    (row,) = (row for row in shown.rows if row.measure == "skeleton length")
    shown.show(row)
    assert names(viewer) == {"eye labels", "eye labels skeleton"}
    assert viewer.layers.selection.active is layer
    drawn = viewer.layers["eye labels skeleton"]
    right = drawn.data[:, 0, 1].max()
    layer.data[:, 120:] = np.where(layer.data[:, 120:] == 1, 0, layer.data[:, 120:])
    layer.refresh()
    assert viewer.layers["eye labels skeleton"] is drawn  # redrawn, not made anew
    assert drawn.data[:, 0, 1].max() < 121 < right
    (count,) = (row for row in shown.rows if row.measure == "branch points")
    shown.show(count)
    (largest,) = (row for row in shown.rows if row.measure == "largest area")
    shown.show(largest)
    assert names(viewer) == {"eye labels", "eye labels outline"}
    shown.show(None)
    assert names(viewer) == {"eye labels"}


def test_a_piece_comes_into_view(workspace, measuring, layer, shown):
    measuring.set_options(pieces=True)
    (row,) = (
        row
        for row in shown.rows
        if (row.structure, row.piece, row.measure) == ("exudate", 1, "area")
    )
    shown.show(row)
    assert tuple(camera_of(workspace.viewer).center)[1:] == pytest.approx((60, 40))


def test_numbers_are_in_the_layer_s_features(measuring, layer, shown):
    table = layer.features.set_index("index")
    assert list(table["name"]) == list(CLASSES.values())
    assert table.loc[3, "area (pixel²)"] == area(measuring)
    assert table.loc[1, "calibre median (pixel)"] == pytest.approx(5, abs=0.3)
    assert np.isnan(table.loc[3, "calibre median (pixel)"])
    paint(layer, 110)
    assert layer.features.set_index("index").loc[3, "area (pixel²)"] == area(measuring)
    shown.set_groups(("lesions",))
    assert "count (count)" in layer.features
    assert "area (pixel²)" not in layer.features


def test_features_of_others_stay(workspace, labels, measuring, shown):
    graded = {"index": [3, 2], "grade": ["a", "b"]}
    layer = add(workspace, labels, features=graded)
    measuring.choose(layer)
    table = layer.features.set_index("index")
    assert table.loc[3, "grade"] == "a"
    assert table.loc[3, "count (count)"] == 1
    plain = add(workspace, labels, features={"grade": list("abcd")})
    measuring.choose(plain)
    assert list(plain.features.columns) == ["grade"]


def test_the_fovea_can_be_placed_by_hand(workspace, measuring, layer, shown):
    measuring.set_options(regions=("field", "quadrants"))
    shown.place_fovea()
    (mark,) = (each for each in workspace.viewer.layers if each.name.endswith("fovea"))
    mark.data = np.array([FOVEA])
    found = measuring.result.examined.landmarks
    assert found.fovea == FOVEA
    assert found.eye == "right"
    assert "nasal quadrant" in {row.region for row in shown.rows}
    workspace.viewer.layers.remove(mark)
    assert measuring.result.examined.landmarks.fovea is None


def test_rows_are_saved_and_copied(workspace, measuring, shown, tmp_path):
    said = []
    workspace.status.changed.connect(said.append)
    files = MeasureFiles(workspace, shown)
    files.save(tmp_path / "eye.csv")
    text = (tmp_path / "eye.csv").read_text("utf-8")
    assert len(text.splitlines()) == len(shown.rows) + 1
    assert str(len(shown.rows)) in said[-1]
    files.save(tmp_path / "eye.html")
    page = (tmp_path / "eye.html").read_text("utf-8")
    assert "calibre median" in page
    assert "the labels" not in files.settings(measuring.result)["picture"]
    lines = as_text(shown.rows).splitlines()
    assert lines[0].split("\t")[:3] == ["structure", "piece", "region"]
    assert len(lines) == len(shown.rows) + 1
    with pytest.raises(Exception, match="must end with"):
        files.save(tmp_path / "eye.xlsx")


def test_a_report_names_the_models_that_made_the_labels(workspace, measuring, shown):
    files, result = MeasureFiles(workspace, shown), measuring.result
    assert "labels made with" not in files.settings(result)
    image = workspace.viewer.add_image(np.ones(SHAPE), name="eye")
    document = workspace.annotations.of(image)
    document.set_labels(result.asked.layer)
    for name in ("vessel", "optic disc"):
        model = {"model": "fundus", "model_hash": "a1"}
        document.do((None, None), "write", f"add {name}", model)
    result = replace(result, asked=replace(result.asked, image=image))
    assert files.settings(result)["labels made with"] == "fundus (a1)"


def test_parquet_is_offered_where_it_can_be_written(monkeypatch):
    monkeypatch.setattr(measure_files, "find_spec", lambda name: object())
    assert any("parquet" in kind for kind in measure_files.offered())
    monkeypatch.setattr(
        measure_files, "find_spec", lambda name: None if name == "pyarrow" else 1
    )
    assert not any("parquet" in kind for kind in measure_files.offered())
