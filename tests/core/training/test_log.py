import pytest

from napari_localdisc.core.training.log import Log, draw_losses, is_log
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
