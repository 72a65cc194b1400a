"""Bodies of uploads: whatever the chunks look like, the bytes and their digest are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.digest import Chunk, Hasher
from squashproxy.registry.upload.bodies import HashedChunks, Stream, Window
from squashproxy.streams import CHUNK

PATTERN = bytes(range(251)) * 4096
SIZES = st.lists(
    st.sampled_from([0, 1, 7, 512, 16_383, 16_384, 65_536, CHUNK - 1, CHUNK, CHUNK + 1, 900_000]),
    max_size=12,
)


def chunks_of(sizes: list[int], *, reuse: bool = False) -> Iterator[Chunk]:
    """Chunks of these sizes; `reuse` gives views of one buffer that is overwritten each time."""
    buffer = bytearray(1_000_000)
    for number, size in enumerate(sizes):
        data = PATTERN[number : number + size]
        if reuse:
            buffer[:size] = data
            yield memoryview(buffer)[:size]
            buffer[:size] = bytes(size)
        else:
            yield memoryview(data) if number % 2 else data


@settings(deadline=None)
@given(sizes=SIZES, limit=st.sampled_from([5000, 65_536, CHUNK, 4 << 20]), reuse=st.booleans())
def test_windows_hold_all_bytes_in_order(*, sizes: list[int], limit: int, reuse: bool) -> None:
    expected = b"".join(chunks_of(sizes))
    hasher = Hasher()
    chunks = HashedChunks(chunks_of(sizes, reuse=reuse), hasher)
    sent = b""
    window = Window(0)
    more = True
    while more:
        more = window.fill(chunks, limit)
        assert window.size <= limit
        body = b"".join(window)
        assert len(window) == len(body)
        assert b"".join(window) == body
        assert window.start == len(sent)
        sent += body
        window = Window(window.end)
    assert sent == expected
    assert hasher.digest == "sha256:" + hashlib.sha256(expected).hexdigest()


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_window_can_be_sent_from_anywhere_in_it(sizes: list[int], data: st.DataObject) -> None:
    window = Window(1000)
    window.fill(HashedChunks(chunks_of(sizes), Hasher()), 5_000_000)
    whole = b"".join(window)
    position = data.draw(st.integers(window.start, window.end))
    window.send_from(position)
    assert b"".join(window) == whole[position - 1000 :]
    assert (window.position, len(window)) == (position, window.end - position)


@settings(deadline=None)
@given(SIZES, st.integers(min_value=0, max_value=2_000_000))
def test_a_stream_goes_on_after_its_window(sizes: list[int], limit: int) -> None:
    chunks = HashedChunks(chunks_of(sizes), Hasher())
    window = Window(0)
    window.fill(chunks, limit)
    pieces = [bytes(piece) for piece in Stream(window, chunks)]
    assert b"".join(pieces) == b"".join(chunks_of(sizes))
    assert all(0 < len(piece) <= CHUNK for piece in pieces)


def test_small_chunks_travel_together() -> None:
    chunks = HashedChunks((b"x" * 512 for _ in range(2048)), Hasher())
    assert [len(piece) for piece in chunks.iter_pieces()] == [CHUNK] * 4


def test_large_immutable_chunks_are_not_copied() -> None:
    chunk = bytes(CHUNK)
    window = Window(0)
    window.fill(HashedChunks([chunk, memoryview(chunk)], Hasher()), 2 * CHUNK)
    assert all(memoryview(piece).obj is chunk for piece in window)


def test_a_small_view_does_not_keep_a_large_buffer() -> None:
    chunk = bytes(8 * CHUNK)
    window = Window(0)
    window.fill(HashedChunks([memoryview(chunk)[:20_000]], Hasher()), CHUNK)
    (piece,) = window
    assert memoryview(piece).obj is not chunk
