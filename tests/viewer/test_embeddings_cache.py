"""The cache on disk, through the real controller: a second look needs no network."""

import os
import subprocess
import sys

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.model.inference import FastNetwork
from napari_localdisc.io.cache import EmbeddingCache
from napari_localdisc.viewer.controller import Controller


@pytest.fixture
def no_network(monkeypatch):
    """Call to make every use of the network fail."""

    def forbid():
        def fill(*args, **kwargs):
            raise AssertionError("the network ran")

        monkeypatch.setattr(FastNetwork, "fill", fill)

    return forbid


@pytest.fixture
def opened(models, request):
    """Open a picture in a viewer of its own."""

    def open_picture(picture, runner=None, report=None) -> Controller:
        viewer = ViewerModel()
        viewer.add_image(picture, name="eye")
        options = {} if report is None else {"report": report}
        controller = Controller(viewer, runner, **options)
        controller.set_model("tiny")
        request.addfinalizer(controller.close)
        return controller

    return open_picture


def test_second_viewer_needs_no_network(cache_on_disk, opened, picture, no_network):
    first = opened(picture)
    first.clusters.show()
    first.prompts.add((20, 20))
    no_network()
    second = opened(picture.copy())
    second.clusters.show()
    second.prompts.add((20, 20))
    for what in ("structures", "similarity"):
        mine, its = (each.workspace.layer(what) for each in (second, first))
        np.testing.assert_array_equal(mine.data, its.data)
    changed = picture.copy()
    changed[0, 0] += np.float32(0.01)
    with pytest.raises(AssertionError, match="the network ran"):
        opened(changed).clusters.show()


SECOND_PROCESS = """
import sys
import numpy as np
from napari.components import ViewerModel
from napari_localdisc.viewer import preferences
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.core.model.inference import FastNetwork

FastNetwork.fill = None
preferences._page = lambda name="cache": None
viewer = ViewerModel()
viewer.add_image(np.load(sys.argv[1]))
controller = Controller(viewer)
controller.set_model("tiny")
controller.clusters.show()
np.save(sys.argv[2], controller.clusters.layer.data)
"""


def test_second_process_needs_no_network(cache_on_disk, opened, picture, tmp_path):
    first = opened(picture)
    first.clusters.show()
    np.save(tmp_path / "picture.npy", picture)
    command = [sys.executable, "-c", SECOND_PROCESS]
    paths = [str(tmp_path / "picture.npy"), str(tmp_path / "labels.npy")]
    subprocess.run([*command, *paths], check=True, timeout=200, env={**os.environ})
    np.testing.assert_array_equal(
        np.load(tmp_path / "labels.npy"), first.clusters.layer.data
    )


def test_it_is_written_after_the_result_is_shown(
    cache_on_disk, opened, picture, stepped
):
    controller = opened(picture, stepped)
    controller.clusters.show()
    stepped.finish()
    assert controller.clusters.layer is not None
    assert not controller.workspace.work.is_busy
    assert EmbeddingCache().total_size() == 0
    stepped.finish()
    assert EmbeddingCache().total_size() > 0


def test_cancelled_work_is_not_kept(cache_on_disk, opened, picture, stepped):
    controller = opened(picture, stepped)
    controller.clusters.show()
    stepped.step()
    controller.workspace.cancel()
    stepped.finish()
    assert len(stepped.runs) == 1
    assert EmbeddingCache().total_size() == 0


def test_switched_off_nothing_is_kept(opened, picture, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path))
    opened(picture).clusters.show()
    assert list(tmp_path.iterdir()) == []


def test_unusable_folder_is_said_once_and_all_works(
    cache_on_disk, opened, picture, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "file" / "cache"))
    errors = []
    controller = opened(picture, report=errors.append)
    controller.clusters.show()
    assert controller.clusters.layer is not None
    controller.workspace.images.current.data = picture[::-1]
    controller.clusters.show()
    (error,) = errors
    assert isinstance(error, FileError)
    assert "switch the cache off" in str(error)
