"""Side tasks end together with the copy they belong to, and the first real error is the one told."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from squashproxy.errors import IntegrityError, NotFound
from squashproxy.pipeline.crew import Crew

PATIENCE = 10.0


def endless(begun: Event) -> Iterator[bytes]:
    while True:
        yield b"more"
        begun.set()


def consume(crew: Crew, begun: Event) -> None:
    for _ in crew.watched(endless(begun)):
        pass


def test_the_block_ends_when_every_task_has() -> None:
    done: list[int] = []
    with Crew(2) as crew:
        for number in range(5):
            crew.start(lambda number=number: done.append(number))
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_a_tasks_error_ends_the_other_tasks_and_is_raised() -> None:
    begun = Event()

    def fail() -> None:
        assert begun.wait(PATIENCE)
        raise NotFound("the blob is gone")

    with pytest.raises(NotFound, match="the blob is gone"), Crew(2) as crew:
        crew.start(lambda: consume(crew, begun))
        crew.start(fail)


def test_a_tasks_error_ends_a_stream_of_the_block_and_is_raised_instead_of_its_end() -> None:
    begun = Event()

    def fail() -> None:
        assert begun.wait(PATIENCE)
        raise NotFound("the blob is gone")

    with pytest.raises(NotFound, match="the blob is gone"), Crew(1) as crew:
        crew.start(fail)
        consume(crew, begun)


@pytest.mark.parametrize("error", [IntegrityError("damaged"), KeyboardInterrupt()])
def test_an_error_of_the_block_ends_the_tasks(error: BaseException) -> None:
    begun = Event()
    with pytest.raises(type(error)), Crew(1) as crew:
        crew.start(lambda: consume(crew, begun))
        assert begun.wait(PATIENCE)
        raise error


def test_tasks_that_never_began_do_not_begin_after_an_error() -> None:
    begun, done = Event(), []
    with pytest.raises(IntegrityError), Crew(1) as crew:
        crew.start(lambda: consume(crew, begun))
        crew.start(lambda: done.append(1))
        assert begun.wait(PATIENCE)
        raise IntegrityError("damaged")
    assert not done


def test_the_error_is_raised_even_where_the_stopped_are_done_before_the_one_that_stopped_them() -> (
    None
):
    begun, stopped_is_done = Event(), Event()

    class LateEvent(Event):
        def set(self) -> None:
            is_first = not self.is_set()
            super().set()
            assert not is_first or stopped_is_done.wait(PATIENCE)

    def fail() -> None:
        assert begun.wait(PATIENCE)
        raise NotFound("the blob is gone")

    with pytest.raises(NotFound, match="the blob is gone"), Crew(2) as crew:
        crew._stop = LateEvent()
        crew.start(lambda: consume(crew, begun))
        crew._tasks[0].add_done_callback(lambda _: stopped_is_done.set())
        crew.start(fail)


