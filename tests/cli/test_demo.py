"""The demo: what it refuses, and the picture it draws."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_localdisc.cli import demo
from napari_localdisc.core.errors import LocalDiscError


def test_no_screen_points_to_the_picture(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "has_screen", lambda: False)
    with pytest.raises(LocalDiscError, match=r"no screen .*--screenshot demo\.png"):
        demo.run()


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "has_screen", lambda: True)
    monkeypatch.setattr(demo, "missing_packages", lambda virtual_screen: ["libegl1"])
    with pytest.raises(LocalDiscError, match="apt-get install libegl1"):
        demo.run()


def test_missing_qt_is_named(monkeypatch: pytest.MonkeyPatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in demo.BINDINGS else known(name),
    )
    with pytest.raises(LocalDiscError, match=r"napari-localdisc\[all\]"):
        demo.run()


def test_unwritable_pictures_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(demo, "virtual_screen", lambda: pytest.fail("too late"))
    with pytest.raises(LocalDiscError, match=r"demo\.docx is no picture"):
        demo.run(tmp_path / "demo.docx")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(LocalDiscError, match=r"folder\.png is a folder"):
        demo.run(tmp_path / "folder.png")
    with pytest.raises(LocalDiscError, match=r"there is no folder .*nowhere"):
        demo.run(tmp_path / "nowhere" / "demo.png")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="draws on Xvfb")
def test_picture_shows_the_photograph_and_its_structures(tmp_path: Path):
    """The whole path, in the process and on the screen that the command uses."""
    target = tmp_path / "demo.png"
    demo.run(target)
    picture = np.asarray(Image.open(target).convert("RGB"))
    assert picture.shape == (900, 1600, 3)
    left, right = picture[200:700, 340:800], picture[200:700, 800:1260]
    red = (left[..., 0] > 150) & (left[..., 2] < 120)
    assert red.mean() > 0.3  # the photograph
    colours, count = np.unique(right.reshape(-1, 3), axis=0, return_counts=True)
    shown = colours[count > 1000]
    assert len(shown) >= 4  # flat colours on black
    assert [path.name for path in tmp_path.iterdir()] == ["demo.png"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="draws on Xvfb")
def test_failure_of_the_drawing_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho a warning >&2\necho no luck >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(LocalDiscError, match=r"^no luck$"):
        demo.run(tmp_path / "demo.png")
    python.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(LocalDiscError, match="ended with status 3"):
        demo.run(tmp_path / "demo.png")
    assert not (tmp_path / "demo.png").exists()
