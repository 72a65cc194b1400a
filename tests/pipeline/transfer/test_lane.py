"""A lane runs its tasks in order, no more than its width at once; an error of one ends the copy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

import pytest

from squashproxy.errors import NotFound
from squashproxy.pipeline.transfer.lane import Lane
from squashproxy.pipeline.transfer.read_ahead import Stopped
from squashproxy.pipeline.transfer.threads import CopyThreads

PATIENCE = 10.0


def test_each_task_gives_its_result() -> None:
    with CopyThreads(3) as threads:
        lane = Lane(threads, 2)
        begun = [lane.begin(partial(str, number)) for number in range(9)]
        assert [lane.await_result(each) for each in begun] == [str(number) for number in range(9)]


@pytest.mark.parametrize("width", [1, 2])
def test_no_more_tasks_run_at_once_than_the_lane_is_wide(width: int) -> None:
    begun: list[int] = []
    doors = [Event() for _ in range(4)]

    def enter(number: int) -> None:
        begun.append(number)
        assert doors[number].wait(PATIENCE)

    with CopyThreads(4) as threads:
        lane = Lane(threads, width)
        tasks = [lane.begin(partial(enter, number)) for number in range(4)]
        for number, task in enumerate(tasks):
            assert len(begun) <= number + width
            doors[number].set()
            lane.await_result(task)
    assert sorted(begun) == [0, 1, 2, 3]


def test_tasks_that_wait_hold_no_thread() -> None:
    door, others = Event(), Event()
    with CopyThreads(2) as threads:
        lane = Lane(threads, 1)
        for _ in range(3):
            lane.begin(partial(door.wait, PATIENCE))
        threads.start(others.set)
        assert others.wait(PATIENCE)
        door.set()


def test_an_error_is_raised_where_the_result_is_awaited_and_ends_the_copy() -> None:
    def fail() -> None:
        raise NotFound("the blob is gone")

    def run(await_result: Callable[[Lane], None]) -> None:
        with CopyThreads(2) as threads:
            await_result(Lane(threads, 1))

    with pytest.raises(NotFound, match="the blob is gone"):
        run(lambda lane: lane.await_result(lane.begin(fail)))
    with pytest.raises(NotFound, match="the blob is gone"):
        run(lambda lane: lane.await_result((lane.begin(fail), lane.begin(lambda: None))[1]))


def test_a_copy_that_ended_stops_who_awaits_a_task_that_never_began() -> None:
    with CopyThreads(1) as threads:
        pass
    lane = Lane(threads, 0)
    with pytest.raises(Stopped):
        lane.await_result(lane.begin(lambda: None))
