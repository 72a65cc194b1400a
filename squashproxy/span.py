"""What a merged tar is made of: stretches of a source layer, and new bytes between them.

The seam between the merge and the encoders: a stretch knows the chunks that it was cut from, and
those the compressed code they came of, so that an encoder may copy the code as it is (ARCHITECTURE.md,
Splicing); one that does not just compresses the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Start(NamedTuple):
    """Where a deflate block begins (RFC 1951, section 3.2.3).

    `offset` and `window` are offsets in the layer's tar, in bytes; `window` is where the block's
    gzip member begins, before which nothing can be referred to. `bit` is an offset in the blob, in
    bits.
    """

    offset: int
    bit: int
    window: int


class Chain(NamedTuple):
    """Deflate blocks in a row, of one gzip member; or, where `is_block`, just one.

    Where the inner ones begin is found by inflating it once more, which is only worth it near a
    cut. `end` is an offset in the layer's tar, in bytes, `end_bit` one in the blob, in bits;
    `is_final` says that the last block is its member's. `end_bit` is the next whole byte where it
    is final and no block.
    """

    start: Start
    end: int
    end_bit: int
    is_final: bool
    is_block: bool


class Inflated(NamedTuple):
    """A chunk of a layer's tar, and the compressed code that it came of.

    `chains` are those that end in the chunk, `begun` is where the one under way at its end starts,
    unless that is a single block;
    `code` holds pieces of the blob with their offsets, in bytes: all that these chains are made of,
    as far as it was read for the chunk. All are empty where blocks of the blob's packing cannot be
    copied. A piece that several chunks need stands in each. `read` is how much of the blob was read
    up to the chunk's end, in bytes; 0 where nobody counted.
    """

    content: bytes
    code: Sequence[tuple[int, bytes]] = ()
    chains: Sequence[Chain] = ()
    begun: Start | None = None
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
