"""Sending in passing: the reader gets every chunk, the uploader what may be sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from squashproxy.pipeline.transfer.read_ahead import Stopped
from squashproxy.pipeline.transfer.sending import Sending

CHUNKS = [bytes([n]) * (200 << 10) for n in range(20)]


@pytest.fixture(name="pool")
def a_pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def sent(sending: Sending) -> list[bytes]:
    return list(sending.iter_sent())


def begin(pool: ThreadPoolExecutor, sending: Sending) -> Future[list[bytes]]:
    return pool.submit(sent, sending)


def test_both_get_every_chunk(pool: ThreadPoolExecutor) -> None:
    sending = Sending()
    upload = begin(pool, sending)
    assert list(sending.iter_passed(iter(CHUNKS))) == CHUNKS
    sending.confirm()
    assert upload.result() == CHUNKS


def test_the_end_is_held_back_until_the_verdict(pool: ThreadPoolExecutor) -> None:
    sending = Sending()
    upload = begin(pool, sending)
    for _ in sending.iter_passed(iter(CHUNKS)):
        pass
    assert not upload.done()
    sending.refuse()
    with pytest.raises(Stopped):
        upload.result()
    assert sending.is_refused


@pytest.mark.parametrize("after", [0, 1, 7, 19])
def test_the_reader_goes_on_when_the_blob_is_refused(pool: ThreadPoolExecutor, after: int) -> None:
    sending = Sending()
    upload = begin(pool, sending)
    read = []
    for number, chunk in enumerate(sending.iter_passed(iter(CHUNKS))):
        read.append(chunk)
        if number == after:
            sending.refuse()
    assert read == CHUNKS
    with pytest.raises(Stopped):
        upload.result()


def test_the_reader_goes_on_when_the_uploader_has_failed() -> None:
    sending = Sending()
    sending.stop()
    assert list(sending.iter_passed(iter(CHUNKS))) == CHUNKS


def test_an_error_of_the_blob_reaches_both(pool: ThreadPoolExecutor) -> None:
    def broken() -> Iterator[bytes]:
        yield CHUNKS[0]
        raise OSError("the line is dead")

    sending = Sending()
    upload = begin(pool, sending)
    with pytest.raises(OSError, match="dead"):
        list(sending.iter_passed(broken()))
    with pytest.raises(Stopped):
        upload.result()
