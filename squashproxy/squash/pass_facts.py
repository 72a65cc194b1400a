"""Facts that a pass over the layers must know in advance, and the exceptions that ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

_BYTES_PER_FACT = 200
_BYTES_PER_ORDINAL = 80


@dataclass(frozen=True, slots=True)
class EarlyEntries:
    """Entries of the merged tar that go out before their turn when it is cut into several layers.

    `links`: by a file's path, its hard links, each with its path and header blocks; they follow
    the file, since a link cannot point into another layer. `opaque`: directories with an opaque
    marker; it precedes what they hold, since it would hide what a lower layer holds there.
    `directories`: header blocks of directories that these need.
    """

    links: Mapping[bytes, Sequence[tuple[bytes, bytes]]]
    opaque: Collection[bytes]
    directories: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that earlier passes found.

    `superseded`: by layer, the ordinals of entries that a later entry of the same layer replaces.
    `described`: by path, headers of directories whose entry stands in a lower layer than entries
    below them. With a base kept, the header must go out before those: the base may hold something
    else at that path.
    `replaced`: directories that a lower layer, still above the base, removed first. Their opaque
    marker must directly follow them: after their children, some unpackers would remove those too.
    `early`: what goes out before its turn when the output is cut (squash/split.py); None where
    nothing has to.
    """

    superseded: Mapping[int, frozenset[int]] = field(default_factory=dict)
    described: Mapping[bytes, bytes] = field(default_factory=dict)
    replaced: Collection[bytes] = frozenset()
    early: EarlyEntries | None = None

    @property
    def memory(self) -> int:
        """An estimate, in bytes, of the memory that the facts take, names included."""
        ordinals = _BYTES_PER_ORDINAL * sum(map(len, self.superseded.values()))
        headers = sum(len(path) + len(header) for path, header in self.described.items())
        paths = sum(map(len, self.replaced))
        count = len(self.described) + len(self.replaced)
        return ordinals + headers + paths + _BYTES_PER_FACT * count


@dataclass(slots=True)
class Survey:
    """Facts collected by a pass that is made only for them; see Facts."""

    described: dict[bytes, bytes] = field(default_factory=dict)
    replaced: set[bytes] = field(default_factory=set)
    memory: int = 0
    """An estimate, in bytes, of the memory that the facts take."""

    def note_described(self, path: bytes, header: bytes) -> None:
        """Note the header blocks of a directory."""
        self.described[path] = header
        self.memory += _BYTES_PER_FACT + len(path) + len(header)

    def note_replaced(self, path: bytes) -> None:
        """Note a directory that a lower layer removed first."""
        self.replaced.add(path)
        self.memory += _BYTES_PER_FACT + len(path)


class RestartNeeded(Exception):
    """A fact must be known before layer `layer` is read, but output has been written already."""

    def __init__(self, layer: int) -> None:
        super().__init__(layer)
        self.layer = layer


class DuplicatePath(RestartNeeded):
    """A path stands twice in the layer, and its first entry may be out; see `find_superseded`."""


class SurveyNeeded(RestartNeeded):
    """The layer describes a directory that had to be known in the layers above; see `Survey`."""


class EarlyNeeded(RestartNeeded):
    """An entry of the merged tar belongs into a part of it that is complete; see EarlyEntries."""

    def __init__(self, early: EarlyEntries) -> None:
        super().__init__(-1)
        self.early = early
