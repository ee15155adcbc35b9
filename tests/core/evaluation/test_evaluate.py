import json

import numpy as np
import pytest

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.evaluation.agreement import area_under_curve, dice
from napari_localdisc.core.evaluation.evaluate import Case, evaluate, evaluate_case
from napari_localdisc.core.model.model import Model


@pytest.fixture(scope="module")
def model():
    return Model.random(working_diameter=96, structures={"Optic disc": 1, "vessel": 0})


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:100, :110] - 50
    view = np.hypot(rows, columns) < 48
    made = []
    for number in range(2):
        disc = np.hypot(rows + 10 * number, columns - 12) < 9
        image = rng.integers(60, 120, (100, 110, 3)) * view[..., None]
        image[disc] += 100
        made.append(Case(f"{number}.png", image.astype(np.uint8), disc))
    return made


def test_structure_is_measured_at_one_half_within_the_field_of_view(model, cases):
    result = evaluate_case(cases[0], model, "Optic disc", ["structure"])
    embedding = embed(cases[0].image, model)
    seen = embedding.field_of_view
    score = embedding.structure("Optic disc")[seen]
    wanted = cases[0].reference[seen]
    measured = result.tables["structure"]["localdisc"]
    assert measured["dice"] == dice(score >= 0.5, wanted)
    assert measured["auc"] == area_under_curve(score, wanted)
    assert set(result.tables) == {"structure"}


def test_the_case_own_field_of_view_is_taken(model, cases):
    view = np.zeros(cases[0].reference.shape, bool)
    view[30:70, 40:80] = True
    case = Case("x", cases[0].image, cases[0].reference, view)
    result = evaluate_case(case, model, "vessel", ["structure", "clusters"])
    score = embed(case.image, model).structure("vessel")[view]
    expected = area_under_curve(score, case.reference[view])
    assert result.tables["structure"]["localdisc"]["auc"] == expected
    assert set(result.tables["clusters"]) == {4, 8, 16}


def test_all_measures_make_a_report_that_json_holds(model, cases):
    seen = []
    loads = [lambda case=case: case for case in cases]
    report = evaluate(loads, model, "optic_disc", progress=seen.append)
    assert seen == [1, 2]
    assert not report.failures
    assert set(report.tables["structure"]) == {"localdisc"}
    methods = {"localdisc", "Lab colour", "scikit-image features"}
    assert set(report.tables["clicks"]) == methods
    assert list(report.tables["clicks"]["localdisc"]) == [
        1,
        3,
        5,
        10,
        "first_click_auc",
        *("by_click", "worst_step", "losing", "most_losing"),
    ]
    for n, row in report.tables["clusters"].items():
        assert row["same_one"] <= row["one"] <= row["two"], n
        assert row["same_two"] <= row["two"]
    text = json.dumps(report.to_dict(), allow_nan=False)
    held = json.loads(text)
    assert held["images"] == 2
    # As it always was: the first click's area beside the clicks
    assert set(held["clicks"]) == set(held["first_click_auc"]) == methods
    assert list(held["clicks"]["localdisc"])[:4] == ["1", "3", "5", "10"]
    assert set(held["structure"]["localdisc"]) == {
        *("dice", "dice_std", "auc", "auc_pr"),
        *("best_threshold", "dice_at_best_threshold"),
    }
    for row in held["per_image"]:
        assert set(row["structure"]["localdisc"]) == {"dice", "auc", "auc_pr"}
        assert set(row["clusters"]["8"]) == {"one", "two"}
        assert set(row["first_click_auc"]) == methods


def test_vessels_have_the_ridge_filter_beside_them(model, cases):
    loads = [lambda: cases[0]]
    report = evaluate(loads, model, "vessel", ["structure", "baselines"])
    assert set(report.results[0].tables["structure"]) == {"localdisc", "Sato + Otsu"}


def test_vessels_and_lesions_have_measures_of_their_own(cases):
    names = {"vessel": 0, "haemorrhage": 1}
    model = Model.random(working_diameter=96, structures=names)
    loads = [lambda case=case: case for case in cases]
    held = {
        name: evaluate(loads, model, name, ["structure"]).to_dict()["structure"]
        for name in names
    }
    vessel, lesion = (held[name]["localdisc"] for name in names)
    assert {"centreline_dice", "thin_recall"} <= set(vessel)
    assert vessel["thin_recall"] is None  # a disc has no thin line
    assert 0 <= vessel["centreline_dice"] <= 1
    assert "sensitivity_at_few_false" in lesion
    assert "sensitivity_at_few_false" not in vessel
    assert "centreline_dice" not in lesion


def test_one_bad_image_does_not_stop_the_rest(model, cases):
    def broken():
        raise FileError("bad.png is not an image.")

    black = Case("black.png", np.zeros((50, 50), np.uint8), np.ones((50, 50), bool))
    loads = [broken, lambda: black, lambda: cases[0]]
    report = evaluate(loads, model, "vessel", ["structure"])
    assert [result.name for result in report.results] == ["0.png"]
    assert report.failures[0].reason == "bad.png is not an image."
    assert report.failures[1].name == "black.png"


def test_what_cannot_be_measured_is_said(model, cases):
    loads = [lambda: cases[0]]
    with pytest.raises(LocalDiscError, match="does not name 'fovea'"):
        evaluate(loads, model, "fovea", ["structure", "baselines"])
    with pytest.raises(LocalDiscError, match="names no structure 'macula'"):
        evaluate(loads, model, "fovea", named="macula")
    with pytest.raises(LocalDiscError, match="Unknown measure 'dice'"):
        evaluate(loads, model, "vessel", ["dice"])


def test_clicks_need_no_name_in_the_card(model, cases):
    loads = [lambda: cases[0]]
    report = evaluate(loads, model, "fovea", ["clicks"])
    assert set(report.results[0].tables["clicks"]) == {"localdisc"}


@pytest.mark.parametrize(
    ("reference", "message"),
    [(np.zeros((100, 110), bool), "empty"), (np.ones((9, 9), bool), "another size")],
)
def test_useless_references_are_refused(model, cases, reference, message):
    with pytest.raises(LocalDiscError, match=message):
        evaluate_case(Case("x", cases[0].image, reference), model, "vessel")
