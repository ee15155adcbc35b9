"""Embeddings on disk: hits, misses, eviction, damage, several programs at once."""

import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import remove_unfinished
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.io.cache import EmbeddingCache, cached_embed, content_hash


@pytest.fixture
def model(models):
    return load_model("tiny", "cpu")


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


@pytest.fixture
def embedding(picture, model):
    return embed(picture, model, precision="float32")


def entries(cache):
    return sorted(cache.folder.glob("[!.]*.safetensors"))


def making(cache):
    """What is being made, or was when its program was killed."""
    return sorted(cache.folder.glob(".localdisc-*"))


def test_hit_is_the_same_bit_for_bit(cache, picture, model, embedding):
    assert cache.load(picture, model) is None
    cache.store(picture, embedding)
    found = cache.load(picture, model)
    assert found.shape == embedding.shape
    assert found.grid == embedding.grid
    assert found.model_hash == embedding.model_hash
    np.testing.assert_array_equal(found.field_of_view, embedding.field_of_view)
    np.testing.assert_array_equal(found.vectors, embedding.vectors)
    np.testing.assert_array_equal(found.probability, embedding.probability)
    np.testing.assert_array_equal(found.clusters(8), embedding.clusters(8))
    at = [(20, 20)], [(5, 30)]
    np.testing.assert_array_equal(found.mask(*at), embedding.mask(*at))
    for readout in ("presence", "probability"):
        np.testing.assert_array_equal(
            found.structure("vessel", readout), embedding.structure("vessel", readout)
        )


def test_hash_given_is_the_hash_used(cache, picture, model, embedding):
    cache.store(None, embedding, image_hash=content_hash(picture))
    assert cache.load(picture, model) is not None
    assert cache.load(picture, model, image_hash="0" * 40) is None


def test_anything_else_is_a_miss(cache, picture, model, embedding, models):
    cache.store(picture, embedding)
    changed = picture.copy()
    changed[3, 4, 1] += 1e-6
    assert cache.load(changed, model) is None
    assert cache.load(picture.astype(np.float64), model) is None
    assert cache.load(picture, load_model("other", "cpu")) is None
    assert cache.load(picture, model, flips=2) is None
    larger = Model(
        model.card.__class__(**{**vars(model.card), "working_diameter": 160}),
        model.network,
        model.centres,
    )
    assert cache.load(picture, larger) is None


def test_hash_is_of_content_not_layout(picture):
    fortran = np.asfortranarray(picture)
    assert content_hash(fortran) == content_hash(picture)
    assert content_hash(picture[::-1]) != content_hash(picture)
    assert content_hash(picture.reshape(40, 48, 3)) != content_hash(picture)


def test_embeds_once(cache, picture, model, monkeypatch):
    first = cached_embed(picture, model, cache, flips=2)
    monkeypatch.setattr("napari_localdisc.core.embedding.embed.embed", None)
    second = cached_embed(picture, model, cache, flips=2)
    np.testing.assert_array_equal(second.vectors, first.vectors)


def test_least_recently_used_leaves(cache, picture, embedding, model):
    images = [picture + np.float32(step * 1e-3) for step in range(4)]
    for age, image in enumerate(images[:3]):
        known = set(entries(cache)) if age else set()
        cache.store(image, embedding)
        (new,) = set(entries(cache)) - known
        os.utime(new, (1e9 + age, 1e9 + age))
    assert cache.load(images[0], model) is not None  # used again: now the youngest
    one = cache.total_size() // 3
    small = EmbeddingCache(cache.folder, size_limit=2 * one + one // 2)
    small.store(images[3], embedding)
    assert small.total_size() <= small.size_limit
    there = [cache.load(image, model) is not None for image in images]
    assert there == [True, False, False, True]


def test_newest_stays_even_if_larger_than_the_limit(cache, picture, embedding, model):
    tiny = EmbeddingCache(cache.folder, size_limit=1)
    tiny.store(picture, embedding)
    assert tiny.load(picture, model) is not None


@pytest.mark.parametrize(
    "harm", ["flip", "cut", "empty", "header", "grid", "other", "no tensor"]
)
def test_damaged_entry_is_a_miss_and_goes(cache, picture, embedding, model, harm):
    cache.store(picture, embedding)
    (entry,) = entries(cache)
    content = entry.read_bytes()
    with safe_open(entry, "pt") as file:
        about, said = file.metadata()["about"], file.metadata()
    height = f"{picture.shape[:2]}"[1:-1]
    assert height in about
    if harm == "flip":
        entry.write_bytes(content[:-1000] + b"?" + content[-999:])
    elif harm == "cut":
        entry.write_bytes(content[:-1000])
    elif harm == "empty":
        entry.write_bytes(b"")
    elif harm == "header":
        entry.write_bytes(content[:20] + b"{" + content[21:])
    elif harm == "grid":
        wrong = height.translate(str.maketrans("0123456789", "1234567890"))
        entry.write_bytes(content.replace(height.encode(), wrong.encode(), 1))
    elif harm == "other":
        entry.write_bytes(content.replace(model.hash.encode(), b"0" * 16))
    else:
        tensors = load_file(entry)
        del tensors["probability"]
        save_file(tensors, entry, said)
    assert entry.read_bytes() != content
    assert cache.load(picture, model) is None
    assert entries(cache) == []
    cache.store(picture, embedding)
    assert cache.load(picture, model) is not None


def zarr_entry(cache, name):
    """What versions before this one kept: a folder."""
    folder = cache.folder / name
    (folder / "vectors" / "c").mkdir(parents=True)
    (folder / "vectors" / "c" / "0").write_bytes(bytes(50_000))
    return folder


def test_entries_of_earlier_versions_are_counted_and_go(cache, picture, embedding):
    old = zarr_entry(cache, "ab" * 20)
    assert cache.total_size() == 50_000
    cache.clear()
    assert not old.exists()
    old = zarr_entry(cache, "cd" * 20)
    cache.store(picture, embedding)
    assert not old.exists()
    assert cache.total_size() == entries(cache)[0].stat().st_size


def test_clear_spares_what_is_not_ours(cache, picture, embedding):
    cache.store(picture, embedding)
    (cache.folder / "notes.txt").write_text("mine")
    (cache.folder / "folder").mkdir()
    assert cache.total_size() > 10_000
    cache.clear()
    assert cache.total_size() == 0
    left = sorted(path.name for path in cache.folder.iterdir())
    assert left == ["folder", "notes.txt"]
    EmbeddingCache(cache.folder / "absent").clear()


def test_writers_at_once(cache, picture, embedding, model):
    failures = []

    def work():
        try:
            for _ in range(3):
                cache.store(picture, embedding)
                assert cache.load(picture, model) is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(entries(cache)) == 1


STORING = """
import os, signal, sys, threading, time
import numpy as np
import safetensors.torch
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.model import load_model
from napari_localdisc.io.cache import EmbeddingCache

picture = np.load(sys.argv[1])
embedding = embed(picture, load_model("tiny", "cpu"), precision="float32")
cache = EmbeddingCache(sys.argv[2])
save, begun = safetensors.torch.save_file, threading.Event()

def save_half(tensors, path, said):
    save(tensors, path, said)
    os.truncate(path, os.path.getsize(path) // 2)
    begun.set()
    in_the_middle()

safetensors.torch.save_file = save_half
"""

KILLED = """
def in_the_middle():
    os.kill(os.getpid(), signal.SIGKILL)

cache.store(picture, embedding)
"""

CLOSED = """
def in_the_middle():
    time.sleep(60)

# As with threads of Qt, Python does not wait for it
threading.Thread(target=cache.store, args=(picture, embedding), daemon=True).start()
begun.wait()
"""


@pytest.fixture
def stopped(cache, picture, tmp_path):
    """Run a program that ends while it writes an entry."""

    def run(program):
        np.save(tmp_path / "picture.npy", picture)
        given = [tmp_path / "picture.npy", cache.folder]
        command = [sys.executable, "-c", STORING + program, *map(str, given)]
        return subprocess.run(command, timeout=120, capture_output=True, text=True)

    return run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is for POSIX")
def test_killed_in_the_middle(cache, picture, embedding, model, stopped):
    assert stopped(KILLED).returncode == -9
    (left,) = making(cache)  # under no entry's name
    assert entries(cache) == []
    assert cache.total_size() > 0
    run = r"-\d+-([0-9a-f]{8}-[0-9a-f]{8}-)"
    alive = left.with_name(re.sub(run, rf"-{os.getppid()}-\1", left.name))
    alive.mkdir()
    remove_unfinished.cache_clear()  # a program that is started now
    assert cache.load(picture, model) is None
    assert not left.exists()
    cache.store(picture, embedding)
    assert cache.load(picture, model) is not None
    assert making(cache) == [alive]


def test_a_program_that_is_closed_meanwhile_ends(cache, picture, model, stopped):
    done = stopped(CLOSED)
    assert done.returncode == 0
    assert done.stderr == ""
    assert entries(cache) == []
    assert cache.load(picture, model) is None


def test_cleared_while_an_entry_is_written(
    cache, picture, embedding, model, monkeypatch
):
    def save_and_clear(tensors, path, said):
        save_file(tensors, path, said)
        EmbeddingCache(cache.folder).clear()

    monkeypatch.setattr("safetensors.torch.save_file", save_and_clear)
    cache.store(picture, embedding)
    assert cache.load(picture, model) is None
    assert list(cache.folder.iterdir()) == []
    monkeypatch.undo()
    cache.store(picture, embedding)
    assert cache.load(picture, model) is not None


def test_a_full_disk_is_a_sentence(cache, picture, embedding, monkeypatch):
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(FileError, match=r"cannot be used .*No space left"):
        cache.store(picture, embedding)
    assert list(cache.folder.iterdir()) == []


def test_unwritable_folder_is_a_sentence(tmp_path, picture, embedding):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be used"):
        EmbeddingCache(tmp_path / "file" / "cache").store(picture, embedding)


def test_user_folder(tmp_path, monkeypatch, picture, embedding, model):
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "own"))
    EmbeddingCache().store(picture, embedding)
    assert EmbeddingCache().load(picture, model) is not None
    assert len(entries(EmbeddingCache(tmp_path / "own"))) == 1
