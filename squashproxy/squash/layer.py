"""Input and result of a merge: layers and options, counts and warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from squashproxy.span import Inflated
from squashproxy.squash.listing import Listing
from squashproxy.squash.pass_facts import Facts


class LayerStream(Protocol):
    """The inflated tar of a layer, from its start, in chunks of 64 to 256 KiB; iterated once."""

    def __iter__(self) -> Iterator[Inflated]: ...

    def skip_rest(self) -> None:
        """Read to the end and discard it, so that the blob's digest is still checked."""
        ...

    def close(self) -> None:
        """Close the blob, even if it was not read to its end."""
        ...


class Layer(Protocol):
    """A layer that can be read, more than once if necessary."""

    @property
    def where(self) -> str:
        """The layer's name in messages: its number and digest."""
        ...

    def open(self) -> LayerStream:
        """Open the layer for reading; the caller closes the stream."""
        ...


@dataclass(frozen=True, slots=True)
class KnownLayer:
    """A layer whose entries are known, so that a scan need not read it; see Layer for `where`."""

    where: str
    listing: Listing


ScannedLayer = Layer | KnownLayer
"""A layer of which only the entries count, not their content."""


@dataclass(frozen=True, slots=True)
class HiddenEntry:
    """An entry that an upper layer hides.

    `size` is its payload in bytes; layers are counted from 0, base first.
    """

    path: bytes
    size: int
    layer: int
    hidden_by: int


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """How layers are merged.

    `kept`: the number of lowest layers that stay as they are.
    `reads_base`: the base may be read if a question is open (squash/base_index.py).
    `strict`: a layer about which unpackers disagree is an error, not a warning.
    `facts`: what earlier passes learned.
    `recent_hidden_bytes`: memory for the last hidden files. A link that follows soon takes its file
    from there; for other links the layer is read again.
    `max_entries`, `max_unpacked` (bytes inflated), `max_memory` (bytes of index): above any of
    these the merge raises LimitExceeded.
    `on_hidden` is called for every hidden entry, `on_revived` with the path, layer and size of each
    hidden entry whose content lives on as a link. `on_listing` is called with the number and the
    listing of each layer that a scan, a census or a merge (above the base) has read to its end, but
    not of a KnownLayer.
    """

    kept: int = 0
    reads_base: bool = True
    strict: bool = False
    facts: Facts = field(default_factory=Facts)
    recent_hidden_bytes: int = 6 << 20
    max_entries: int | None = None
    max_unpacked: int | None = None
    max_memory: int | None = None
    on_hidden: Callable[[HiddenEntry], None] | None = None
    on_revived: Callable[[bytes, int, int], None] | None = None
    on_listing: Callable[[int, Listing], None] | None = None


@dataclass(slots=True)
class LayerCount:
    """Counts of one layer; sizes are bytes of tar, with headers, payload and padding."""

    unpacked: int = 0
    entries: int = 0
    hidden_bytes: int = 0
    hidden_entries: int = 0


@dataclass(slots=True)
class MergeReport:
    """Counts and warnings of a merge, complete once its spans were read to the end.

    `fallbacks` counts additional readings of layers. `touched` says that anything was dropped,
    rewritten or added, `empty` that there is no output.
    """

    layers: dict[int, LayerCount] = field(default_factory=dict)
    fallbacks: int = 0
    touched: bool = False
    empty: bool = True
    _warnings: dict[tuple[int, str], tuple[str, int]] = field(default_factory=dict)

    def warn(self, layer: int, kind: str, sentence: str) -> None:
        """Add a warning; of each kind and layer, the first is kept and the others are counted."""
        first, count = self._warnings.get((layer, kind), (sentence, 0))
        self._warnings[layer, kind] = (first, count + 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, in the order in which they arose."""
        return tuple(
            first if count == 1 else f"{first} (and {count - 1} more like it)"
            for first, count in self._warnings.values()
        )

    @property
    def unpacked(self) -> int:
        """The bytes of tar read; a layer that was read twice counts once."""
        return sum(count.unpacked for count in self.layers.values())

    @property
    def entries(self) -> int:
        """The number of entries read."""
        return sum(count.entries for count in self.layers.values())

    @property
    def hidden_bytes(self) -> int:
        """The bytes of tar that upper layers hide."""
        return sum(count.hidden_bytes for count in self.layers.values())
