"""Streams that are read ahead: same items, same order, bounded, and both ends can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.errors import IntegrityError, StreamConsumed
from squashproxy.pipeline.transfer.read_ahead import ReadAhead, Stopped

PATIENCE = 10.0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.binary(max_size=300_000), max_size=12))
def test_every_item_comes_out_once_and_in_order(items: list[bytes]) -> None:
    assert list(ReadAhead(iter(items), len, "items")) == items


def test_an_error_comes_out_behind_the_items_before_it() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(200_000)
        raise IntegrityError("the blob is damaged")

    stream = iter(ReadAhead(broken(), len, "broken"))
    assert next(stream) == bytes(200_000)
    with pytest.raises(IntegrityError, match="the blob is damaged"):
        next(stream)


def test_only_so_much_is_read_ahead() -> None:
    taken = 0
    full = Event()

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            if taken == 3:
                full.set()
            yield bytes(512 << 10)

    ahead = ReadAhead(endless(), len, "endless")
    assert full.wait(PATIENCE)
    ahead.join(0.2)
    assert taken == 3
    ahead.stop()
    ahead.join(PATIENCE)
    assert not ahead.is_running


def test_stopping_closes_the_stream_in_its_own_thread() -> None:
    closed = Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(128 << 10)
        finally:
            closed.set()

    ahead = ReadAhead(endless(), len, "endless")
    next(iter(ahead))
    ahead.stop()
    assert closed.wait(PATIENCE)


def test_stopping_frees_a_reader_whose_stream_hangs() -> None:
    release = Event()
    outcome: list[BaseException] = []

    def hanging() -> Iterator[bytes]:
        assert release.wait(PATIENCE)
        yield b""

    ahead = ReadAhead(hanging(), len, "hanging")

    def read() -> None:
        try:
            list(ahead)
        except Stopped as error:
            outcome.append(error)

    reader = Thread(target=read)
    reader.start()
    ahead.stop()
    reader.join(PATIENCE)
    assert len(outcome) == 1
    release.set()
    ahead.join(PATIENCE)
    assert not ahead.is_running


def test_a_second_reader_is_told_that_the_stream_is_consumed() -> None:
    ahead = ReadAhead(iter([b"one"]), len, "fetch 3")
    assert list(ahead) == [b"one"]
    with pytest.raises(StreamConsumed, match="fetch 3"):
        list(ahead)
