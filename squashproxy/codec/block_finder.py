"""Finding the blocks inside a chain by inflating it once more.

The end of a block depends only on its code. So the content before the chain does not matter, as
long as there is enough history to refer to.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from squashproxy.codec.deflater import WINDOW
from squashproxy.codec.library import BLOCK, OK, Library, Stop, address_of
from squashproxy.span import Chain, Start

MOST = 4096
"""The most blocks that are found in one chain; then they have 80 bytes of code on average.

Encoders make larger blocks; a malicious stream could have a quarter of a million in a chain.
"""

_ROOM = 64 << 10
_HISTORY = bytes(WINDOW)


def iter_blocks(start: Start, code: bytes, library: Library) -> Iterator[Chain]:
    """The blocks from `start` on that are complete in `code`, up to the member's last or `MOST`.

    `code` is the blob from the byte that holds the start's bit. It was inflated before, so it is
    valid.
    """
    used = bool(start.bit & 7)
    first = (start.bit >> 3) + used
    room = ctypes.create_string_buffer(_ROOM)
    with _begun(start, code[0], library) as stream:
        reference = ctypes.byref(stream)
        stream.next_in, stream.avail_in = address_of(code) + used, len(code) - used
        offset = start.offset
        left = MOST
        while left:
            stream.next_out, stream.avail_out = ctypes.addressof(room), _ROOM
            if library.inflate(reference, BLOCK) != OK:
                return
            offset += _ROOM - stream.avail_out
            stop = Stop.of(stream)
            if not stop.is_boundary:
                continue
            bit = 8 * (first + stream.total_in) - stop.unused_bits
            yield Chain(start, offset, bit, stop.is_final, is_block=True)
            start = Start(offset, bit, start.window)
            left -= 1
            if stop.is_final:
                return


@contextmanager
def _begun(start: Start, first_byte: int, library: Library) -> Iterator[Any]:
    """A decompressor that is ready to read from `start`, which may be any bit of `first_byte`."""
    stream = library.stream()
    reference = ctypes.byref(stream)
    used = start.bit & 7
    if library.begin_raw(reference) != OK:
        raise MemoryError(f"{library.name} could not begin a stream")
    try:
        library.set_history(reference, _HISTORY, WINDOW)
        if used:
            library.prime(reference, 8 - used, first_byte >> used)
        yield stream
    finally:
        library.end(reference)
