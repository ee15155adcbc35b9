"""Real trainings in another process: progress, stop, resume, crashes, orphans."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.tiny_training import PATIENCE, TINY, Photograph, listen

from napari_localdisc.core.model.card import read_card
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.viewer.training.job import (
    Compared,
    Failed,
    Finished,
    Noted,
    Pictured,
    Preparing,
    Stopped,
    TrainingJob,
    from_line,
    to_line,
)
from napari_localdisc.viewer.training.request import TrainingRequest

LONG = TINY | {"steps": 100_000}
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
KILL = signal.SIGTERM if os.name == "nt" else signal.SIGKILL


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def start(place):
    """Start jobs on one thread each; none outlives its tests."""
    jobs = []

    def started(name, photographs=2, **request):
        fields = {"settings": TINY, "device": "cpu", "cache": str(place / "cache")}
        out = str(place / "models" / f"{name}.safetensors")
        planes = [Photograph(seed) for seed in range(photographs)]
        asked = TrainingRequest(out, **(fields | request))
        jobs.append(TrainingJob(asked, planes, planes[0]))
        jobs[-1].start()
        return jobs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield started
    for job in jobs:
        job.close()
        if not job.wait(PATIENCE) and job.process_id:
            os.kill(job.process_id, signal.SIGTERM)
        job.discard()


@dataclass
class Run:
    """A job that has ended: what it said, and the model's bytes."""

    job: TrainingJob
    heard: list

    def __post_init__(self):
        out = Path(self.job.request.out)
        self.model = out.read_bytes() if out.exists() else None

    def said(self, kind):
        return [message for message in self.heard if isinstance(message, kind)]


@pytest.fixture(scope="module")
def stopped(start):
    """A training that was stopped after its first message about a step."""
    job = start("small", settings=LONG)
    heard = listen(job, until=lambda message: isinstance(message, Progress))
    job.stop()
    return Run(job, heard + listen(job))


@pytest.fixture(scope="module")
def resumed(start, stopped):
    """The same, gone on with to its end, with pictures."""
    settings = TINY | {"steps": stopped.heard[-1].steps + 2}
    job = start("small", settings=settings, resume=True, picture_seconds=0)
    return Run(job, listen(job))


@pytest.fixture(scope="module")
def scans(place):
    """A folder of one image and one file that says it is one."""
    folder = place / "scans"
    folder.mkdir()
    Image.fromarray(Photograph(2).pixels).save(folder / "eye.png")
    (folder / "broken.png").write_text("no image")
    return str(folder)


@pytest.fixture(scope="module")
def adapted(start, resumed, scans):
    """An adaptation to a folder, with every import in its log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        job = start(
            "fitted",
            model=resumed.job.request.out,
            folder=scans,
            steps=2,
            picture_seconds=0,
        )
        return Run(job, listen(job))


@pytest.fixture(scope="module")
def failed(start, scans):
    """Three trainings that fail, side by side."""
    jobs = {
        "sentence": start("sentence", folder=scans),
        "error": start("error", settings={"nonsense": 1}),
        "crash": start("crash", settings=LONG),
    }
    crash = jobs["crash"]
    heard = listen(crash, until=lambda said: isinstance(said, Preparing) and said.total)
    os.kill(crash.process_id, KILL)
    return {
        name: Run(job, (heard if job is crash else []) + listen(job))
        for name, job in jobs.items()
    }


def test_stop_keeps_the_best_so_far(stopped):
    last = stopped.heard[-1]
    assert stopped.heard[0] == Preparing(0, 0)
    assert last == Finished(stopped.job.request.out, last.steps, stopped=True)
    assert stopped.model is not None


def test_a_stopped_training_goes_on_to_its_end(stopped, resumed):
    heard, last = resumed.heard, stopped.heard[-1].steps
    assert resumed.said(Preparing)[-1] == Preparing(2, 2)
    steps = resumed.said(Progress)
    assert steps[0].step == last + 1
    assert steps[-1].step == steps[-1].steps == last + 2
    assert steps[-1].share == 1
    assert steps[-1].losses["total"] > 0
    assert heard[-1] == Finished(resumed.job.request.out, last + 2, stopped=False)
    assert resumed.model != stopped.model
    summary = read_card(Path(resumed.job.request.out))
    assert tuple(summary.structures) == ("optic disc",)
    assert summary.clusters == TINY["clusters"]


def test_what_a_validation_measured_is_told(stopped, resumed):
    told = [
        step.validation for step in (*stopped.said(Progress), *resumed.said(Progress))
    ]
    assert all(0 <= measured["score"] <= 1 for measured in told if measured)
    assert any(told)


def test_the_current_image_is_shown(resumed):
    pictured = resumed.said(Pictured)[-1]
    labels = resumed.job.read(pictured.file)["labels"]
    assert labels.shape == (120, 120)
    assert labels[0, 0] == 0
    assert 1 <= labels[60, 60] <= TINY["clusters"]
    assert np.shape(pictured.colours) == (TINY["clusters"] + 1, 4)
    resumed.job.discard()
    assert not resumed.job.folder.exists()


def test_an_adaptation_shows_before_and_after(adapted, resumed):
    assert isinstance(adapted.heard[-1], Finished), adapted.heard
    assert adapted.said(Compared)[0].views == ["optic disc", "clusters"]
    assert adapted.model != resumed.model


def test_images_that_cannot_be_read_are_named(adapted):
    said = adapted.said(Noted)[0].text
    assert said.startswith("Left out: ")
    assert "broken.png is not an image" in said


def test_the_process_does_without_napari_and_qt(adapted):
    """Training, adapting and pictures need none of it."""
    assert adapted.said(Pictured)
    assert adapted.said(Compared)
    lines = adapted.job.log.read_text().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert {"torch", "napari_localdisc.core.training.adapt"} <= imported
    assert not {"napari", "vispy", "qtpy", "magicgui"} & imported


def test_stop_before_the_first_step_leaves_nothing(start):
    job = start("never")
    job.stop()
    assert listen(job)[-1] == Stopped()
    assert not Path(job.request.out).exists()


def test_what_the_user_can_put_right_is_one_sentence(failed):
    sentence = "Training needs at least 2 images and got 1 (1 could not be read)."
    assert failed["sentence"].heard[-1] == Failed(sentence)


def test_an_error_of_the_process_is_told_with_its_log(failed):
    job, last = failed["error"].job, failed["error"].heard[-1]
    assert isinstance(last, Failed)
    assert "TypeError" in last.reason
    assert str(job.log) in last.reason
    assert "Traceback" in job.log.read_text()


@needs_signals
def test_a_crash_of_the_process_is_told(failed):
    last = failed["crash"].heard[-1]
    assert isinstance(last, Failed)
    assert "SIGKILL" in last.reason
    assert failed["crash"].model is None


ORPHAN = """
import sys, time
from napari_localdisc.viewer.training.job import TrainingJob
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.viewer.training.request import TrainingRequest
from tests.tiny_training import TINY, Photograph, listen

out, cache = sys.argv[1:]
settings = TINY | {"steps": 100_000}
asked = TrainingRequest(out=out, settings=settings, device="cpu", cache=cache)
job = TrainingJob(asked, [Photograph(0), Photograph(1)])
job.start()
listen(job, until=lambda message: isinstance(message, Progress))
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
    step = Progress(3, 6, 0.5, 1.5, {"total": 2.0}, {"score": 0.5})
    assert from_line(to_line(step)) == step
    for line in ("", "hello", "[1]", '{"message": "Unknown"}', '{"message": "Failed"}'):
        assert from_line(line) is None
