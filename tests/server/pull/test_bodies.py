"""Parts of streams equal slices; their last bytes come only after the stream was verified."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.server.http.ranges import Part, find_part
from squashproxy.server.pull.bodies import cut


@given(st.lists(st.binary(max_size=9), max_size=9), st.data())
def test_a_part_is_a_slice(chunks: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(chunks)
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - start))
    found = cut(iter(chunks), Part(start, length, is_partial=True))
    assert b"".join(found) == whole[start : start + length]


def test_a_stream_that_fails_at_its_end_is_not_sent_whole() -> None:
    def lying() -> Iterator[bytes]:
        yield b"abc"
        yield b"def"
        raise ValueError("it was changed")

    sent: list[bytes] = []
    with pytest.raises(ValueError, match="changed"):
        sent.extend(cut(lying(), Part(0, 6, is_partial=False)))
    assert b"".join(sent) == b"abc"


def test_what_comes_after_a_part_is_not_read() -> None:
    read: list[int] = []

    def long() -> Iterator[bytes]:
        for number in range(100):
            read.append(number)
            yield b"x" * 10

    assert len(b"".join(cut(long(), Part(5, 10, is_partial=True)))) == 10
    assert len(read) <= 4


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 20))
def test_ranges_are_those_of_rfc_9110(first: int, last: int, size: int) -> None:
    part = find_part(f"bytes={first}-{last}", size)
    if last < first < size:
        assert part == Part(0, size, is_partial=False)
    elif first >= size:
        assert part is None
    else:
        assert part == Part(first, min(last, size - 1) - first + 1, is_partial=True)
