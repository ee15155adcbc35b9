"""What vispy deletes is not drawn with afterwards."""

from types import SimpleNamespace

import pytest

from napari_localdisc._qt.opengl import mend_deleted_objects


@pytest.fixture
def gl(monkeypatch):
    """A driver that gives a number again once it is free, as drivers do."""
    from vispy.gloo import glir

    used, told, there = [], [], set()

    def create():
        number = min(set(range(1, 9)) - there)
        there.add(number)
        return number

    fake = SimpleNamespace(
        glCreateProgram=create,
        glDeleteProgram=there.discard,
        glUseProgram=used.append,
        glCreateBuffer=lambda: 1,
        glDeleteBuffer=lambda handle: told.append("deleted"),
        glDisableVertexAttribArray=lambda number: told.append(number),
        used=used,
        told=told,
    )
    monkeypatch.setattr(glir, "gl", fake)
    for made in (glir.GlirProgram, glir.GlirBuffer):
        monkeypatch.setattr(made, "delete", made.delete)
    return fake


def program(parser):
    from vispy.gloo.glir import GlirProgram

    return GlirProgram(parser, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_number_that_is_given_again_is_used_anew(gl, times):
    for _ in range(times):
        mend_deleted_objects()
    parser = SimpleNamespace(env={})
    first = program(parser)
    first.activate()
    first.delete()
    second = program(parser)
    assert second.handle == first.handle
    second.activate()
    assert gl.used == [first.handle, 0, second.handle]


def test_another_program_stays_in_use(gl):
    mend_deleted_objects()
    parser = SimpleNamespace(env={})
    first, second = program(parser), program(parser)
    first.activate()
    second.delete()
    first.activate()
    assert gl.used == [first.handle]


def test_arrays_are_off_before_their_buffer_is_deleted(gl):
    from vispy.gloo.glir import GlirVertexBuffer

    mend_deleted_objects()
    GlirVertexBuffer(SimpleNamespace(env={}), 1).delete()
    assert gl.told == [*range(16), "deleted"]
