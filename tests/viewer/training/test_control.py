"""Operations of the training panel without Qt; the process is played by the test."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.viewer.chosen import model_wanted, models_changed
from napari_localdisc.viewer.training import control as training_control
from napari_localdisc.viewer.training.control import (
    MOST_SLICES,
    TrainingControl,
    all_planes,
)
from napari_localdisc.viewer.training.job import (
    Compared,
    Failed,
    Finished,
    Noted,
    Pictured,
    Preparing,
    Stopped,
)
from napari_localdisc.viewer.training.request import (
    TrainingRequest,
    can_resume,
    free_name,
    model_file,
)

COLOURS = [[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1]]


class PlayedJob:
    """A job whose messages and files come from the test."""

    def __init__(self, request, planes, current):
        self.request, self.planes, self.current = request, planes, current
        self.messages, self.files, self.calls = [], {}, []

    def poll(self):
        messages, self.messages = self.messages, []
        return messages

    def read(self, file):
        return self.files[file]

    def __getattr__(self, name):
        return lambda: self.calls.append(name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for the user's models."""
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def images(viewer, picture):
    return [viewer.add_image(picture, name=name) for name in ("left", "right")]


@pytest.fixture
def control(viewer, folder, monkeypatch):
    monkeypatch.setattr(training_control, "TrainingJob", PlayedJob)
    return TrainingControl(viewer)


@pytest.fixture
def play(control):
    """Let the process say something."""

    def said(*messages):
        control._job.messages += messages
        control.poll()

    return said


def step(number=1):
    return Progress(number, 10, share=0.5, seconds=60.0, losses={"total": 2.0})


def asked(name, **fields):
    return TrainingRequest(str(model_file(name)), **fields)


@pytest.fixture
def told():
    """What everybody is told of models."""
    heard = []
    models_changed.connect(one := lambda: heard.append("models changed"))
    model_wanted.connect(other := lambda viewer, name: heard.append((viewer, name)))
    yield heard
    models_changed.disconnect(one)
    model_wanted.disconnect(other)


def test_a_training_from_start_to_end(control, images, folder, play, told):
    control.running_changed.connect(lambda running: told.append(running))
    control.start(asked("mine", minutes=7), images)
    job = control._job
    assert job.calls == ["start"]
    assert job.request.out == str(folder.resolve() / "mine.safetensors")
    assert job.request.minutes == 7
    assert len(job.planes) == 2
    assert job.current.read() is not None
    play(Preparing(1, 2))
    assert control.status == "Reading images: 1 of 2."
    play(step(3))
    assert control.status == ("3 of about 6 steps, loss 2.000; about 60 seconds left.")
    play(Finished(job.request.out, 9, stopped=False))
    assert told == [True, False, "models changed"]
    assert control.status == "“mine” is done after 9 steps and saved."
    assert "discard" in job.calls
    assert not control.is_running


def test_clusters_of_the_selected_image_follow_and_go(control, viewer, images, play):
    images[0].scale = (2, 3)
    viewer.layers.selection.active = images[0]
    control.start(asked("mine"), images)
    labels = np.ones((48, 40), np.uint8)
    control._job.files = {"a": {"labels": labels}, "b": {"labels": 2 * labels}}
    play(Pictured("a", 5, COLOURS))
    layer = control.preview_layer
    assert layer.name == "left in training"
    np.testing.assert_array_equal(layer.scale, (2, 3))
    assert viewer.layers.selection.active is images[0]
    play(Pictured("b", 6, COLOURS))
    assert control.preview_layer is layer
    assert layer.data.max() == 2
    play(Stopped())
    assert layer not in viewer.layers


def test_clusters_stay_if_wanted_or_painted_on(control, viewer, images, play):
    kept = []
    for keep, paint in ((True, False), (False, True)):
        control.start(asked("mine"), images)
        control._job.files = {"a": {"labels": np.ones((48, 40), np.uint8)}}
        play(Pictured("a", 5, COLOURS))
        kept.append(control.preview_layer)
        if paint:
            kept[-1].data_setitem((np.array([3]), np.array([3])), 2)
        control.keeps_preview = keep
        play(Stopped())
    assert all(layer in viewer.layers for layer in kept)


def test_clusters_do_not_come_back_once_deleted(control, viewer, images, play):
    control.start(asked("mine"), images)
    control._job.files = {"a": {"labels": np.ones((48, 40), np.uint8)}}
    play(Pictured("a", 5, COLOURS))
    viewer.layers.remove(control.preview_layer)
    play(Pictured("a", 6, COLOURS))
    assert control.preview_layer is None
    assert len(viewer.layers) == 2


def test_images_are_renamed_and_removed_in_the_middle(control, viewer, images, play):
    control.start(asked("mine"), images)
    job = control._job
    assert job.current.read() is not None
    job.files = {"a": {"labels": np.ones((48, 40), np.uint8)}}
    images[1].name = "another"
    play(Pictured("a", 5, COLOURS))
    shown = control.preview_layer
    viewer.layers.clear()  # the process has its own copies of the pixels
    play(step(6), Pictured("a", 7, COLOURS))
    assert control.preview_layer is None
    assert shown not in viewer.layers
    assert len(viewer.layers) == 0
    assert control.is_running
    play(Finished(job.request.out, 9, stopped=False))
    assert "9 steps" in control.status


def test_what_cannot_work_is_refused_at_once(control, images, folder):
    (folder / "there.safetensors").write_bytes(b"")
    for request, layers, sentence in (
        (asked("mine"), images[:1], "At least 2 images are needed"),
        (asked("mine", model="fundus"), [], "At least one image is"),
        (asked("there"), images, "There is a model “there” already"),
        (asked("mine", resume=True), images, "no training “mine” to go on with"),
        (asked("mine", folder=str(folder / "x")), [], "There is no folder"),
    ):
        with pytest.raises(TrainingError, match=sentence):
            control.start(request, layers)
        assert not control.is_running


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a/b", "letters, digits"), ("", "letters, digits"), ("fundus", "comes with")],
)
def test_names_that_no_model_can_have(folder, name, sentence):
    with pytest.raises(TrainingError, match=sentence):
        model_file(name)


def test_resume_needs_its_checkpoint_and_keeps_the_file(control, images, folder):
    (folder / "mine.safetensors").write_bytes(b"")
    (folder / "mine.checkpoint").write_bytes(b"")
    assert can_resume("mine")
    control.start(asked("mine", resume=True), images)
    assert control._job.request.resume


def test_failures_are_reported_and_notes_are_few(control, images, play):
    notes = []
    control.noted.connect(lambda text: notes.append(text))
    control.start(asked("mine"), images)
    play(*(Noted(f"{number} is left out") for number in range(9)))
    assert len(notes) == 3
    with pytest.raises(TrainingError, match="no memory"):
        play(Failed("There is no memory."))
    assert not control.is_running


def test_stop_is_said_until_it_has_stopped(control, images, play):
    control.start(asked("mine"), images)
    control.stop()
    assert "stop" in control._job.calls
    play(step(4))
    assert control.status.startswith("Stopping")


def test_a_stop_that_takes_long_is_let_go_and_saves_by_itself(
    control, images, folder, play, monkeypatch
):
    running = []
    control.running_changed.connect(running.append)
    control.start(asked("mine"), images)
    job = control._job
    monkeypatch.setattr(training_control, "PATIENCE", 0.0)
    control.stop()
    assert control.status.startswith("Stopping")
    control.poll()
    assert not control.is_running
    assert control.is_saving
    assert "is being saved" in control.status
    with pytest.raises(TrainingError, match="still being saved"):
        control.start(asked("mine"), images)
    job.messages.append(step(4))
    job.messages.append(Finished(job.request.out, 40, stopped=True))
    control.poll()
    assert not control.is_saving
    assert control.status == "“mine” is stopped after 40 steps and saved."
    assert "discard" in job.calls
    assert running == [True, False, False]


def test_the_clock_counts_from_the_first_step(control, images, play):
    control.start(asked("mine", minutes=5), images)
    play(Progress(1, 60_000, share=1 / 60_000, seconds=0.0, losses={"total": 2.0}))
    assert control.status == (
        "1 step done, loss 2.000; how long one takes shows with the next."
    )
    play(Progress(3, 60_000, share=0.05, seconds=15.0, losses={"total": 2.0}))
    assert control.status == ("3 of about 60 steps, loss 2.000; about 5 minutes left.")


def test_what_learnt_too_little_is_not_offered(control, images, folder, play):
    heard = []
    control.compared.connect(heard.append)
    control.start(asked("mine", model="fundus"), images[:1])
    pictures = {f"{side}0": np.ones((2, 2, 3)) for side in ("before", "after")}
    control._job.files = {"c": pictures}
    play(
        Compared("c", ["vessel"]), Finished(str(folder / "mine.safetensors"), 3, False)
    )
    assert heard == []
    assert "after 3 steps and saved. That is too little to judge" in control.status


@pytest.fixture
def compared(control, images, folder, play):
    """Adapt, and return what is to be compared."""
    heard = []
    control.compared.connect(lambda comparison: heard.append(comparison))
    control.start(asked("mine", model="fundus"), images[:1])
    (folder / "mine.safetensors").write_bytes(b"")
    (folder / "mine.md").write_text("")
    pair = {"before0": np.zeros((4, 4, 3)), "after0": np.ones((4, 4, 3))}
    control._job.files = {"c": pair}
    play(
        Compared("c", ["vessel"]), Finished(str(folder / "mine.safetensors"), 99, True)
    )
    return heard[0]


def test_the_adapted_model_is_kept(control, viewer, compared, folder, told):
    assert (compared.old, compared.new) == ("fundus", "mine")
    assert compared.views["vessel"][1].max() == 1
    control.keep_new(compared)
    assert told == [(viewer, "mine")]
    assert (folder / "mine.safetensors").exists()


def test_the_old_model_is_kept(control, compared, folder, told):
    control.keep_old(compared)
    assert list(folder.iterdir()) == []
    assert told == ["models changed"]


def test_closing_stops(control, images):
    control.start(asked("mine"), images)
    job = control._job
    control.close()
    control.close()
    assert job.calls == ["start", "close"]


def test_every_slice_of_a_stack_counts():
    def planes(shape, **options):
        options = {"multiscale": False, "ndim": len(shape)} | options
        return all_planes(SimpleNamespace(data=np.zeros(shape), **options))

    assert [plane.index for plane in planes((4, 5))] == [(None, None)]
    assert len(planes((3, 4, 5))) == 3
    assert planes((3, 4, 5))[2].index == (2, None, None)
    assert len(planes((2, 3, 4, 5, 3), ndim=4)) == 6
    assert planes((2, 4, 5, 3), ndim=3)[0].read().shape == (4, 5, 3)
    assert len(planes((2 * MOST_SLICES, 1, 1))) == MOST_SLICES


def test_names_that_are_free(folder):
    assert free_name("mine") == "mine"
    model_file("mine").write_bytes(b"")
    assert free_name("mine") == "mine 2"
    assert model_file(" mine ") == folder.resolve() / "mine.safetensors"


def test_requests_survive_the_file():
    request = TrainingRequest("a", model="b", minutes=3, settings={"width": 2})
    assert TrainingRequest.from_json(request.to_json()) == request
