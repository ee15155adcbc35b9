"""What a canvas deletes, it deletes in its own OpenGL context."""

import numpy as np
import pytest
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext

from napari_localdisc._qt.opengl import keep_to_own_context


@pytest.fixture
def another():
    """A context that shares with others, as the one of Qt's windows, made current."""
    surface = QOffscreenSurface()
    surface.create()
    context = QOpenGLContext()
    context.setShareContext(QOpenGLContext.globalShareContext())
    assert context.create()
    assert context.makeCurrent(surface)
    yield context
    context.doneCurrent()
    surface.destroy()


@pytest.mark.parametrize("times", [1, 2])
def test_layers_go_in_the_context_they_came_in(
    make_napari_viewer, qtbot, monkeypatch, times, request
):
    pytest.importorskip("napari", "0.9", "older ones delete nothing at once")
    from vispy.gloo import glir

    for _ in range(times):
        keep_to_own_context()
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(np.zeros((8, 8), np.float32))
    viewer.add_labels(np.ones((8, 8), np.uint8))
    canvas = viewer.window._qt_viewer.canvas._scene_canvas.native
    with qtbot.waitSignal(canvas.frameSwapped):
        canvas.update()
    deleted_in = []
    delete = glir.gl.glDeleteProgram

    def watched(handle):
        deleted_in.append(QOpenGLContext.currentContext() == canvas.context())
        delete(handle)

    monkeypatch.setattr(glir.gl, "glDeleteProgram", watched)
    another = request.getfixturevalue("another")
    viewer.layers.remove(image)
    assert deleted_in
    assert all(deleted_in)
    assert QOpenGLContext.currentContext() == another


def test_a_viewer_opened_later_finds_all_that_its_drawing_calls(make_napari_viewer):
    keep_to_own_context()
    canvas = make_napari_viewer().window._qt_viewer.canvas._scene_canvas
    called = [call for call in canvas.events.draw.callbacks if isinstance(call, tuple)]
    assert called
    for of, name in called:  # vispy passes over what it does not find
        assert callable(getattr(of(), name, None)), name
