"""What the merge is given and what it tells: layers, options, limits, counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from squashproxy.span import Inflated
from squashproxy.squash.pass_facts import Facts


class LayerStream(Protocol):
    """The inflated tar of a layer from its start, in chunks of 64 to 256 KiB, once."""

    def __iter__(self) -> Iterator[Inflated]: ...

    def skip_rest(self) -> None:
        """Read to the end without looking, so that the blob's digest is checked all the same."""
        ...

    def close(self) -> None:
        """Let go of the blob, wherever the reading stopped."""
        ...


class Layer(Protocol):
    """A layer that can be read, more than once if need be."""

    @property
    def where(self) -> str:
        """The layer, for people: its number and digest."""
        ...

    def open(self) -> LayerStream:
        """Begin to read the layer; to be closed."""
        ...


@dataclass(frozen=True, slots=True)
class HiddenEntry:
    """An entry that an upper layer hides; `size` in bytes of payload, layers from 0, base first."""

    path: bytes
    size: int
    layer: int
    hidden_by: int


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """What shapes a merge.

    `kept` layers at the bottom stay as they are; `reads_base` allows to read them where there is a
    doubt (squash/base.py). `strict` makes layers an error about which unpackers disagree. `facts`
    are what earlier passes learned. In about `aside` bytes of memory the last hidden files are kept
    for links that take them over; for others the layer is read again. Past `max_entries`,
    `max_unpacked` (bytes inflated) or `max_memory` (bytes of index) the merge raises LimitExceeded.
    `on_hidden` hears of every hidden entry, `on_revived` of path, layer and size of those whose
    content links take over.
    """

    kept: int = 0
    reads_base: bool = True
    strict: bool = False
    facts: Facts = field(default_factory=Facts)
    aside: int = 6 << 20
    max_entries: int | None = None
    max_unpacked: int | None = None
    max_memory: int | None = None
    on_hidden: Callable[[HiddenEntry], None] | None = None
    on_revived: Callable[[bytes, int, int], None] | None = None


@dataclass(slots=True)
class LayerCount:
    """What one layer held; sizes in bytes of tar: headers, payload and padding."""

    unpacked: int = 0
    entries: int = 0
    hidden_bytes: int = 0
    hidden_entries: int = 0


@dataclass(slots=True)
class MergeReport:
    """What a merge found; complete when its spans were read to the end."""

    layers: dict[int, LayerCount] = field(default_factory=dict)
    fallbacks: int = 0
    touched: bool = False
    empty: bool = True
    _warnings: dict[tuple[int, str], tuple[str, int]] = field(default_factory=dict)

    def warn(self, layer: int, kind: str, sentence: str) -> None:
        """Take a warning; of one kind and layer the first is kept and the others are counted."""
        first, count = self._warnings.get((layer, kind), (sentence, 0))
        self._warnings[layer, kind] = (first, count + 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, in the order in which they came up."""
        return tuple(
            first if count == 1 else f"{first} (and {count - 1} more like it)"
            for first, count in self._warnings.values()
        )

    @property
    def unpacked(self) -> int:
        """The bytes of tar read, layers that were read twice counted once."""
        return sum(count.unpacked for count in self.layers.values())

    @property
    def entries(self) -> int:
        """The entries read."""
        return sum(count.entries for count in self.layers.values())

    @property
    def hidden_bytes(self) -> int:
        """The bytes that upper layers hide."""
        return sum(count.hidden_bytes for count in self.layers.values())
