"""Writing deflate bit by bit (RFC 1951): copied code, and empty blocks that align it."""

from __future__ import annotations

from collections.abc import Sequence

_FIXED_EMPTY = (0b010, 10)
_FINAL_EMPTY = (0b011, 10)
_STORED_EMPTY = 0xFFFF0000


def _dynamic_empty() -> tuple[int, int]:
    """An empty dynamic block of 95 bits, an odd number: its bits, lowest first, and their count.

    Two literal codes and two distance codes of one bit each make both codes complete, which the
    strictest decoders require.
    """
    lengths = {18: 1, 1: 1}
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
    fields = [(0, 1), (2, 2), (0, 5), (1, 5), (15, 4)]
    fields += [(lengths.get(symbol, 0), 3) for symbol in order]
    literal_zero = [(0, 1)]
    zeros_to_255 = [(1, 1), (127, 7), (1, 1), (106, 7)]
    end_of_block_and_distances = [(0, 1), (0, 1), (0, 1)]
    the_end_itself = [(1, 1)]
    bits = count = 0
    for value, width in (
        *fields,
        *literal_zero,
        *zeros_to_255,
        *end_of_block_and_distances,
        *the_end_itself,
    ):
        bits |= value << count
        count += width
    return bits, count


_ODD_EMPTY = _dynamic_empty()


class BitWriter:
    """A stream of bits that is handed out as whole bytes. Views that are put in must not change."""

    def __init__(self) -> None:
        self._out: list[bytes | memoryview] = []
        self._bits = 0
        self._count = 0

    def take(self) -> list[bytes | memoryview]:
        """The whole bytes since the last call."""
        out = self._out
        self._out = []
        return out

    def put_bytes(self, data: bytes) -> None:
        """Append whole bytes; only after `end_byte`."""
        assert not self._count, "a byte is incomplete"
        if data:
            self._out.append(data)

    def end_byte(self) -> None:
        """Pad to a byte boundary, with an empty stored block where that is needed."""
        if self._count:
            self._put(0, 3)
            self._put(0, -self._count % 8)
            self._put(_STORED_EMPTY, 32)

    def end_stream(self) -> None:
        """Write the final block, and pad its last byte."""
        self._put(*_FINAL_EMPTY)
        self._put(0, -self._count % 8)

    def copy(
        self, views: Sequence[memoryview], first_bit: int, end_bit: int, *, clears_final: bool
    ) -> None:
        """Copy code, beginning at bit `first_bit` of the first byte of `views`.

        `end_bit` is the end within the last byte, 0 where the whole byte is copied. `clears_final`
        clears the first bit, which marks a block as the last one.
        """
        self._shift_to(first_bit)
        head = views[0][0] & (0xFF << first_bit) & 0xFF
        if clears_final:
            head &= ~(1 << first_bit)
        head |= self._bits
        self._bits = self._count = 0
        rest = [views[0][1:], *views[1:]]
        if sum(map(len, views)) == 1:
            self._put(head & _low(end_bit or 8), end_bit or 8)
            return
        self._out.append(bytes((head,)))
        if end_bit:
            last = rest.pop()
            self._put_views([*rest, last[:-1]])
            self._put(last[-1] & _low(end_bit), end_bit)
        else:
            self._put_views(rest)

    def _put_views(self, views: Sequence[memoryview]) -> None:
        self._out += [view for view in views if view]

    def _shift_to(self, bit: int) -> None:
        """Write empty blocks until the next bit is bit `bit` of its byte."""
        if (bit - self._count) % 2:
            self._put(*_ODD_EMPTY)
        while self._count != bit:
            self._put(*_FIXED_EMPTY)

    def _put(self, bits: int, count: int) -> None:
        bits = self._bits | bits << self._count
        count += self._count
        whole = count >> 3
        if whole:
            self._out.append((bits & _low(8 * whole)).to_bytes(whole, "little"))
        self._bits = bits >> 8 * whole
        self._count = count & 7


def _low(count: int) -> int:
    return (1 << count) - 1
