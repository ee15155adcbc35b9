"""The file of a study."""

import sqlite3
import zlib
from dataclasses import replace

import numpy as np
import pytest

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.study import FILE_NAME, About, Study, is_study

SHAPE = (9, 13)


@pytest.fixture
def about():
    return About(
        model="tiny", model_hash="0", kind="fundus", structures=("vessel", "optic disc")
    )


@pytest.fixture
def study(tmp_path, about):
    images = [tmp_path / f"p{n}_{eye}.png" for n in (1, 2) for eye in ("OD", "OS")]
    return Study.create(tmp_path, images, about)


@pytest.fixture
def masks():
    rng = np.random.default_rng(0)
    return {name: rng.random(SHAPE) > 0.5 for name in ("vessel", "optic disc")}


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


def test_images_are_listed_with_eye_and_state(study, tmp_path):
    images = study.images("anna")
    assert [image.path for image in images] == [
        tmp_path / f"{name}.png" for name in ("p1_OD", "p1_OS", "p2_OD", "p2_OS")
    ]
    assert [image.origin.eye for image in images] == ["right", "left"] * 2
    assert {image.origin.patient for image in images} == {"p1", "p2"}
    assert {image.state for image in images} == {"new"}


def test_images_are_added_once(study, tmp_path):
    assert study.add_images([tmp_path / "p1_OD.png", tmp_path / "p3_OD.png"]) == 1
    assert len(study.images("")) == 5


def test_the_folder_may_be_moved(study, tmp_path, masks):
    study.propose(1, masks, 0.5, "so")
    (tmp_path / FILE_NAME).rename(tmp_path.parent / "moved.sqlite")
    moved = Study(tmp_path.parent / "moved.sqlite")
    assert same(moved.proposal(1), masks)
    assert moved.images("")[0].path == tmp_path.parent / "p1_OD.png"


def test_a_proposal_is_what_a_grader_begins_with(study, masks):
    study.propose(1, masks, 0.25, "so", b"picture")
    image = study.image(1, "anna")
    assert (image.state, image.certainty) == ("proposed", 0.25)
    assert study.proposed_by(1) == "so"
    assert study.thumbnails() == {1: b"picture"}
    assert same(study.masks(1, "anna"), masks)
    assert not study.is_graded(1, "anna")


def test_graders_do_not_touch_each_other(study, masks):
    study.propose(1, masks, 0.25, "so")
    image = study.image(1, "anna")
    empty = {name: np.zeros(SHAPE, bool) for name in masks}
    saved = study.save(
        replace(image, state="rejected", note="blurred", seconds=7), "anna", empty
    )
    assert study.image(1, "anna") == saved
    assert (saved.state, saved.note, saved.seconds) == ("rejected", "blurred", 7)
    assert same(study.masks(1, "anna"), empty)
    assert study.image(1, "ben").state == "proposed"
    assert same(study.masks(1, "ben"), masks)
    # A new proposal leaves what people made
    study.propose(1, {name: ~mask for name, mask in masks.items()}, 0.5, "otherwise")
    assert same(study.masks(1, "anna"), empty)
    assert study.graders == ["anna"]


def test_two_windows_of_one_grader(study, masks):
    here, there = study.image(1, "anna"), study.image(1, "anna")
    study.save(replace(there, state="accepted"), "anna", masks)
    with pytest.raises(FileError, match="another window"):
        study.save(replace(here, state="rejected"), "anna")
    assert study.image(1, "anna").state == "accepted"


def test_where_a_grader_was(study):
    assert study.current("anna") is None
    study.set_current("anna", 3)
    study.set_current("ben", 1)
    study.set_current("anna", 2)
    assert Study(study.path).current("anna") == 2
    assert study.graders == ["anna", "ben"]


def test_nobody_saves_nothing(study):
    with pytest.raises(FileError, match="name"):
        study.save(study.image(1, ""), "")


def test_what_was_measured_is_kept_for_these_masks(study, masks):
    study.propose(1, masks, 0.5, "so")
    mark = study.mark(1, "anna")
    study.put_measures(1, "anna", mark, [["a", 1.5, None]])
    assert study.measures(1, "anna", mark) == [["a", 1.5, None]]
    study.save(study.image(1, "anna"), "anna", {n: ~m for n, m in masks.items()})
    assert study.mark(1, "anna") != mark
    assert study.measures(1, "anna", study.mark(1, "anna")) is None


def test_lessons_come_and_go(study):
    lesson = {
        "features": np.ones((2, 3), np.float16),
        "labels": np.array([0, 1], np.uint8),
        "weights": np.ones(2, np.float32),
    }
    study.put_lesson(1, "anna", {"vessel": lesson})
    study.put_lesson(2, "anna", {"vessel": lesson, "optic disc": lesson})
    found = study.lessons("anna")
    assert {name: sorted(own) for name, own in found.items()} == {
        "vessel": [1, 2],
        "optic disc": [2],
    }
    assert same(found["vessel"][1], lesson)
    study.put_lesson(2, "anna", {})
    assert list(study.lessons("anna")) == ["vessel"]
    assert study.lessons("ben") == {}


def test_learning_is_switched_for_all(study):
    assert study.about.learns
    study.set_learns(False)
    assert not Study(study.path).about.learns


def test_a_study_is_not_replaced(study, about):
    with pytest.raises(FileError, match="already"):
        Study.create(study.path.parent, [], about)


@pytest.mark.parametrize("content", [b"", b"no database at all, of whatever length"])
def test_other_files_are_no_studies(tmp_path, content):
    path = tmp_path / "other.sqlite"
    path.write_bytes(content)
    assert not is_study(path)
    with pytest.raises(FileError):
        Study(path)


def test_other_databases_are_no_studies(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE masks (image)")
    db.close()
    with pytest.raises(FileError, match="not a study"):
        Study(path)


def test_a_later_version_says_so(study):
    with sqlite3.connect(study.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(FileError, match="later version"):
        Study(study.path)


def test_what_is_damaged_is_said(study, masks):
    study.propose(1, masks, 0.5, "so")
    with sqlite3.connect(study.path) as db:
        db.execute("UPDATE masks SET pixels = x'00'")
    db.close()
    with pytest.raises(FileError, match="damaged"):
        study.masks(1, "anna")
    with sqlite3.connect(study.path) as db:
        db.execute("UPDATE about SET value = '{}'")
    db.close()
    with pytest.raises(FileError, match="whole study"):
        Study(study.path)


HOSTILE = {
    "a view": "DROP TABLE images; CREATE VIEW images AS WITH RECURSIVE n(x) AS "
    "(SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n",
    "a trigger": "CREATE TRIGGER t BEFORE INSERT ON gradings BEGIN "
    "DELETE FROM masks; END",
    "another table": "ALTER TABLE masks ADD COLUMN more",
    "a path of no file": "UPDATE images SET path = 'a' || char(0) WHERE id = 1",
    "a path of no kind": "UPDATE images SET path = x'00' WHERE id = 1",
    "a text of no letters": "UPDATE images SET name = CAST(x'ff' AS TEXT)",
    "a state of no kind": "UPDATE gradings SET state = 'eaten'",
    "a note of no kind": "UPDATE gradings SET note = x'00'",
    "a time of no kind": "UPDATE gradings SET seconds = 9e999",
    "a revision of no kind": "UPDATE gradings SET revision = 'many'",
    "a mask without an end": "UPDATE masks SET height = 1 << 40",
    "a mask of no size": "UPDATE masks SET width = 0",
    "too many structures": "UPDATE about SET value = json_set(value, '$.structures', "
    "json('[' || substr(replace(hex(zeroblob(999)), '0', ',\"a\"'), 2) || ']'))",
}


@pytest.mark.parametrize("harm", HOSTILE)
def test_a_stranger_s_study_ends_in_a_sentence(study, masks, harm):
    study.propose(1, masks, 0.5, "so")
    study.save(study.image(1, "anna"), "anna", masks)
    with sqlite3.connect(study.path) as db:
        db.executescript(HOSTILE[harm])
    db.close()

    def look():
        opened = Study(study.path)
        return opened.masks(opened.images("anna")[0].id, "anna")

    with pytest.raises(FileError, match=r"not a whole study|damaged|cannot be used"):
        look()


def test_what_unpacks_to_more_than_it_may_is_not_unpacked(study, masks):
    study.propose(1, masks, 0.5, "so")
    bomb = zlib.compress(bytes(1 << 24))
    features = np.zeros((1 << 18, 9), np.float16)
    wide = {"features": features, "labels": features[:, 0], "weights": features[:, 0]}
    study.put_lesson(1, "anna", {"vessel": wide})
    study.put_measures(1, "anna", "so", [["no row"]])
    with sqlite3.connect(study.path) as db:
        db.execute("UPDATE masks SET pixels = ?", (bomb,))
    db.close()
    with pytest.raises(FileError, match="damaged"):
        study.masks(1, "anna")
    with pytest.raises(FileError, match="lessons of image 1"):
        study.lessons("anna")


def test_a_write_that_fails_leaves_all_as_it_was(study, masks):
    study.propose(1, masks, 0.5, "so")
    wrong = {"vessel": masks["vessel"], "optic disc": np.zeros((2, 2), bool)}
    with pytest.raises(FileError, match="one size"):
        study.save(study.image(1, "anna"), "anna", wrong)
    assert study.image(1, "anna").revision == 0
    assert same(study.masks(1, "anna"), masks)


def test_a_study_that_is_gone_is_not_made_anew(study):
    study.path.unlink()
    with pytest.raises(FileError):
        study.images("")
    assert not study.path.exists()
