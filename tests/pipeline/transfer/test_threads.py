"""Side tasks end with their copy, and the error raised is the first one that is no cancellation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from threading import Event

import pytest

from squashproxy.errors import IntegrityError, NotFound
from squashproxy.pipeline.transfer.threads import CopyThreads

PATIENCE = 10.0
Task = Callable[[], None]


class Endless:
    """A stream of the threads that ends only when they stop."""

    def __init__(self, threads: CopyThreads) -> None:
        self.begun = Event()
        self._threads = threads

    def __call__(self) -> None:
        for _ in self._threads.read_ahead(self._stream(), len, "more"):
            pass

    def wait(self) -> None:
        assert self.begun.wait(PATIENCE)

    def _stream(self) -> Iterator[bytes]:
        while True:
            yield b"more"
            self.begun.set()


def failing_after(work: Endless) -> Task:
    def fail() -> None:
        work.wait()
        raise NotFound("the blob is gone")

    return fail


def test_the_block_ends_when_every_task_has() -> None:
    done: list[int] = []
    with CopyThreads(2) as threads:
        for number in range(5):
            threads.start(partial(done.append, number))
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_a_tasks_error_ends_the_other_tasks_and_is_raised() -> None:
    def run() -> None:
        with CopyThreads(2) as threads:
            work = Endless(threads)
            threads.start(work)
            threads.start(failing_after(work))

    with pytest.raises(NotFound, match="the blob is gone"):
        run()


def test_a_tasks_error_ends_the_stream_of_the_block_and_is_raised_in_its_place() -> None:
    def run() -> None:
        with CopyThreads(1) as threads:
            work = Endless(threads)
            threads.start(failing_after(work))
            work()

    with pytest.raises(NotFound, match="the blob is gone"):
        run()


@pytest.mark.parametrize("error", [IntegrityError("damaged"), KeyboardInterrupt()])
def test_an_error_of_the_block_ends_the_tasks_and_those_to_come(error: BaseException) -> None:
    done: list[int] = []

    def run() -> None:
        with CopyThreads(1) as threads:
            work = Endless(threads)
            threads.start(work)
            threads.start(partial(done.append, 1))
            work.wait()
            raise error

    with pytest.raises(type(error)):
        run()
    assert not done


def test_the_error_is_told_even_where_the_stopped_are_done_before_the_one_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped_is_done = Event()

    def run() -> None:
        with CopyThreads(2) as threads:
            stop = threads.stop

            def stop_and_wait() -> None:
                is_first = not threads._is_stopped
                stop()
                assert not is_first or stopped_is_done.wait(PATIENCE)

            monkeypatch.setattr(threads, "stop", stop_and_wait)
            work = Endless(threads)
            threads.start(work)
            threads._tasks[0].add_done_callback(lambda _: stopped_is_done.set())
            threads.start(failing_after(work))

    with pytest.raises(NotFound, match="the blob is gone"):
        run()
