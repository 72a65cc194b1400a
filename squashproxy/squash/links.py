"""Hard links, and the files that they mean.

A link means the file that its target's path named when the link was made. When layers are read from
the top down, that file is in one of three places: in the output already (Emitted), earlier in this
layer but hidden (Hidden), or in a lower layer (Lower).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from squashproxy.squash.index import PathIndex
from squashproxy.squash.path_tree import BYTES_PER_NODE, PathNode

_BYTES_PER_PATH = 180
_BYTES_PER_LINK = 300


@dataclass(frozen=True, slots=True)
class Emitted:
    """The file is in the output, at `path`."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Hidden:
    """The file is entry `ordinal` of the layer being read. It is hidden, and was read already."""

    ordinal: int


@dataclass(frozen=True, slots=True)
class Lower:
    """The file is the one that a lower layer holds at `path`."""

    path: bytes


Target = Emitted | Hidden | Lower


@dataclass(frozen=True, slots=True)
class Link:
    """A link that survives: its path, its header blocks, the number of its layer."""

    path: bytes
    header: bytes
    layer: int


class _Above(PathNode):
    """A path at or above one that links wait for.

    `count` is the number of such paths below it. `parked` says that it is one itself. `cut_in` is
    the last layer that showed that nothing lower can be below it.
    """

    __slots__ = ("count", "cut_in", "parked")

    def __init__(self, above: Self | None = None, name: bytes = b"") -> None:
        super().__init__(above, name)
        self.count = 0
        self.parked = False
        self.cut_in: int | None = None


class LinkTable:
    """The links that wait, and the files for which they do."""

    def __init__(self, index: PathIndex) -> None:
        self._index = index
        self._layer = 0
        self._hidden: dict[bytes, int] = {}
        self._taken: dict[int, Emitted] = {}
        self._aliases: dict[bytes, Target] = {}
        self._above = _Above()
        self._cut: set[bytes] = set()
        self._cut_order: list[bytes] | None = None
        self._waiting = 0
        self._names = 0
        self._is_kept = False
        self.promised: dict[int, list[Link]] = {}
        """By ordinal of a hidden file: the links that revive it on the layer's second reading."""
        self._leaving: dict[bytes, list[Link]] = {}
        self.parked: dict[bytes, list[Link]] = {}
        """By path: links of upper layers whose file is in this layer or a lower one."""

    def begin_layer(self, number: int) -> None:
        """Start the next layer, whose entries follow.

        Links of the layer before that wait for a file of a lower layer can be served from here on:
        what their own layer holds at the path is not the file that they mean.
        """
        self._layer = number
        self._hidden = {}
        self._taken = {}
        self._aliases = {}
        self._names = 0
        self._cut = set()
        self._cut_order = None
        self._is_kept = False
        self.promised = {}
        for path, links in self._leaving.items():
            if path not in self.parked:
                self._note_parked(path, 1)
            self.parked.setdefault(path, []).extend(links)
        self._leaving = {}

    def _note_parked(self, path: bytes, change: int) -> None:
        """Links begin (1) or end (-1) to wait for a path."""
        node = self._above.reach(path)
        node.parked = change > 0
        while node.above is not node:
            node = node.above
            node.count += change

    def note_hidden(self, path: bytes, ordinal: int) -> None:
        """Note a hidden entry of this layer, to which links may point."""
        self._hidden[path] = ordinal
        self._names += len(path)
        self._aliases.pop(path, None)

    def note_alias(self, path: bytes, target: Target) -> None:
        """Note that `path` names the file `target` in this layer."""
        self._aliases[path] = target
        self._names += len(path) + (0 if isinstance(target, Hidden) else len(target.path))

    def take_over(self, hidden: Hidden, path: bytes) -> Sequence[Link]:
        """Note that the hidden file goes out as `path`; return the links that waited for it."""
        self._taken[hidden.ordinal] = Emitted(path)
        return self.promised.pop(hidden.ordinal, ())

    def resolve(self, path: bytes) -> Target:
        """The file that a link of this layer to `path` means, as far as it is known now."""
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
        """An estimate, in bytes, of the memory that the table takes, names included."""
        known = len(self._hidden) + len(self._aliases)
        return self._waiting + self._names + _BYTES_PER_PATH * known

    def wait(self, target: Hidden | Lower, links: Iterable[Link]) -> None:
        """Let `links` wait until `target` goes out."""
        links = list(links)
        self._waiting += sum(len(link.header) + len(link.path) + _BYTES_PER_LINK for link in links)
        if isinstance(target, Hidden):
            self.promised.setdefault(target.ordinal, []).extend(links)
            return
        if target.path not in self._leaving:
            self._leaving[target.path] = []
            parts = target.path.count(b"/") + 1
            self._waiting += 2 * len(target.path) + BYTES_PER_NODE * parts
        self._leaving[target.path].extend(links)

    def try_take(self, path: bytes) -> list[Link] | None:
        """Remove and return the links that wait for a lower layer's file at `path`."""
        links = self.parked.pop(path, None)
        if links is not None:
            self._note_parked(path, -1)
        return links

    def try_keep(self, ordinal: int) -> list[Link] | None:
        """On the second reading: the links that revive entry `ordinal`, if there are any."""
        self._is_kept = not self.promised
        return self.promised.pop(ordinal, None)

    def are_kept(self) -> bool:
        """Whether all promised files were revived, and the entry after the last one was seen."""
        return self._is_kept

    def are_waiting_below(self, path: bytes) -> bool:
        """Whether links wait for a file below `path`."""
        node = self._above.find(path) if self.parked else None
        return node is not None and node.count > 0

    def hide_below(self, path: bytes, *, itself: bool) -> None:
        """Note that lower layers can show nothing under `path`; nor at it, with `itself`."""
        if itself and path in self.parked:
            self._cut.add(path)
        node = self._above.find(path) if self.parked else None
        waiting = [] if node is None else [node]
        while waiting:
            above = waiting.pop()
            if above.cut_in == self._layer or not above.count:
                continue
            above.cut_in = self._layer
            waiting += above.below.values()
            self._cut.update(each.path for each in above.below.values() if each.parked)

    def find_cut(self) -> bytes | None:
        """At a layer's end: a path that links wait for and that no lower layer can show."""
        if self._cut_order is None:
            self._cut_order = sorted(self._cut, reverse=True)
        while self._cut_order:
            if self._cut_order[-1] in self.parked:
                return self._cut_order[-1]
            self._cut_order.pop()
        return None
