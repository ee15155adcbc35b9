from napari_localdisc.viewer.study.stopwatch import Stopwatch


def test_breaks_are_no_work():
    seconds = [0.0]
    watch = Stopwatch(lambda: seconds[0])
    for moment in (10, 30, 3000, 3010):
        seconds[0] = moment
        watch.touch()
    assert watch.seconds == 10 + 20 + 60 + 10
