"""CodeBuffer keeps code as long as it can still be needed, and no longer."""

from __future__ import annotations

from squashproxy.codec.code_buffer import CodeBuffer
from squashproxy.span import Chain, Inflated, Start


def joined(code: CodeBuffer, first: int, end: int) -> bytes:
    return b"".join(code.cut(first, end))


def test_a_piece_that_stands_in_two_chunks_is_taken_once() -> None:
    code = CodeBuffer()
    code.add((Inflated(b"", ((0, b"abcd"),)), Inflated(b"", ((0, b"abcd"), (4, b"efgh")))))
    assert joined(code, 0, 8) == b"abcdefgh"
    assert joined(code, 3, 5) == b"de"


def test_the_same_chunk_again_adds_nothing() -> None:
    chain = Chain(Start(0, 0, 0), 1, 8, is_final=False, is_block=True)
    chunk = Inflated(b"", ((0, b"abcd"),), (chain,))
    code = CodeBuffer()
    code.add((chunk,))
    code.add((chunk,))
    assert list(code.chains) == [chain]
    assert joined(code, 0, 4) == b"abcd"


def test_only_whole_pieces_are_forgotten() -> None:
    code = CodeBuffer()
    code.add((Inflated(b"", ((0, b"abcd"), (4, b"efgh"), (8, b"ijkl"))),))
    code.forget(8 * 7 + 3)
    assert joined(code, 0, 12) == b"efghijkl"


def test_the_last_piece_stays() -> None:
    code = CodeBuffer()
    code.add((Inflated(b"", ((0, b"abcd"),)),))
    code.forget(1 << 20)
    assert joined(code, 0, 4) == b"abcd"


def test_code_that_no_copy_can_need_is_dropped() -> None:
    code = CodeBuffer()
    piece = bytes(1 << 20)
    for number in range(20):
        code.add((Inflated(b"", ((number << 20, piece),)),))
        code.forget(0)
    held = sum(map(len, code.cut(0, 20 << 20)))
    assert 6 << 20 <= held <= 8 << 20
    assert not code.holds(0)
    assert code.holds(8 * (19 << 20))
