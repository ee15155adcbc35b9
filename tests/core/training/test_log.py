import pytest

from napari_localdisc.core.training.log import Log, draw_losses, is_log, read_log
from napari_localdisc.core.training.progress import Progress

STEP = Progress(step=25, steps=50, share=0.5, seconds=1.0, losses={"total": 2.0})


def test_rows_are_means_and_are_read_again(tmp_path):
    log = Log(tmp_path / "log.csv", every=2)
    for step, total in ((1, 1.0), (2, 3.0)):
        log.add(Progress(step, 50, 0.1, 1.0, {"total": total}))
    again = Log(tmp_path / "log.csv", from_step=2)
    assert [(row["step"], row["total"]) for row in again.rows] == [("2", "2.0000")]
    assert is_log(tmp_path / "log.csv")


def test_a_log_that_cannot_be_written_does_not_end_a_training(tmp_path):
    log = Log(tmp_path / "vanished" / "log.csv")
    with pytest.warns(UserWarning, match=r"log\.csv cannot be written"):
        log.add(STEP)
    assert len(log.rows) == 1
    with pytest.warns(UserWarning, match=r"losses\.png cannot be written"):
        draw_losses(log.rows, tmp_path / "vanished" / "losses.png")


def test_another_table_is_no_log(tmp_path):
    (tmp_path / "study.csv").write_text("patient,age\n1,70\n")
    assert not is_log(tmp_path / "study.csv")


def test_what_somebody_made_of_a_log_ends_no_training(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(
        b"step,seconds,total,note\n1,0.5,2.5,mine\n,1,1\nsix,1,1\n2,nan,x\n"
        + b"9" * 400 + b",1,1\n3,1.5,2\n\xff\xfe,1,1\n4,2,2\n"
    )  # fmt: skip
    rows = read_log(path)
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0] == {"step": "1", "seconds": "0.5", "total": "2.5"}
    assert rows[1] == {"step": "2"}
    log = Log(path, from_step=2)
    log.add(STEP)
    assert [row["step"] for row in read_log(path)] == ["1", "2", "25"]
    assert read_log(tmp_path / "none.csv") == []
