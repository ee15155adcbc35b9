"""Real trainings in another process: progress, stop, resume, crashes, orphans."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_training import PATIENCE, TINY, Photograph, listen

from napari_localdisc.core.model.card import read_card
from napari_localdisc.viewer.training.job import (
    Compared,
    Failed,
    Finished,
    Noted,
    Pictured,
    Preparing,
    Stepped,
    Stopped,
    TrainingJob,
    from_line,
    to_line,
)
from napari_localdisc.viewer.training.request import TrainingRequest

LONG = TINY | {"steps": 100_000}
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def start(tmp_path):
    """Start jobs; none outlives its test."""
    jobs = []

    def started(pictures=2, **request):
        fields = {"settings": TINY, "device": "cpu", "cache": str(tmp_path / "cache")}
        asked = TrainingRequest(
            out=str(tmp_path / "models" / "small.safetensors"), **(fields | request)
        )
        photographs = [Photograph(seed) for seed in range(pictures)]
        jobs.append(TrainingJob(asked, photographs, photographs[0]))
        jobs[-1].start()
        return jobs[-1]

    yield started
    for job in jobs:
        job.close()
        if not job.wait(PATIENCE) and job.process_id:
            os.kill(job.process_id, signal.SIGTERM)
        job.discard()


def of_kind(heard, kind):
    return [message for message in heard if isinstance(message, kind)]


def test_trains_to_the_end_and_shows_the_current_image(start):
    job = start(picture_seconds=0)
    heard = listen(job)
    assert heard[0] == Preparing(0, 0)
    assert of_kind(heard, Preparing)[-1] == Preparing(2, 2)
    steps = of_kind(heard, Stepped)
    assert [step.step for step in steps][-1] == steps[-1].step == TINY["steps"]
    assert steps[-1].share == 1
    assert steps[-1].losses["total"] > 0
    assert 0 <= steps[-1].validation["score"] <= 1
    assert heard[-1] == Finished(job.request.out, TINY["steps"], stopped=False)
    summary = read_card(Path(job.request.out))
    assert summary.structures == ("optic disc",)
    pictured = of_kind(heard, Pictured)[-1]
    labels = job.read(pictured.file)["labels"]
    assert labels.shape == (120, 120)
    assert labels[0, 0] == 0
    assert 1 <= labels[60, 60] <= TINY["clusters"]
    assert np.shape(pictured.colours) == (TINY["clusters"] + 1, 4)
    job.discard()
    assert not job.folder.exists()


def test_stop_keeps_the_best_and_resume_goes_on(start):
    job = start(settings=LONG)
    listen(job, until=lambda message: isinstance(message, Stepped))
    job.stop()
    last = listen(job)[-1]
    assert isinstance(last, Finished)
    assert last.stopped
    out = Path(last.file)
    assert read_card(out).clusters == TINY["clusters"]
    first = out.read_bytes()
    more = start(settings=TINY | {"steps": last.steps + 2}, resume=True)
    heard = listen(more)
    assert of_kind(heard, Stepped)[0].step == last.steps + 1
    assert heard[-1] == Finished(str(out), last.steps + 2, stopped=False)
    assert out.read_bytes() != first


def test_stop_before_the_first_step_leaves_nothing(start):
    job = start()
    job.stop()
    assert listen(job)[-1] == Stopped()
    assert not Path(job.request.out).exists()


def test_what_the_user_can_put_right_is_one_sentence(start):
    job = start(pictures=1)
    last = listen(job)[-1]
    assert last == Failed("Training needs at least 2 images and got 1.")


def test_images_that_cannot_be_read_are_named(start, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "broken.png").write_text("no image")
    heard = listen(start(folder=str(tmp_path / "scans")))
    said = of_kind(heard, Noted)[0].text
    assert said.startswith("Left out: ")
    assert "broken.png is not an image" in said
    assert isinstance(heard[-1], Failed)


def test_an_error_of_the_process_is_told_with_its_log(start):
    job = start(settings={"nonsense": 1})
    last = listen(job)[-1]
    assert isinstance(last, Failed)
    assert "TypeError" in last.reason
    assert str(job.log) in last.reason
    assert "Traceback" in job.log.read_text()


@needs_signals
def test_a_crash_of_the_process_is_told(start):
    job = start(settings=LONG)
    listen(job, until=lambda message: isinstance(message, Preparing) and message.total)
    os.kill(job.process_id, signal.SIGKILL)
    last = listen(job)[-1]
    assert isinstance(last, Failed)
    assert "SIGKILL" in last.reason
    assert not Path(job.request.out).exists()


ORPHAN = """
import sys, time
from napari_localdisc.viewer.training.job import TrainingJob
from napari_localdisc.viewer.training.job import Stepped
from napari_localdisc.viewer.training.request import TrainingRequest
from tests.tiny_training import TINY, Photograph, listen

out, cache = sys.argv[1:]
settings = TINY | {"steps": 100_000}
asked = TrainingRequest(out=out, settings=settings, device="cpu", cache=cache)
job = TrainingJob(asked, [Photograph(0), Photograph(1)])
job.start()
listen(job, until=lambda message: isinstance(message, Stepped))
print(job.process_id, job.folder, flush=True)
time.sleep(1000)
"""


def is_alive(process_id):
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_the_process_ends_itself_when_napari_dies(tmp_path):
    out = tmp_path / "small.safetensors"
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(out), str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    process_id, folder = parent.stdout.readline().split(maxsplit=1)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + PATIENCE
    while is_alive(process_id) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_alive(process_id)
    assert out.exists()
    assert out.with_suffix(".checkpoint").exists()
    assert not Path(folder.strip()).exists()


def test_messages_survive_the_pipe_and_other_lines_do_not():
    step = Stepped(3, 0.5, 1.5, {"total": 2.0}, {"score": 0.5})
    assert from_line(to_line(step)) == step
    for line in ("", "hello", "[1]", '{"message": "Unknown"}', '{"message": "Failed"}'):
        assert from_line(line) is None


def test_the_process_does_without_napari_and_qt(tmp_path):
    """It imports what it trains, adapts and shows pictures with."""
    code = f"""
import sys
from pathlib import Path
import numpy as np
from napari_localdisc import training_process as process
from napari_localdisc.core import adaptation, training
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.viewer.training.request import TrainingRequest

class Trainer:
    step = 1
    def snapshot(self):
        return load_model("fundus", "cpu")

def adapt(model, images, out, *, watch, **options):
    watch(Trainer())
    return model

adaptation.adapt = adapt
folder = Path({str(tmp_path)!r})
np.save(folder / "current.npy", np.load(folder / "eye.npy"))
reporter = process.Reporter(sys.stdout, folder, process.Orders(folder), 0)
request = TrainingRequest("new.safetensors", model="fundus")
process.run(request, folder, reporter)
unwanted = ("napari", "vispy", "qtpy", "magicgui")
print([name for name in unwanted if name in sys.modules])
"""
    np.save(tmp_path / "eye.npy", Photograph(0).pixels)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    *messages, imported = result.stdout.splitlines()
    kinds = {type(from_line(line)) for line in messages}
    assert {Pictured, Compared} <= kinds, result.stdout
    assert imported == "[]"
