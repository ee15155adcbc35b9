"""The description of an annotation survives JSON; the history keeps its order."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_localdisc.annotation.history import STEPS, History, Snapshot, Step
from napari_localdisc.annotation.state import (
    AnnotationClass,
    ImageAnnotation,
    Operation,
    PlaneAnnotation,
    Prompt,
    changed_class,
    from_runs,
    runs,
    within,
)
from napari_localdisc.core.embedding.prompts import MaskOptions

numbers = st.floats(0, 2000, allow_nan=False)
prompts = st.builds(Prompt, numbers, numbers, st.booleans())
options = st.builds(
    MaskOptions,
    st.none() | st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10**6),
)
classes = st.builds(
    AnnotationClass,
    st.integers(1, 65535),
    st.text(),
    st.just("#12ab9f"),
    st.booleans(),
    st.booleans(),
)
keys = st.tuples(st.integers(0, 99) | st.none(), st.none(), st.none())
operations = st.builds(
    Operation,
    st.sampled_from(["prompts", "write"]),
    st.text(),
    keys,
    st.dictionaries(st.text(), st.integers() | st.none()),
)


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        ImageAnnotation,
        st.dictionaries(
            keys, st.builds(PlaneAnnotation, st.lists(prompts).map(tuple), options)
        ),
        st.lists(classes).map(tuple),
        st.none() | st.integers(1, 9),
        st.none() | st.text(),
        st.lists(operations).map(tuple),
    )
)
def test_descriptions_survive_json(annotation):
    text = json.dumps(annotation.to_json())
    assert ImageAnnotation.from_json(json.loads(text)) == annotation


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_runs_are_the_pixels(labels):
    entries = json.loads(json.dumps(runs(labels)))
    np.testing.assert_array_equal(from_runs(entries, labels.shape), labels)


def test_prompts_within_a_mask():
    points = [Prompt(1, 2), Prompt(3, 4, False), Prompt(0.6, 0)]
    mask = np.zeros((5, 5), bool)
    mask[1, 0] = True
    assert within(points, mask) == (Prompt(0.6, 0),)


def test_changed_class():
    one, two = (AnnotationClass(value, f"{value}", "#000000") for value in (1, 2))
    assert changed_class((one, two), 2, name="disc") == (
        one,
        AnnotationClass(2, "disc", "#000000"),
    )


def step(number: int) -> Step:
    nothing = Snapshot(PlaneAnnotation(), (), None)
    operation = Operation("prompts", f"{number}", (None, None), {})
    return Step(operation, nothing, nothing)


def said(history: History) -> list[str]:
    return [operation.text for operation in history.log]


def test_history_keeps_the_order():
    heard = []
    history = History(lambda: heard.append(said(history)))
    assert history.undo() is None
    assert history.redo() is None
    for number in range(3):
        history.push(step(number))
    assert history.undo().operation.text == "2"
    assert history.undo().operation.text == "1"
    assert history.next_undo.text == "0"
    assert history.next_redo.text == "1"
    assert history.redo().operation.text == "1"
    history.push(step(9))
    assert history.next_redo is None
    assert said(history) == ["0", "1", "9"]
    assert heard[-2:] == [["0", "1"], ["0", "1", "9"]]


def test_old_steps_stay_in_the_log():
    history = History(lambda: None)
    history.restart(tuple(step(-1).operation for _ in range(2)))
    for number in range(STEPS + 5):
        history.push(step(number))
    assert len(history.log) == STEPS + 7
    while history.undo():
        pass
    assert said(history) == ["-1", "-1", "0", "1", "2", "3", "4"]
    history.restart()
    assert history.log == ()
