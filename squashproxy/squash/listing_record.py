"""Listings as sealed records (codec/sealed.py).

The content begins with four numbers of eight bytes, little-endian like all others: the length of
the tar, the number of entries, and the lengths of all paths and of all links. The columns of
squash/listing.py follow, each as one array, at last that of the roundabout entries, which most
layers have none of.
"""

from __future__ import annotations

import struct
from array import array

from squashproxy.archive.header import BLOCK, HARD_LINK
from squashproxy.archive.path import BadEntry, check_length, check_target, normalise
from squashproxy.codec.sealed import packed_column, seal, unpacked_column, unseal
from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.squash.listing import MOST_LISTED, Listing

LISTING_VERSION = 1
"""Increased whenever the form changes, or the scanner describes the same entries in another way."""

_HEAD = struct.Struct("<4Q")
_COLUMNS = "HQII"
_ROUNDABOUT = "I"
_PER_ENTRY = 1 + sum(array(code).itemsize for code in _COLUMNS)
_PER_ROUNDABOUT = array(_ROUNDABOUT).itemsize


def encode_listing(listing: Listing, layer: Digest) -> bytes:
    """The record of a layer's listing."""
    *columns, _, paths, links = listing.columns()
    head = _HEAD.pack(listing.unpacked, len(listing), len(paths), len(links))
    packed = (packed_column(each) if isinstance(each, array) else each for each in columns)
    return seal(_label(layer), (head, *packed, paths, links, packed_column(listing.roundabouts)))


def decode_listing(record: bytes, layer: Digest) -> Listing:
    """The listing of `layer` in a record.

    Raises FormatError for a record that is damaged, of another kind, version or layer, or holds
    what no layer can; its text is the rest of a sentence. Takes at most twice MOST_LISTED bytes of
    memory.
    """
    content = memoryview(unseal(_label(layer), record, MOST_LISTED + _HEAD.size))
    if len(content) < _HEAD.size:
        raise FormatError("is no listing")
    unpacked, count, paths_length, links_length = _HEAD.unpack_from(content)
    names_at = _HEAD.size + count * _PER_ENTRY
    rest = len(content) - names_at - paths_length - links_length
    if rest < 0 or rest % _PER_ROUNDABOUT:
        raise FormatError("holds columns of other lengths than it says")
    at = _HEAD.size + count
    kinds = bytes(content[_HEAD.size : at])
    columns = []
    for code in _COLUMNS:
        end = at + count * array(code).itemsize
        columns.append(unpacked_column(code, content[at:end]))
        at = end
    header_blocks, sizes, path_lengths, link_lengths = columns
    if (sum(path_lengths), sum(link_lengths)) != (paths_length, links_length):
        raise FormatError("holds names of other lengths than it says")
    listing = Listing(
        unpacked,
        kinds=kinds,
        header_blocks=header_blocks,
        sizes=sizes,
        path_lengths=path_lengths,
        link_lengths=link_lengths,
        roundabouts=unpacked_column(_ROUNDABOUT, content[len(content) - rest :]),
        paths=bytes(content[at : at + paths_length]),
        links=bytes(content[at + paths_length : len(content) - rest]),
    )
    _check(listing, header_blocks, sizes)
    return listing


def _check(listing: Listing, header_blocks: array[int], sizes: array[int]) -> None:
    """Raise FormatError for what no tar holds, so that a scan of the listing cannot go astray."""
    if 0 in header_blocks or sum(header_blocks) * BLOCK + sum(sizes) > listing.unpacked:
        raise FormatError("holds more than fits into its layer")
    ordinals = list(listing.roundabouts)
    if ordinals != sorted(set(ordinals)) or ordinals[-1:] >= [len(listing)]:
        raise FormatError("names entries that it does not hold")
    try:
        for _, kind, path, link, _, _, _ in listing:
            if normalise(path) != path or (kind == HARD_LINK and normalise(link) != link):
                raise FormatError("holds a path that is not normalised")
            check_length(path)
            (check_length if kind == HARD_LINK else check_target)(link)
    except BadEntry as error:
        raise FormatError(f"holds an entry that {error}") from error


def _label(layer: Digest) -> str:
    return f"listing {LISTING_VERSION} of {layer}"
