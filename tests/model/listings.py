"""Layers as listings, as functions on layer tars."""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.digest import Digest, digest_of
from squashproxy.squash.layer import KnownLayer
from squashproxy.squash.listing import Listing, ListingRecorder
from squashproxy.squash.listing_record import decode_listing, encode_listing
from squashproxy.squash.walk import iter_noted
from tests.model.squashing import MemoryLayer


def listing_of(tar: bytes, chunk: int = 65536) -> Listing:
    """What a layer holds, recorded while it is read."""
    recorder = ListingRecorder()
    layer = MemoryLayer("a layer", tar, chunk)
    *_, unpacked = iter_noted(layer, lambda _: None, recorder)
    listing = recorder.finish(unpacked)
    assert listing is not None, "it is small enough"
    return listing


def known_layers(tars: Sequence[bytes], chunk: int = 65536) -> list[KnownLayer]:
    """The layers as a memory gives them: each listing went through its record."""
    return [
        KnownLayer(f"layer {number}", remembered(listing_of(tar, chunk), digest_of(tar)))
        for number, tar in enumerate(tars)
    ]


def remembered(listing: Listing, layer: Digest) -> Listing:
    """A listing, encoded and decoded."""
    return decode_listing(encode_listing(listing, layer), layer)
