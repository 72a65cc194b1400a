"""Work without progress is given up; work that moves is not, however slowly."""

from __future__ import annotations

from squashproxy.cancellation import Cancellation
from squashproxy.progress import SilentObserver
from squashproxy.server.jobs.idle_watch import IdleWatch


def test_it_is_given_up_after_its_time_without_progress() -> None:
    now = [100.0]
    cancellation = Cancellation()
    watch = IdleWatch(SilentObserver(), cancellation, 60.0, clock=lambda: now[0])
    task = watch.start("layer", 100)
    for _ in range(5):
        now[0] += 59
        watch.check()
        task.advance(1)
    task.finish()
    now[0] += 60
    watch.check()
    assert not cancellation.is_cancelled
    now[0] += 1
    watch.check()
    assert cancellation.is_cancelled
    assert watch.has_given_up


def test_it_watches_by_itself() -> None:
    cancellation = Cancellation()
    with IdleWatch(SilentObserver(), cancellation, 0.01) as watch:
        while not cancellation.is_cancelled:
            watch.warn("the work goes on")
    assert watch.has_given_up


def test_a_cancellation_from_elsewhere_is_not_its_own() -> None:
    cancellation = Cancellation()
    with IdleWatch(SilentObserver(), cancellation, 60.0) as watch:
        cancellation.cancel()
    assert not watch.has_given_up
