from dataclasses import replace
from pathlib import Path

import pytest

from napari_localdisc.io.study import StudyImage
from napari_localdisc.io.visits import Origin
from napari_localdisc.viewer.study.listing import StudyList

STATES = ("accepted", "proposed", "rejected", "proposed", "new")


@pytest.fixture
def listed():
    made = StudyList()
    made.fill(
        StudyImage(
            id=number,
            path=Path(f"{name}.png"),
            name=name,
            origin=Origin("", "", ""),
            state=state,
            seconds=float(number),
            certainty=certainty,
        )
        for number, name, state, certainty in zip(
            range(1, 6), "edcba", STATES, (0.9, 0.2, None, 0.5, None), strict=True
        )
    )
    return made


def ids(listed):
    return [image.id for image in listed.images]


def test_all_are_listed_as_added_and_others_by_choice(listed):
    heard = []
    listed.changed.connect(lambda: heard.append(ids(listed)))
    listed.only("proposed")
    listed.only("all")
    listed.sort("by name")
    listed.sort("least certain first")
    assert heard == [[2, 4], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [2, 4, 1, 3, 5]]


def test_an_image_that_is_no_longer_listed_keeps_its_place(listed):
    """It was accepted a moment ago, and what follows it in the list is wanted."""
    listed.only("proposed")
    accepted = replace(listed[2], state="accepted")
    listed.put(accepted)
    assert listed.neighbours(accepted, 1) == [4]
    assert listed.neighbours(accepted, -1) == []
    listed.only("all")
    assert listed.neighbours(accepted, -1) == [1]
    assert listed.neighbours(None, 1) == [1, 2, 3, 4, 5]


def test_progress_counts_what_was_decided(listed):
    assert listed.count() == 5
    assert listed.count("accepted", "rejected") == 2
    assert listed.progress == "2 of 5 images done, 3 s an image"
