"""Lists and fields of forms, without a viewer."""

import pytest
from magicgui.widgets import CheckBox
from qtpy.QtWidgets import QProgressBar

from napari_localdisc._qt.parts import (
    Choice,
    form,
    path_field,
    path_text,
    tell_progress,
)


@pytest.fixture
def offered():
    return ["b", "a"]


def texts(choice) -> list[str]:
    box = choice.native
    return [box.itemText(index) for index in range(box.count())]


def test_a_choice_keeps_what_was_chosen_and_the_order_it_is_given(qapp, offered):
    choice, heard = Choice(lambda: offered), []
    choice.changed.connect(heard.append)
    assert texts(choice) == ["b", "a"]
    choice.value = "a"
    offered[:] = ["c", "a", "b"]
    choice.reset_choices()
    assert texts(choice) == ["c", "a", "b"]
    assert choice.value == "a"
    offered.remove("a")
    choice.reset_choices()
    assert choice.value == "c"
    assert heard == ["a"]  # only of what the user chose
    offered.clear()
    choice.reset_choices()
    assert choice.value is None
    assert not choice.enabled


def test_a_choice_shows_what_is_chosen_elsewhere(qapp, offered):
    current = ["a"]
    choice = Choice(lambda: offered, lambda: current[0], "nothing is there")
    assert choice.value == "a"
    current[0] = "gone"
    choice.reset_choices()
    assert choice.native.currentIndex() == -1
    assert choice.native.placeholderText() == "nothing is there"


def test_things_of_the_same_name_are_told_apart(qapp):
    class Layer:
        def __str__(self):
            return "eye"

    layers = [Layer(), Layer()]
    choice, heard = Choice(lambda: layers), []
    choice.changed.connect(heard.append)
    assert texts(choice) == ["eye", "eye"]
    choice.native.setCurrentIndex(1)
    assert heard == [layers[1]]


def test_a_choice_looks_again_when_pointed_at(qapp, offered, point_at):
    choice = Choice(lambda: offered)
    offered.append("new")
    assert texts(choice) == ["b", "a"]
    point_at(choice.native)
    assert texts(choice) == ["b", "a", "new"]


def test_an_address_stays_as_it_was_typed(qapp):
    field = path_field("Scheduler", "A scheduler file", "(*.json)")
    assert path_text(field) == ""
    field.line_edit.value = " tcp://node1:8786 "
    assert path_text(field) == "tcp://node1:8786"


def test_fields_of_a_form_say_their_labels(qapp, offered):
    choice, tick = Choice(lambda: offered, label="Model"), CheckBox(text="Smooth")
    made = form(choice, tick)
    assert choice.native.accessibleName() == "Model"
    assert tick.native.accessibleName() == ""  # its text is read out
    assert list(made) == [choice, tick]


def test_a_bar_is_drawn_when_there_is_time(qtbot):
    class Bar(QProgressBar):
        drawn = 0

        def paintEvent(self, event):
            self.drawn += 1
            super().paintEvent(event)

    bar = Bar()
    qtbot.addWidget(bar)
    with qtbot.waitExposed(bar):
        bar.show()
    qtbot.waitUntil(lambda: bar.drawn > 0)
    drawn = bar.drawn
    for done in range(10):
        tell_progress(bar, done, 9)
    assert bar.drawn == drawn
    assert bar.value() == bar.maximum() == 9
    qtbot.waitUntil(lambda: bar.drawn > drawn)
    tell_progress(bar, 0, 0)
    assert bar.maximum() == 0
