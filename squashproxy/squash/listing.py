"""Listings: the entries of a layer without their content, which is all that a scan looks at.

A listing is made while a layer is read (ListingRecorder), read in place of the layer (KnownLayer in
squash/layer.py), and compared with a layer that is read again (ListingCheck).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from squashproxy.archive.header import BLOCK, padded
from squashproxy.archive.path import shown
from squashproxy.errors import IntegrityError

_MOST_SIZE = (1 << 63) - 1
"""No tar with an entry above this size comes to its end."""


MOST_LISTED = 192 << 20
"""The most bytes in a listing's columns: about two million entries. Larger ones are not kept."""

_LOOKED_AT = 1024
"""After so many entries the size of a listing is looked at."""

_COPIES = 3
"""A listing that is kept is in memory as columns, as bytes and as a record."""

_PER_ENTRY = 19
"""The bytes of an entry in the columns, without its names."""

_KINDS = tuple(bytes([kind]) for kind in range(256))


class Entry(Protocol):
    """An entry of a layer, as TarScanner describes it; valid until the next one."""

    @property
    def ordinal(self) -> int:
        """Its number in the layer, from 0."""
        ...

    @property
    def kind(self) -> bytes:
        """Its type flag."""
        ...

    @property
    def path(self) -> bytes:
        """Its path, normalised; symlinks are not followed."""
        ...

    @property
    def link(self) -> bytes:
        """The target of a hard link, normalised, or of a symlink, as it stands."""
        ...

    @property
    def is_roundabout(self) -> bool:
        """Whether a `..` stands in its name, or in a hard link's target, as they are written."""
        ...

    @property
    def size(self) -> int:
        """The bytes of its payload in the tar."""
        ...

    @property
    def span_size(self) -> int:
        """Its bytes in the tar: headers, payload and padding."""
        ...

    @property
    def holes(self) -> int:
        """The bytes of holes in the sparse files of its layer so far; 0 where that is unknown."""
        ...


class ListedEntry(NamedTuple):
    """An entry of a listing; see Entry."""

    ordinal: int
    kind: bytes
    path: bytes
    link: bytes
    size: int
    span_size: int
    is_roundabout: bool

    @property
    def holes(self) -> int:
        """Nothing: listings do not tell of holes, and were made within a limit."""
        return 0


class Listing:
    """The entries of one layer in their order, as columns: about 20 bytes each, and the names.

    `kinds` holds one byte for each entry, `paths` and `links` the names one after another.
    `header_blocks` counts blocks of 512 bytes. `roundabouts` are the ordinals, ascending, of the
    entries that are written with a `..`. `unpacked` is the length of the tar in bytes.
    """

    __slots__ = (
        "_header_blocks",
        "_kinds",
        "_link_lengths",
        "_links",
        "_path_lengths",
        "_paths",
        "_sizes",
        "roundabouts",
        "unpacked",
    )

    def __init__(
        self,
        unpacked: int,
        *,
        kinds: bytes,
        header_blocks: array[int],
        sizes: array[int],
        path_lengths: array[int],
        link_lengths: array[int],
        roundabouts: array[int],
        paths: bytes,
        links: bytes,
    ) -> None:
        self.unpacked = unpacked
        self._kinds = kinds
        self._header_blocks = header_blocks
        self._sizes = sizes
        self._path_lengths = path_lengths
        self._link_lengths = link_lengths
        self.roundabouts = roundabouts
        self._paths = paths
        self._links = links

    def __len__(self) -> int:
        return len(self._kinds)

    def __iter__(self) -> Iterator[ListedEntry]:
        kinds, paths, links = self._kinds, self._paths, self._links
        roundabouts = frozenset(self.roundabouts)
        numbers = zip(
            self._header_blocks, self._sizes, self._path_lengths, self._link_lengths, strict=True
        )
        at = link_at = 0
        link = b""
        for ordinal, (blocks, size, length, link_length) in enumerate(numbers):
            end = at + length
            if link_length:
                link = links[link_at : link_at + link_length]
                link_at += link_length
            elif link:
                link = b""
            span_size = (blocks * BLOCK + size + BLOCK - 1) & -BLOCK
            kind = _KINDS[kinds[ordinal]]
            is_roundabout = ordinal in roundabouts
            yield ListedEntry(ordinal, kind, paths[at:end], link, size, span_size, is_roundabout)
            at = end

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Listing):
            return NotImplemented
        return self.unpacked == other.unpacked and self.columns() == other.columns()

    __hash__ = None  # type: ignore[assignment]  # large, and compared by what it holds

    @property
    def memory(self) -> int:
        """The bytes of memory that it takes."""
        return sum(memoryview(column).nbytes for column in self.columns())

    def columns(self) -> tuple[bytes | array[int], ...]:
        """The columns: kinds, header blocks, sizes, lengths of paths and links, ordinals of
        roundabout entries, paths, links.
        """
        return (
            self._kinds,
            self._header_blocks,
            self._sizes,
            self._path_lengths,
            self._link_lengths,
            self.roundabouts,
            self._paths,
            self._links,
        )


class ListingRecorder:
    """Makes the listing of a layer while it is read; one of more than `most` bytes is given up."""

    def __init__(self, most: int = MOST_LISTED) -> None:
        self._most = most
        self._is_given_up = False
        self._begin()

    def _begin(self) -> None:
        self._kinds = bytearray()
        self._header_blocks = array("H")
        self._sizes = array("Q")
        self._path_lengths = array("I")
        self._link_lengths = array("I")
        self._roundabouts = array("I")
        self._paths = bytearray()
        self._links = bytearray()

    def note(self, entry: Entry) -> None:
        """Add the next entry."""
        if self._is_given_up:
            return
        size = entry.size
        path = entry.path
        self._kinds += entry.kind
        self._header_blocks.append((entry.span_size - padded(size)) // BLOCK)
        self._sizes.append(min(size, _MOST_SIZE))
        self._path_lengths.append(len(path))
        self._paths += path
        if link := entry.link:
            self._links += link
        self._link_lengths.append(len(link))
        if entry.is_roundabout:
            self._roundabouts.append(entry.ordinal)
        if not entry.ordinal % _LOOKED_AT and self._size > self._most:
            self._begin()
            self._is_given_up = True

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that the listing takes until it is kept."""
        return _COPIES * self._size

    @property
    def _size(self) -> int:
        return len(self._paths) + len(self._links) + _PER_ENTRY * len(self._kinds)

    def finish(self, unpacked: int) -> Listing | None:
        """The listing of a layer whose tar, read to its end, has `unpacked` bytes; None where it
        became too large.
        """
        return None if self._is_given_up else self._made(unpacked)

    def _made(self, unpacked: int) -> Listing:
        return Listing(
            unpacked,
            kinds=bytes(self._kinds),
            header_blocks=self._header_blocks,
            sizes=self._sizes,
            path_lengths=self._path_lengths,
            link_lengths=self._link_lengths,
            roundabouts=self._roundabouts,
            paths=bytes(self._paths),
            links=bytes(self._links),
        )


def empty_listing() -> Listing:
    """The listing of a layer without entries."""
    return ListingRecorder()._made(0)  # noqa: SLF001 - a listing of nothing is never too large


class ListingCheck:
    """Compares a layer that is read with what its listing says.

    For a layer that is written again by a decision that was made from the listing: a listing that
    lies must not decide what is dropped. `where` names the layer in errors.
    """

    def __init__(self, listing: Listing, where: str) -> None:
        self._listing = listing
        self._entries = iter(listing)
        self._where = where

    def note(self, entry: Entry) -> None:
        """Compare the next entry. Raises IntegrityError."""
        listed = next(self._entries, None)
        if listed is None or not (
            listed.path == entry.path
            and listed.kind == entry.kind
            and listed.size == entry.size
            and listed.link == entry.link
            and listed.span_size == entry.span_size
            and listed.is_roundabout == entry.is_roundabout
        ):
            raise self._lie(f"its entry {entry.ordinal} is {shown(entry.path)}")

    def finish(self, unpacked: int) -> None:
        """Compare the end of the layer, after `unpacked` bytes of tar. Raises IntegrityError."""
        listed = next(self._entries, None)
        if listed is not None:
            raise self._lie(f"it ends before the entry {shown(listed.path)}")
        if unpacked != self._listing.unpacked:
            raise self._lie(f"it unpacks to {unpacked} bytes, not {self._listing.unpacked}")

    def _lie(self, fact: str) -> IntegrityError:
        return IntegrityError(
            f"{self._where} is not what the memory of layers says: {fact}; nothing was pushed",
            advice="delete that memory, or name another with {layer-memory}; whoever can write to "
            "it can write such lies",
        )
