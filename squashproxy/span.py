"""Spans: the pieces of a merged tar. A span is a stretch of a source layer, or new bytes.

This is the seam between the merge and the encoders. A stretch knows the chunks that it was cut
from, and these know the compressed code they came from, so an encoder may copy that code unchanged
(ARCHITECTURE.md, Splicing). An encoder that does not simply compresses the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Start(NamedTuple):
    """The start of a deflate block (RFC 1951, section 3.2.3).

    `offset` and `window` are offsets in the layer's tar, in bytes. `window` is where the block's
    gzip member begins; a block cannot refer to anything before it. `bit` is an offset in the blob,
    in bits.
    """

    offset: int
    bit: int
    window: int


class Chain(NamedTuple):
    """Consecutive deflate blocks of one gzip member; a single block where `is_block` is true.

    The boundaries inside a chain are found by inflating it once more, which only pays near a cut.
    `end` is an offset in the layer's tar in bytes, `end_bit` one in the blob in bits. `is_final`
    says that the last block is the last of its member. For a final chain that is no single block,
    `end_bit` is the next whole byte.
    """

    start: Start
    end: int
    end_bit: int
    is_final: bool
    is_block: bool


class Inflated(NamedTuple):
    """A chunk of a layer's tar, with the compressed code that it came from.

    `chains` are the chains that end in the chunk. `begun` is the start of the chain that is open at
    its end, unless that is a single block. `code` holds pieces of the blob with their offsets in
    bytes: everything that these chains consist of, as far as it was read. A piece that several
    chunks need is in each of them. All three are empty where the blob's blocks cannot be copied.
    `read` is the number of bytes of the blob read up to the chunk's end; 0 where that was not
    counted.
    """

    content: bytes
    code: Sequence[tuple[int, bytes]] = ()
    chains: Sequence[Chain] = ()
    begun: Start | None = None
    read: int = 0


class Kept(NamedTuple):
    """Unchanged bytes of a layer's tar.

    `stream` numbers the layer streams in the order in which the merge opened them. Content that is
    moved behind its place, to where a link takes it over, counts as a stream of its own, so that
    offsets within a stream only grow. `offset` is the position of `data` in the layer's tar;
    `sources` are the chunks that it was cut from.
    """

    stream: int
    offset: int
    data: memoryview
    sources: Sequence[Inflated]


class New(NamedTuple):
    """Bytes that are in no layer: a rewritten header, a whiteout, the end of the archive."""

    data: bytes


Span = Kept | New
