"""Made-up listings and results to remember."""

from __future__ import annotations

from squashproxy.digest import Digest, digest_of
from squashproxy.layer_memory.pruned_result import Ordinals, PrunedResult
from squashproxy.oci.mediatypes import Compression
from squashproxy.squash.listing import Listing
from squashproxy.testing import LayerBuilder
from tests.model.listings import listing_of

LAYER = digest_of(b"a layer")
OTHER = digest_of(b"another layer")


def listing(files: int = 3) -> Listing:
    """A layer of some files."""
    layer = LayerBuilder().directory("etc")
    for number in range(files):
        layer.file(f"etc/{number}", b"x" * number)
    return listing_of(layer.tar())


def result(number: int = 1, source: Digest = LAYER) -> PrunedResult:
    """A result that dropped that many entries, and replaced one."""
    return PrunedResult(
        source=source,
        source_diff_id=digest_of(b"its tar"),
        dropped=Ordinals(range(number)),
        whiteouts=Ordinals([number + 2]),
        hidden_bytes=1024 * number,
        compression=Compression.GZIP,
        digest=digest_of(b"result %d" % number),
        size=1000 + number,
        diff_id=digest_of(b"tar of result %d" % number),
        unpacked=4000 + number,
    )
