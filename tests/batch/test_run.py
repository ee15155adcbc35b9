"""Folders on this machine's cores, and on a real dask cluster that loses a worker."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_localdisc.batch.dask_cluster import (
    Scheduler,
    gpu_resources,
    outcome_of,
    own_device,
)
from napari_localdisc.batch.recipes import ClusterRecipe
from napari_localdisc.batch.run import run_tasks
from napari_localdisc.batch.tasks import Job, Outcome, Task, plan_tasks
from napari_localdisc.core.errors import FileError, ModelError
from napari_localdisc.core.model.model import load_model


@pytest.fixture
def pictures(tmp_path):
    """Make a folder of small bright images that differ."""

    def made(number_of_images: int) -> list[Path]:
        folder = tmp_path / "images"
        folder.mkdir()
        rng = np.random.default_rng(0)
        paths = []
        for number in range(number_of_images):
            path = folder / f"{number:03}.png"
            noise = rng.integers(60, 255, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(noise).save(path)
            paths.append(path)
        return paths

    return made


@pytest.fixture
def job(models):
    return Job(ClusterRecipe(5), "tiny", load_model("tiny", "cpu").hash, "cpu")


def planned(paths, folder, recipe):
    return plan_tasks(paths, folder, recipe.endings)


def ended(outcomes) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome is not None]


def complete(tasks) -> bool:
    for task in tasks:
        labels = tifffile.imread(task.outputs[0])
        if labels.shape != (64, 64) or labels.min() < 1:
            return False
    return True


def test_all_cores_write_every_image_once(pictures, job, tmp_path):
    import torch

    before = torch.get_num_threads()
    tasks = planned(pictures(7), tmp_path / "out", job.recipe)
    outcomes = ended(run_tasks(tasks, job, workers=3))
    assert Counter(outcome.state for outcome in outcomes) == {"written": 7}
    assert {outcome.task for outcome in outcomes} == set(tasks)
    assert complete(tasks)
    assert torch.get_num_threads() == before
    again = ended(run_tasks(tasks, job))
    assert Counter(outcome.state for outcome in again) == {"skipped": 7}


def test_closing_keeps_what_is_done(pictures, job, tmp_path):
    tasks = planned(pictures(12), tmp_path / "out", job.recipe)
    outcomes = run_tasks(tasks, job, workers=1)
    done = [outcome.task for outcome in islice(filter(None, outcomes), 3)]
    outcomes.close()
    written = [task for task in tasks if task.outputs[0].exists()]
    assert set(done) <= set(written)
    assert len(written) < 12
    assert complete(written)


def test_closing_stops_within_an_image(pictures, job, tmp_path, monkeypatch):
    """The image that is being worked on is given up after its tile."""
    asked = threading.Event()

    def endless(self, image, model, progress=None):
        for number in count():
            asked.set()
            time.sleep(0.01)
            progress(number, number + 1)

    monkeypatch.setattr(ClusterRecipe, "make", endless)
    outcomes = run_tasks(planned(pictures(3), tmp_path / "out", job.recipe), job)
    assert next(outcomes) is None  # nothing has ended, and the caller may stop it
    assert asked.wait(10)
    start = time.monotonic()
    outcomes.close()
    assert time.monotonic() - start < 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "at_once"),
    [({}, 4), ({"spare_cores": 1}, 3), ({"spare_cores": 9}, 1), ({"workers": 2}, 2)],
)
def test_so_many_images_at_once(pictures, job, tmp_path, monkeypatch, options, at_once):
    """One a core; a window may keep cores for itself."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    lock, busy, most = threading.Lock(), Counter(), Counter()
    all_there = threading.Barrier(at_once)

    def make(self, image, model, progress=None):
        with lock:
            busy["now"] += 1
            most["ever"] = max(most["ever"], busy["now"])
        all_there.wait(10)
        with lock:
            busy["now"] -= 1
        return (np.ones(image.shape[:2], np.uint8),)

    monkeypatch.setattr(ClusterRecipe, "make", make)
    tasks = planned(pictures(12), tmp_path / "out", job.recipe)
    outcomes = ended(run_tasks(tasks, job, **options))
    assert [outcome.state for outcome in outcomes] == ["written"] * 12
    assert most["ever"] == at_once


def test_tiles_are_told(pictures, job, tmp_path):
    tasks = planned(pictures(1), tmp_path / "out", job.recipe)
    told = []
    ended(run_tasks(tasks, job, on_tile=lambda *tile: told.append(tile)))
    assert {task for task, _, _ in told} == set(tasks)
    assert told[-1][1] == told[-1][2] > 0


def test_what_may_pass_is_tried_again(pictures, job, tmp_path, monkeypatch):
    calls = Counter()
    make = ClusterRecipe.make

    def flaky(self, image, model, progress=None):
        calls[image.tobytes()] += 1
        if calls[image.tobytes()] == 1:
            raise MemoryError("not now")
        return make(self, image, model, progress)

    monkeypatch.setattr(ClusterRecipe, "make", flaky)
    tasks = planned(pictures(2), tmp_path / "out", job.recipe)
    outcomes = ended(run_tasks(tasks, job, workers=1))
    assert [outcome.state for outcome in outcomes] == ["written"] * 2


def test_another_model_of_the_name_is_refused(pictures, job, tmp_path):
    wrong = Job(job.recipe, "tiny", "0" * 16)
    with pytest.raises(ModelError, match="another one here"):
        next(run_tasks(planned(pictures(1), tmp_path, job.recipe), wrong))


def test_what_killed_processes_left_is_removed(pictures, job, tmp_path):
    tasks = planned(pictures(1), tmp_path / "out", job.recipe)
    (tmp_path / "out").mkdir()
    left = tmp_path / "out" / ".000_clusters.tif.x1y2z3"
    other = tmp_path / "out" / ".precious.tif.x1y2z3"
    for path in (left, other):
        path.write_text("half")
        os.utime(path, (time.time() - 60,) * 2)
    ended(run_tasks(tasks, job))
    assert not left.exists()
    assert other.exists()


def test_no_scheduler_there_is_a_sentence(pictures, job, tmp_path, monkeypatch):
    tasks = planned(pictures(1), tmp_path / "out", job.recipe)
    with pytest.raises(FileError, match="no scheduler file"):
        next(run_tasks(tasks, job, scheduler="gone"))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FileError, match=r"napari-localdisc\[cluster\]"):
        next(run_tasks(tasks, job, scheduler="tcp://127.0.0.1:1"))


def test_certificates_come_together_and_are_passed_on(tmp_path):
    files = [tmp_path / name for name in ("ca.pem", "me.pem", "key.pem")]
    with pytest.raises(FileError, match="There is no file"):
        Scheduler("tls://node1:8786", *files)
    for file in files:
        file.touch()
    with pytest.raises(FileError, match="three files"):
        Scheduler("tls://node1:8786", files[0])
    security = Scheduler("tls://node1:8786", *files).security["security"]
    assert security.require_encryption
    assert security.tls_ca_file == str(files[0])
    assert security.tls_client_cert == str(files[1])
    assert security.tls_client_key == str(files[2])
    assert Scheduler("tcp://node1:8786").security == {}


@pytest.mark.parametrize(
    ("status", "result", "said"),
    [
        ("finished", b'{"state": "written", "worker": "one"}', ""),
        ("finished", b"no JSON", "not understood"),
        ("finished", Path("pickled"), "not understood"),
        ("error", None, "failed on the cluster"),
        ("cancelled", None, "was cancelled"),
    ],
)
def test_what_a_cluster_says_is_plain_data(status, result, said):
    task = Task(Path("eye.png"), (Path("out.tif"),))
    future = SimpleNamespace(status=status, result=lambda: result)
    outcome = outcome_of(future, task)
    assert said in outcome.reason
    assert (outcome.state, outcome.task) == ("failed" if said else "written", task)
    assert outcome.worker == ("" if said else "one")


def start(module: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "distributed.cli." + module, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def cluster(models, tmp_path):
    """A scheduler and two workers, each a process of its own."""
    file = str(tmp_path / "scheduler.json")
    local = ("--scheduler-file", file)
    quiet = ("--no-dashboard",)
    processes = [
        start("dask_scheduler", *local, "--host", "127.0.0.1", "--port", "0", *quiet)
    ]
    for name, more in (("one", ("--resources", "GPU=1")), ("two", ())):
        folder = str(tmp_path / name)
        worker = ("--nthreads", "1", "--no-nanny", "--local-directory", folder, *more)
        processes.append(start("dask_worker", *local, *worker, *quiet, "--name", name))
    yield file, processes
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


@pytest.mark.slow
def test_a_lost_worker_loses_nothing(cluster, pictures, job, tmp_path):
    """The worker with a GPU does all the work, until it is killed."""
    file, (_, victim, _) = cluster
    job = replace(job, device=None)
    tasks = planned(pictures(16), tmp_path / "out", job.recipe)
    from distributed import Client

    with Client(scheduler_file=file, timeout="60s") as client:
        client.wait_for_workers(2, timeout=60)
    outcomes = []
    for outcome in filter(None, run_tasks(tasks, job, scheduler=file)):
        outcomes.append(outcome)
        if len(outcomes) == 4:
            victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert {outcome.worker for outcome in outcomes[:4]} == {"one"}
    assert {outcome.worker for outcome in outcomes[-4:]} == {"two"}
    sources = [outcome.task.source for outcome in outcomes]
    assert sorted(sources) == [task.source for task in tasks]
    assert {outcome.state for outcome in outcomes} <= {"written", "skipped"}
    assert complete(tasks)
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == [
        task.outputs[0].name for task in tasks
    ]
    again = ended(run_tasks(tasks, job, scheduler=file))
    assert {outcome.state for outcome in again} == {"skipped"}


def test_workers_of_one_machine_share_out_its_gpus():
    names = [own_device(None, f"node1-{number}", 4) for number in range(5)]
    assert names == ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:0"]
    assert own_device("cuda", "tcp://10.0.0.1:40575", 2) == "cuda:1"
    assert own_device("cuda", "node", 2) == "cuda:0"
    assert own_device(None, "node1-1", 1) is None
    assert own_device("cuda:3", "node1-1", 4) == "cuda:3"
    assert own_device("cpu", "node1-1", 4) == "cpu"


@pytest.mark.parametrize(
    ("device", "declared", "asked"),
    [
        (None, [{}, {"GPU": 1.0}], {"GPU": 1}),
        ("cuda", [{"GPU": 2.0}], {"GPU": 1}),
        ("cpu", [{"GPU": 1.0}], None),
        (None, [{"memory": 1.0}, {}], None),
    ],
)
def test_workers_that_say_they_have_a_gpu_are_asked_for(device, declared, asked):
    workers = {str(k): {"resources": said} for k, said in enumerate(declared)}
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers})
    assert gpu_resources(client, device) == asked


def test_after_kill_9_the_command_goes_on(pictures, job, models, tmp_path):
    paths, out = pictures(60), tmp_path / "out"
    command = [sys.executable, "-m", "napari_localdisc", "cluster"]
    command += [str(paths[0].parent), "-o", str(out), "-m", "tiny", "-n", "5"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list(out.glob("[!.]*"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    tasks = planned(paths, out, job.recipe)
    done = [task for task in tasks if task.outputs[0].exists()]
    assert complete(done)
    outcomes = ended(run_tasks(tasks, job))
    states = Counter(outcome.state for outcome in outcomes)
    assert states["skipped"] == len(done)
    assert states["skipped"] + states["written"] == 60
    assert complete(tasks)
