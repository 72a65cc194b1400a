"""Progress on its way through a record."""

from __future__ import annotations

from squashproxy.fleet.progress import ProgressRecorder, ProgressReplay
from tests.fleet.test_fleet import Recorder


def shown(*steps: tuple[int, list[list[object]]]) -> list[str]:
    recorder = Recorder()
    replay = ProgressReplay(recorder)
    for attempt, tasks in steps:
        replay.show(attempt, tasks, ())
    replay.close()
    return recorder.shown


def test_what_a_worker_does_is_what_is_shown() -> None:
    recorder, replayed = ProgressRecorder(), Recorder()
    replay = ProgressReplay(replayed)
    first = recorder.start("layers", 10)
    first.advance(4)
    tasks, warnings = recorder.changes()
    replay.show(1, tasks or (), warnings or ())
    first.advance(6)
    first.finish("done")
    recorder.start("config", None).advance(1)
    recorder.warn("odd")
    recorder.warn("odd")
    tasks, warnings = recorder.changes()
    assert warnings == ("odd",)
    replay.show(1, tasks or (), warnings or ())
    replay.close()
    assert replayed.shown == [
        *("start layers 10", "layers +4", "warn odd", "layers +6", "end layers done"),
        *("start config None", "config +1", "end config"),
    ]


def test_where_nothing_is_new_nothing_is_written() -> None:
    recorder = ProgressRecorder()
    recorder.start("layers", 10)
    assert recorder.changes()[0] is not None
    assert recorder.changes() == (None, None)
    recorder.tell_again()
    assert recorder.changes()[0] is not None


def test_news_that_was_lost_is_made_up_for_by_the_next() -> None:
    assert shown((1, [[1, "a", 2, 1, None]]), (1, [[3, "c", 2, 2, None]])) == [
        *("start a 2", "a +1", "start c 2", "c +2", "end a", "end c")
    ]


def test_another_worker_begins_from_the_start() -> None:
    assert shown((1, [[1, "a", 2, 1, None]]), (2, [[1, "a", 2, 2, None]])) == [
        *("start a 2", "a +1", "end a", "start a 2", "a +2", "end a")
    ]


def test_old_news_change_nothing() -> None:
    assert shown((1, [[1, "a", 2, 2, "done"]]), (1, [[1, "a", 2, 1, None]])) == [
        *("start a 2", "a +2", "end a done")
    ]


def test_a_job_of_thousands_of_files_keeps_its_record_small() -> None:
    recorder = ProgressRecorder()
    for number in range(5000):
        recorder.start("x" * 5000, number).finish()
        recorder.warn(f"warning {number}")
    tasks, _ = recorder.changes()
    assert tasks is not None
    assert len(tasks) <= 32
    assert len(str(tasks)) < 50_000
    assert len(recorder.warnings) <= 200
