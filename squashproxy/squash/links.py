"""Hard links whose target is not in the output where it stands (DESIGN.md, section 4).

A link's inode is what its target's path meant when the link was made. Read from the top down, that
file may be in the output already, may have gone by hidden, or may lie in a lower layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from squashproxy.archive.path import parent_of
from squashproxy.squash.index import PathIndex

_BYTES_PER_PATH = 180
_BYTES_PER_LINK = 300


@dataclass(frozen=True, slots=True)
class Emitted:
    """The file is in the output, at `path`."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Hidden:
    """The file is entry `ordinal` of the layer being read, and hidden: its bytes went by."""

    ordinal: int


@dataclass(frozen=True, slots=True)
class Lower:
    """The file is what a lower layer has at `path`."""

    path: bytes


Target = Emitted | Hidden | Lower


@dataclass(frozen=True, slots=True)
class Link:
    """A link that survives: its path, its header blocks, its layer's number."""

    path: bytes
    header: bytes
    layer: int


class LinkTable:
    """Which links wait for which file."""

    def __init__(self, index: PathIndex) -> None:
        self._index = index
        self._layer = 0
        self._hidden: dict[bytes, int] = {}
        self._taken: dict[int, Emitted] = {}
        self._aliases: dict[bytes, Target] = {}
        self._below: dict[bytes, set[bytes]] = {}
        self._cut: set[bytes] = set()
        self._waiting = 0
        self._is_kept = False
        self.promised: dict[int, list[Link]] = {}
        """By ordinal: links that take over a hidden file of this layer when it is read again."""
        self._leaving: dict[bytes, list[Link]] = {}
        self.parked: dict[bytes, list[Link]] = {}
        """By path: links of upper layers whose file this layer or a lower one holds."""

    def begin_layer(self, number: int) -> None:
        """Entries of the next layer follow; nothing is promised any more.

        Links of the layer before that wait for a lower layer's file now meet its candidates: what
        their own layer did with the path is not what they mean.
        """
        self._layer = number
        self._hidden = {}
        self._taken = {}
        self._aliases = {}
        self._cut = set()
        self._is_kept = False
        self.promised = {}
        for path, links in self._leaving.items():
            self.parked.setdefault(path, []).extend(links)
            above = path
            while above:
                above = parent_of(above)
                self._below.setdefault(above, set()).add(path)
        self._leaving = {}

    def note_hidden(self, path: bytes, ordinal: int) -> None:
        """A hidden entry of this layer went by, which links may point to."""
        self._hidden[path] = ordinal
        self._aliases.pop(path, None)

    def note_alias(self, path: bytes, target: Target) -> None:
        """In this layer `path` means the file `target`."""
        self._aliases[path] = target

    def take_over(self, hidden: Hidden, path: bytes) -> Sequence[Link]:
        """The hidden file goes out after all, as `path`; the links that it was promised to."""
        self._taken[hidden.ordinal] = Emitted(path)
        return self.promised.pop(hidden.ordinal, ())

    def resolve(self, path: bytes) -> Target:
        """The file that a link of this layer to `path` means."""
        target = self._aliases.get(path) or self._look_up(path)
        return self._taken.get(target.ordinal, target) if isinstance(target, Hidden) else target

    def _look_up(self, path: bytes) -> Target:
        if self._index.other_from(path) == self._layer:
            return Emitted(path)
        if path in self._hidden:
            return Hidden(self._hidden[path])
        return Lower(path)

    @property
    def are_waiting(self) -> bool:
        """Whether links wait for a file of a layer below this one."""
        return bool(self.parked or self._leaving)

    @property
    def memory(self) -> int:
        """An estimate of the bytes of memory that the table takes."""
        return self._waiting + _BYTES_PER_PATH * (len(self._hidden) + len(self._aliases))

    def wait(self, target: Hidden | Lower, links: Iterable[Link]) -> None:
        """`links` go out when `target` does."""
        links = list(links)
        self._waiting += sum(len(link.header) + _BYTES_PER_LINK for link in links)
        if isinstance(target, Hidden):
            self.promised.setdefault(target.ordinal, []).extend(links)
            return
        self._leaving.setdefault(target.path, []).extend(links)

    def try_take(self, path: bytes) -> list[Link] | None:
        """The links that wait for what a lower layer has at `path`."""
        links = self.parked.pop(path, None)
        above = path
        while links and above:
            above = parent_of(above)
            self._below[above].discard(path)
        return links

    def try_keep(self, ordinal: int) -> list[Link] | None:
        """On the second reading: the links that take over entry `ordinal`, if it was promised."""
        self._is_kept = not self.promised
        return self.promised.pop(ordinal, None)

    def are_kept(self) -> bool:
        """Whether all promises are kept, and the entry behind the last one was seen."""
        return self._is_kept

    def hide_below(self, path: bytes, *, itself: bool) -> None:
        """From layers below this one, what lies under `path` (and at it) cannot be seen."""
        self._cut |= self._below.get(path, set())
        if itself and path in self.parked:
            self._cut.add(path)

    def find_cut(self) -> bytes | None:
        """At a layer's end: a path that links wait for, but that no lower layer can show."""
        return next((path for path in sorted(self._cut) if path in self.parked), None)
