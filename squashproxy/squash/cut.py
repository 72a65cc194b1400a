"""A cut: what can go from one layer, by the rules of squash/prune.py, and the layer without it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from squashproxy.archive.header import END_OF_ARCHIVE
from squashproxy.archive.rewrite import empty_file_header
from squashproxy.archive.scanner import TarScanner
from squashproxy.digest import Digest, digest_of
from squashproxy.span import New, Span
from squashproxy.squash.layer import Layer
from squashproxy.squash.listing import Listing, ListingCheck
from squashproxy.squash.walk import iter_walk

_BYTES_PER_DROPPED = 8
_BYTES_PER_WHITEOUT = 150


@dataclass(frozen=True, slots=True)
class Cut:
    """What can go from one layer; ordinals count its entries from 0.

    `dropped` are ordinals in ascending order, `whiteouts` the path of each entry that a whiteout
    replaces. `hidden_bytes` is what the layer's tar loses: headers, payload and padding. `unseen`
    counts the directories and markers that a higher layer hides, and that stay all the same;
    `held_back` the other hidden entries that stay (rules 4 to 7). `secrets` are the
    ordinals of those that look like secrets (squash/secret_patterns.py).
    """

    dropped: array[int]
    whiteouts: Mapping[int, bytes]
    hidden_bytes: int
    hidden_entries: int
    unseen: int
    held_back: int
    entries: int
    secrets: frozenset[int] = frozenset()

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that the cut takes, names included."""
        numbers = _BYTES_PER_DROPPED * (len(self.dropped) + len(self.secrets))
        return numbers + sum(_BYTES_PER_WHITEOUT + len(path) for path in self.whiteouts.values())

    @property
    def is_nothing(self) -> bool:
        """Whether the layer loses nothing."""
        return not self.dropped and not self.whiteouts

    @property
    def name(self) -> Digest:
        """A digest of what goes: the same cut of the same layer gives the same bytes."""
        return digest_of(self.dropped.tobytes() + b"|" + array("q", self.whiteouts).tobytes())

    @property
    def holds_hidden(self) -> bool:
        """Whether the layer, kept as it is, holds anything that a higher layer hides."""
        return bool(self.dropped or self.whiteouts or self.unseen or self.held_back)

    @property
    def leaves_nothing(self) -> bool:
        """Whether nothing of the layer can be seen: it can be left out where rule 8 allows it."""
        return not self.whiteouts and len(self.dropped) + self.unseen == self.entries


def iter_pruned(
    layer: Layer, cut: Cut, stream: int, listing: Listing | None = None
) -> Iterator[Span]:
    """The tar of a layer without what `cut` names; not for a layer that is left out.

    Where the cut was made from a remembered `listing`, the layer is compared with it: raises
    IntegrityError at the first entry that differs, or at the end. Raises also BadArchive, and what
    reading the layer raises.
    """
    yield from _iter_entries(layer, cut, stream, listing)
    yield New(END_OF_ARCHIVE)


def _iter_entries(layer: Layer, cut: Cut, stream: int, listing: Listing | None) -> Iterator[Span]:
    dropped = iter(cut.dropped)
    next_dropped = next(dropped, -1)
    check = None if listing is None else ListingCheck(listing, layer.where)

    def decide(scanner: TarScanner) -> None:
        nonlocal next_dropped
        if check is not None:
            check.note(scanner)
        if scanner.ordinal == next_dropped:
            next_dropped = next(dropped, -1)
            scanner.drop()
        elif scanner.ordinal in cut.whiteouts:
            scanner.insert_before(empty_file_header(cut.whiteouts[scanner.ordinal]))
            scanner.drop()
        else:
            scanner.keep()

    scanner = TarScanner(layer.where, stream)
    for spans in iter_walk(layer, scanner, decide):
        yield from spans
    if check is not None:
        check.finish(scanner.consumed)
