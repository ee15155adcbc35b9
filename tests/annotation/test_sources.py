"""Sources survive JSON, and make with the public names the labels that they say."""

import ast
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_localdisc as ld
from napari_localdisc.annotation.script import Picture, python_script, replay
from napari_localdisc.annotation.sources import (
    SOURCES,
    Clusters,
    Prompts,
    Strokes,
    Structure,
    prompts_written,
    source_from_json,
)
from napari_localdisc.annotation.state import Operation, Prompt
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.embedding.prompts import MaskOptions
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.model.model import load_model

PLANE = (None, None)
# As sessions have held them since there are sessions
SAVED = (
    '{"kind": "prompts", "positive": [[20.25, 21.5], [3.0, 4.0]], "negative": '
    '[[33.0, 9.0]], "threshold": 0.30415926535, "connected": true, "smooth": false, '
    '"minimum_size": 3}',
    '{"kind": "clusters", "number": 8, "clusters": [2, 4, 5, 8]}',
    '{"kind": "structure", "name": "vessel", "threshold": 0.5}',
    '{"kind": "strokes", "strokes": [[1, 83, 110], [2, 800, 830]], "background": [2]}',
)

counts = st.integers(0, 10**6)
points = st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 2000))).map(tuple)
sources = (
    st.builds(
        Prompts,
        points,
        points,
        st.none() | st.floats(0, 1),
        st.booleans(),
        st.booleans(),
        counts,
    )
    | st.builds(Clusters, counts, st.lists(counts).map(tuple))
    | st.builds(Structure, st.text(), st.floats(0, 1))
    | st.builds(
        Strokes,
        st.lists(st.tuples(counts, counts, counts)).map(tuple),
        st.lists(counts).map(tuple),
    )
)


@pytest.fixture
def embedding(picture, models):
    return embed(picture, load_model("tiny", "cpu"))


def write(source, value=3, plane=PLANE, **others):
    rest = {"value": value, "overwrite": False, "model": "tiny", "model_hash": "1234"}
    return Operation("write", "add it", plane, {"source": source, **rest, **others})


@settings(max_examples=50, deadline=None)
@given(sources)
def test_sources_survive_json(source):
    text = json.dumps(source.to_json())
    assert source_from_json(json.loads(text)) == source


@pytest.mark.parametrize("text", SAVED)
def test_saved_sources_are_written_as_they_were(text):
    assert json.dumps(source_from_json(json.loads(text)).to_json()) == text


def test_every_kind_was_saved():
    assert [json.loads(text)["kind"] for text in SAVED] == list(SOURCES)


def test_masks_are_those_of_the_public_names(embedding):
    prompts, clusters, structure, _ = (source_from_json(json.loads(t)) for t in SAVED)
    wanted = embedding.mask(
        [(20.25, 21.5), (3, 4)], [(33, 9)], 0.30415926535, True, False, 3
    )
    for source, mask in (
        (prompts, wanted),
        (clusters, np.isin(embedding.clusters(8), [2, 4, 5, 8])),
        (structure, embedding.structure("vessel") >= 0.5),
    ):
        assert mask.any()
        np.testing.assert_array_equal(source.labels(embedding, 300), mask * 300)


def test_strokes_become_their_prediction(embedding):
    strokes = np.zeros(embedding.shape, np.uint16)
    strokes[2:5, 3:30], strokes[20:24, 3:30], strokes[40:44, 3:30] = 4, 5, 6
    prediction = ld.learn(embedding, strokes).predict(embedding)
    assert set(np.unique(prediction)) >= {4, 5, 6}
    source = Strokes.of(strokes, (6,))
    np.testing.assert_array_equal(
        source.labels(embedding, None), np.where(prediction == 6, 0, prediction)
    )


def test_prompts_and_options_are_taken_apart():
    prompts = [Prompt(1, 2), Prompt(3, 4, positive=False), Prompt(5, 6)]
    assert Prompts.of(prompts, MaskOptions(0.4, smooth=True)) == Prompts(
        ((1, 2), (5, 6)), ((3, 4),), 0.4, smooth=True
    )


def repeat(log):
    replay(log, PLANE, (4, 4), lambda key: None)


def say(log, name="eye", names=None):
    where = Picture(name, "read()", PLANE, "1234", (4, 4))
    return python_script(log, where, names=names)


@pytest.mark.parametrize("work", [repeat, say])
@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"kind": "polygon", "points": []}, "'polygon', which a later version added"),
        ({"kind": "clusters", "number": 3}, r"not described whole \(clusters\)"),
        ({"kind": "structure", "name": "disc", "depth": 2}, r"whole \(depth\)"),
        ({"kind": "clusters", "number": "len([])", "clusters": [1]}, r"\(number\)"),
        (
            {"kind": "strokes", "strokes": [[1, 2]], "background": []},
            r"\(strokes.0.2\)",
        ),
    ],
)
def test_what_is_not_understood_is_said(work, source, sentence):
    with pytest.raises(FileError, match=sentence):
        work([write(source)])


def test_a_script_says_nothing_of_a_session_but_literals():
    """A session may come from a stranger."""
    evil = '")\nimport os\n#\'"'
    log = [
        write({"kind": "structure", "name": evil, "threshold": 0.5}, 7),
        *(write(json.loads(text), 7) for text in SAVED[:3]),
        write(json.loads(SAVED[3]), None, model=evil, model_hash=evil),
    ]
    log += [Operation("erase", evil, PLANE, {"value": 7})]
    script = say(log, evil, {7: evil})
    imports = [
        node
        for node in ast.walk(ast.parse(script))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert len(imports) == 4  # sys, numpy, tifffile and the package


def test_prompts_that_were_written_last_are_found():
    first, second = Prompts(((1, 2),)), Prompts(((3, 4),))
    log = [
        write(first.to_json()),
        write(second.to_json()),
        write(Clusters(3, (1,)).to_json()),
        write({"kind": "polygon"}),
        write(first.to_json(), plane=(1, None, None)),
    ]
    assert prompts_written(log, PLANE) == second
    assert prompts_written(log, (1, None, None)) == first
    assert prompts_written(log, (2, None, None)) is None
