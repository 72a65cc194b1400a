"""What a merged tar is made of: stretches of a source layer, and new bytes between them.

The seam between the merge and the encoders: an encoder that knows where a stretch came from may
copy it compressed, as it is (DESIGN.md, section 5); one that does not just compresses the bytes.
"""

from __future__ import annotations

from typing import NamedTuple


class Kept(NamedTuple):
    """Bytes of a layer's tar, unchanged.

    `stream` numbers the layer streams in the order in which the merge opened them, `offset` is the
    position of `data` in that stream's inflated bytes.
    """

    stream: int
    offset: int
    data: memoryview


class New(NamedTuple):
    """Bytes that stand in no layer: a rewritten header, a whiteout, the end of the archive."""

    data: bytes


Span = Kept | New
