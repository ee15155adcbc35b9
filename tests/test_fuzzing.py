"""Damaged files, killed work and random actions, some of each.

`docs/reliability.md` has the figures of long runs.
"""

import json
import random
from dataclasses import replace
from itertools import count

import pytest

pytest.importorskip("fuzzing", reason="only in a check-out")

from fuzzing import killed, mutations, runs
from fuzzing.driver import Driver
from fuzzing.readers import READERS, seeds_of

from napari_localdisc.core.errors import LocalDiscError


@pytest.mark.slow
def test_damaged_files_are_read_or_refused():
    reports = runs.try_readers(list(READERS), seed=1, count=40)
    assert [report.findings for report in reports] == [[]] * len(READERS)
    assert all(report.inputs == 40 for report in reports)
    assert sum(report.refused for report in reports) > 40


def test_an_input_can_be_made_again():
    for name in READERS:
        assert runs.make_input(name, 3, 7) == runs.make_input(name, 3, 7)
        assert runs.make_input(name, 3, 7) != runs.make_input(name, 4, 7)


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_read(name, tmp_path):
    for path in seeds_of(name):
        if path.name in ("moving.gif", "imagej.tif", "frames.dcm"):  # of several pages
            continue
        assert READERS[name].read(
            READERS[name].put(path.read_bytes(), path.name, tmp_path)
        )


def test_values_of_json_are_replaced_where_they_are():
    value = {"a": [1, {"b": "text"}], "card": '{"name": "tiny"}'}
    text = json.dumps(value).encode()
    changed = {mutations.json_text(text, random.Random(seed)) for seed in range(200)}
    assert len(changed) > 150
    assert text not in changed


def test_what_a_reader_does_wrong_is_found(monkeypatch, tmp_path):
    """In this process: a child would import the reader anew."""
    state, said, calls = [-1.0] + [0.0] * 4, [], count()
    reader = READERS["cards"]

    class Said:
        put = said.append

    def read(path):
        match next(calls) % 3:
            case 0:
                raise KeyError("surprise")
            case 1:
                raise LocalDiscError("no")
        return 0

    monkeypatch.setitem(READERS, "cards", replace(reader, read=read))
    monkeypatch.setattr(runs, "_limit_addresses", lambda: None)
    monkeypatch.setattr(runs, "make_input", lambda *about: (b"", "a.json"))
    monkeypatch.setattr(runs, "seeds_of", lambda name: [])
    runs._try(runs._Inputs(("cards",), 0, 9, 0), 0, state, Said, tmp_path)
    assert [kind for _, kind, _ in said] == ["error"] * 3
    assert "surprise" in said[0][2]
    assert state[1:3] == [3.0, 3.0]


@pytest.mark.slow
def test_killed_work_goes_on():
    report = killed.kill("autosave", times=1, seed=0)
    assert report.faults == []
    assert report.kills + report.ended == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)  # busy machines
def test_random_actions_leave_nothing(make_napari_viewer, models, tmp_path):
    viewer = make_napari_viewer(show=True)
    driver = Driver(viewer, tmp_path, seed=5)
    report = driver.drive(200)
    assert report.findings == []
    assert sum(report.actions.values()) == 200
    assert len(report.actions) >= 25
