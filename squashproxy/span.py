"""What a merged tar is made of: stretches of a source layer, and new bytes between them.

The seam between the merge and the encoders: a stretch knows the chunks that it was cut from, and
those the compressed code they came of, so that an encoder may copy the code as it is (DESIGN.md,
section 5); one that does not just compresses the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Block(NamedTuple):
    """One deflate block of a layer's blob (RFC 1951, section 3.2.3).

    `start`, `end` and `window` are offsets in the layer's tar, in bytes; `window` is where the
    block's gzip member begins, before which nothing can be referred to. `first_bit` and `end_bit`
    are offsets in the blob, in bits.
    """

    start: int
    end: int
    first_bit: int
    end_bit: int
    is_final: bool
    window: int


class Inflated(NamedTuple):
    """A chunk of a layer's tar, the code that was read for it and the blocks that ended in it.

    `code` holds pieces of the blob with their offsets, in bytes; both are empty where blocks of the
    blob's packing cannot be copied. A piece that was read for several chunks stands in each.
    `read` is how much of the blob was read up to the chunk's end, in bytes; 0 where nobody counted.
    """

    content: bytes
    code: Sequence[tuple[int, bytes]] = ()
    blocks: Sequence[Block] = ()
    read: int = 0


class Kept(NamedTuple):
    """Bytes of a layer's tar, unchanged.

    `stream` numbers the layer streams in the order in which the merge opened them; what comes later
    than it stood, since a link took it over, counts as a stream of its own, so that within one
    offsets only grow. `offset` is the position of `data` in the layer's tar, `sources` are the
    chunks that it was cut from.
    """

    stream: int
    offset: int
    data: memoryview
    sources: Sequence[Inflated]


class New(NamedTuple):
    """Bytes that stand in no layer: a rewritten header, a whiteout, the end of the archive."""

    data: bytes


Span = Kept | New
