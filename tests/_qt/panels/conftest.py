"""Two images of other sizes and transforms, in a window with the widget."""

import pytest


@pytest.fixture
def meanings(monkeypatch):
    """Let clicks on the left half mean vessels, and others what looks like them.

    The small model has random weights, and finds a meaning nowhere.
    """

    def choose(candidates, clicks, share_alike):
        middle = candidates[0].presence.shape[1] / 2
        return 0 if clicks.pixels[0, 1] < middle else len(candidates)

    monkeypatch.setattr("napari_localdisc.core.embedding.embedding.choose", choose)


@pytest.fixture
def two(viewer, picture, open_widget, meanings):
    """A widget; “large” is worked on, and “small” lies elsewhere, turned and scaled."""
    viewer.add_image(picture[:40, ::-1], name="small", scale=(3, 2), rotate=33)
    viewer.add_image(picture, name="large", translate=(-70, 110))
    return open_widget(viewer)


@pytest.fixture
def choose_image(wait):
    """Select an image of a widget's viewer."""

    def chosen(widget, name):
        layers = widget.controller.workspace.viewer.layers
        layers.selection.active = layers[name]
        wait(widget)

    return chosen
