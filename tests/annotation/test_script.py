"""Copied scripts, run in a process of their own, make the same labels."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_localdisc.annotation.script import (
    Picture,
    differences,
    models_used,
    python_script,
    replay,
)
from napari_localdisc.annotation.state import Operation, runs
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.model import load_model
from napari_localdisc.io.cache import content_hash

PLANE = (None, None)


@pytest.fixture
def embeddings(picture, models):
    loaded = [load_model(name, "cpu") for name in ("tiny", "other")]
    return {(m.card.name, m.hash, None): embed(picture, m) for m in loaded}


@pytest.fixture
def log(embeddings, picture):
    """One operation of each kind."""
    tiny, other = embeddings
    strokes = np.zeros(picture.shape[:2], np.uint16)
    strokes[2:5, 3:30] = 4
    strokes[20:24, 3:30] = 5
    strokes[40:44, 3:30] = 6
    prompts = {
        "kind": "prompts",
        "positive": [[20.25, 21.5], [3, 4]],
        "negative": [[33, 9]],
        "threshold": 0.30415926535,
        "connected": False,
        "smooth": False,
        "minimum_size": 1,
    }
    few = prompts | {
        "positive": [[40, 30]],
        "negative": [],
        "threshold": 0.6,
        "connected": True,
    }
    clusters = {"kind": "clusters", "number": 8, "clusters": [2, 4, 5, 8]}
    structure = {"kind": "structure", "name": "vessel", "threshold": 0.5}
    learned = {"kind": "strokes", "strokes": runs(strokes), "background": [6]}

    def write(source, value, overwrite=False, model=tiny):
        named = {"model": model[0], "model_hash": model[1]}
        rest = {"source": source, "value": value, "overwrite": overwrite}
        return Operation("write", f"add {source['kind']}", PLANE, rest | named)

    return [
        Operation("prompts", "add a prompt", PLANE, {"prompts": []}),
        write(clusters, 7),
        write(prompts, 1),
        Operation("erase", "remove a class", PLANE, {"value": 7}),
        write(prompts | {"threshold": 0.4, "smooth": True}, 8),
        write(structure, 3),
        write(learned, None),
        write(few, 300, overwrite=True),
        write(clusters | {"number": 6, "clusters": [4, 5, 6]}, 2, model=other),
        Operation("options", "move the threshold", PLANE, {"options": {}}),
    ]


def run(script, tmp_path, name="script.py"):
    file, out = tmp_path / name, tmp_path / "out.tif"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(file), str(out)],
        capture_output=True,
        text=True,
        timeout=250,
    )
    return done, out


def test_script_makes_the_same_labels(log, embeddings, picture, tmp_path):
    assert models_used(log, PLANE) == list(embeddings)
    maps = replay(log, PLANE, picture.shape[:2], embeddings.__getitem__)
    assert list(maps) == [0]
    labels = maps[0]
    assert set(np.unique(labels)) >= {1, 2, 3, 300}
    assert not {6, 7} & set(np.unique(labels))
    painted = labels.copy()
    painted[10:12, 5:20] = 8
    painted[30:33, 5:20] = 0
    extra = differences(painted, labels)
    np.save(tmp_path / "picture.npy", picture)
    code = f"np.load({str(tmp_path / 'picture.npy')!r})"
    # A name that wants to end the docstring
    where = Picture(
        'eye """\nimport os', code, PLANE, content_hash(picture), picture.shape[:2]
    )
    script = python_script(log, where, "uint16", {0: extra}, names={1: "optic\ndisc"})
    assert max(map(len, script.splitlines())) <= 120
    assert "# add prompts: optic disc" in script
    done, out = run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(tifffile.imread(out), painted)


def test_script_of_a_slice_shown_in_clusters(picture, models, tmp_path):
    model = load_model("tiny", "cpu")
    stack = np.stack([np.zeros_like(picture[..., 0]), picture[..., 0]])
    np.save(tmp_path / "stack.npy", stack)
    code = f"np.load({str(tmp_path / 'stack.npy')!r})"
    plane = (1, None, None)
    where = Picture("stack", code, plane, content_hash(stack[1]), stack.shape[1:])
    script = python_script([], where, clusters=(("tiny", model.hash, None), 4))
    done, out = run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(
        tifffile.imread(out), embed(stack[1], model).clusters(4)
    )
    changed = script.replace("stack.npy", "other.npy")
    np.save(tmp_path / "other.npy", stack + 1)
    done, _ = run(changed, tmp_path)
    assert done.returncode == 1
    assert "another image" in done.stderr


small = arrays(np.uint8, (5, 6), elements=st.integers(0, 3))


@given(small, small)
def test_differences_turn_one_into_the_other(labels, made):
    result = made.copy()
    for value, start, stop in differences(labels, made):
        result.reshape(-1)[start:stop] = value
    np.testing.assert_array_equal(result, labels)
