"""Embeddings on disk: hits, misses, eviction, damage, several programs at once."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.io import cache as cache_entries
from napari_localdisc.io import cache as caching
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
    return sorted(path for path in cache.folder.iterdir() if path.is_dir())


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


@pytest.mark.parametrize("harm", ["flip", "cut", "no chunk", "no metadata", "other"])
def test_damaged_entry_is_a_miss_and_goes(cache, picture, embedding, model, harm):
    cache.store(picture, embedding)
    (entry,) = entries(cache)
    chunk = max(entry.rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(chunk.read_bytes())
    if harm == "flip":
        content[1000] ^= 1
        chunk.write_bytes(content)
    elif harm == "cut":
        chunk.write_bytes(content[:1000])
    elif harm == "no chunk":
        chunk.unlink()
    elif harm == "no metadata":
        (entry / "zarr.json").write_text("{")
    else:
        file = entry / "zarr.json"
        file.write_text(file.read_text().replace(model.hash, "0" * 16))
    assert cache.load(picture, model) is None
    assert entries(cache) == []
    cache.store(picture, embedding)
    assert cache.load(picture, model) is not None


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


KILLED = """
import os, signal, sys
import numpy as np
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.model import load_model
from napari_localdisc.io import cache, cache_entries

def arrays(embedding, all_of_them=cache_entries._arrays):
    for count, item in enumerate(all_of_them(embedding)):
        if count == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item

cache_entries._arrays = arrays
picture = np.load(sys.argv[1])
folder = cache.EmbeddingCache(sys.argv[2])
folder.store(picture, embed(picture, load_model("tiny", "cpu"), precision="float32"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is for POSIX")
def test_killed_in_the_middle(cache, picture, embedding, model, tmp_path, monkeypatch):
    np.save(tmp_path / "picture.npy", picture)
    given = [tmp_path / "picture.npy", cache.folder]
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, given)], timeout=120)
    assert done.returncode == -9
    (left,) = entries(cache)  # what was being made, under no entry's name
    assert cache.load(picture, model) is None
    cache.store(picture, embedding)
    assert cache.load(picture, model) is not None
    assert left.exists()  # might be another program at work
    monkeypatch.setattr(caching, "_ABANDONED_SECONDS", -1.0)
    cache.store(picture, embedding)
    assert not left.exists()


CLOSED = """
import sys, threading, time
import numpy as np
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.model import load_model
from napari_localdisc.io import cache_entries
from napari_localdisc.io.cache import EmbeddingCache

picture = np.load(sys.argv[1])
embedding = embed(picture, load_model("tiny", "cpu"), precision="float32")
begun = threading.Event()

def arrays(embedding, all_of_them=cache_entries._arrays):
    for item in all_of_them(embedding):
        begun.set()
        time.sleep(0.2)  # the program ends meanwhile
        yield item

cache_entries._arrays = arrays
cache = EmbeddingCache(sys.argv[2])
# As with threads of Qt, Python does not wait for it
threading.Thread(target=cache.store, args=(picture, embedding), daemon=True).start()
begun.wait()
"""


def test_a_program_that_is_closed_meanwhile_ends(cache, picture, model, tmp_path):
    np.save(tmp_path / "picture.npy", picture)
    given = [tmp_path / "picture.npy", cache.folder]
    command = [sys.executable, "-c", CLOSED, *map(str, given)]
    done = subprocess.run(command, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert entries(cache) == []


def test_cleared_while_an_entry_is_written(
    cache, picture, embedding, model, monkeypatch
):
    def arrays(embedding, all_of_them=cache_entries._arrays):
        for count, item in enumerate(all_of_them(embedding)):
            if count == 2:
                EmbeddingCache(cache.folder).clear()
            yield item

    monkeypatch.setattr(cache_entries, "_arrays", arrays)
    cache.store(picture, embedding)
    assert cache.load(picture, model) is None
    monkeypatch.undo()
    cache.store(picture, embedding)
    assert cache.load(picture, model) is not None


def test_unwritable_folder_is_a_sentence(tmp_path, picture, embedding):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be used"):
        EmbeddingCache(tmp_path / "file" / "cache").store(picture, embedding)


def test_user_folder(tmp_path, monkeypatch, picture, embedding, model):
    monkeypatch.setenv("LOCALDISC_CACHE", str(tmp_path / "own"))
    EmbeddingCache().store(picture, embedding)
    assert EmbeddingCache().load(picture, model) is not None
    assert len(entries(EmbeddingCache(tmp_path / "own"))) == 1
