"""A measure is a function and its row in the registry; the rest follows it."""

import numpy as np
import pytest

from napari_localdisc.core.evaluation.evaluate import Case, evaluate_case
from napari_localdisc.core.evaluation.measures import MEASURES, Measure
from napari_localdisc.core.evaluation.report import Report
from napari_localdisc.core.model.model import Model


@pytest.fixture
def share(monkeypatch):
    """Measure how much of what is seen is wanted."""

    def of_image(subject):
        return {"all": {"share": float(subject.wanted.sum() / subject.seen.sum())}}

    measure = Measure(
        of_image,
        "Shares",
        {"share": "share", "most": "most"},
        lambda rows: {"most": max(row["share"] for row in rows)},
    )
    monkeypatch.setitem(MEASURES, "share", measure)
    return measure


def test_means_json_and_table_follow_a_new_measure(share):
    from napari_localdisc.cli.commands.evaluate import _table

    image = np.random.default_rng(0).integers(60, 255, (64, 64)).astype(np.uint8)
    view = np.ones((64, 64), bool)
    model = Model.random(working_diameter=64, width=4)
    results = []
    for name, rows in (("half", 32), ("quarter", 16)):
        reference = np.arange(64)[:, None] < np.full(64, rows)
        case = Case(name, image, reference, view)
        results.append(evaluate_case(case, model, None, ["share"]))
    report = Report(results, [])
    said = report.to_dict()
    assert said["share"] == {"all": {"share": 0.375, "most": 0.5}}
    assert [row["share"]["all"]["share"] for row in said["per_image"]] == [0.5, 0.25]
    table = _table(share, report.tables["share"])
    assert [column.header for column in table.columns] == ["", "share", "most"]
    cells = [list(column.cells) for column in table.columns]
    assert cells == [["all"], ["0.375"], ["0.500"]]
