"""With no image it says how to begin; a tour of four steps can be ended for ever."""

from types import SimpleNamespace

import pytest

from napari_localdisc.viewer import preferences
from napari_localdisc.viewer.tour import STEPS


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What napari's settings hold of the tour."""
    off = SimpleNamespace(enabled=False, clear=False)
    off.events = SimpleNamespace(
        clear=SimpleNamespace(connect=lambda *_: None, disconnect=lambda *_: None)
    )
    tour = SimpleNamespace(show=True)
    monkeypatch.setattr(
        preferences, "_page", lambda name="cache": tour if name == "tour" else off
    )
    return tour


def test_with_no_image_it_says_how_to_begin(viewer, open_widget, picture):
    notice = open_widget(viewer).empty_notice
    assert not notice.isHidden()
    assert "drag it here" in notice.text.text()
    layer = viewer.add_image(picture)
    assert notice.isHidden()
    viewer.layers.remove(layer)
    assert not notice.isHidden()


def test_the_sample_opens_by_a_button(viewer, open_widget):
    widget = open_widget(viewer)
    widget.empty_notice.sample_button.click()
    assert [layer.name for layer in viewer.layers] == ["retina"]
    assert widget.empty_notice.isHidden()


def test_the_tour_goes_through_the_tabs_and_ends_for_ever(
    viewer, open_widget, picture, kept
):
    widget = open_widget(viewer)
    notice = widget.tour_notice
    assert notice.isHidden()  # first an image
    viewer.add_image(picture)
    for step, last in zip(STEPS, (False, False, False, True), strict=True):
        assert not notice.isHidden()
        assert step.text in notice.text.text()
        assert widget.tabs.tabText(widget.tabs.currentIndex()) == (
            step.tab or STEPS[-2].tab
        )
        assert (notice.next_button.text() == "Done") == last
        assert notice.next_button.toolTip().startswith("End" if last else "The next")
        notice.next_button.click()
    assert notice.isHidden()
    assert not kept.show


def test_a_tour_that_was_ended_does_not_come_again(viewer, open_widget, picture, kept):
    viewer.add_image(picture)
    notice = open_widget(viewer).tour_notice
    assert not notice.isHidden()
    notice.end_button.click()
    assert notice.isHidden()
    assert not kept.show
    other = open_widget(viewer).tour_notice
    assert other.isHidden()
