"""Comparing two trees: every path, and everything that a container could see of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from squashproxy.verify import describe
from squashproxy.verify.results import Difference, DifferenceKind
from squashproxy.verify.tree import Directory, Inode, Kind, Metadata, Node, Tree

_ABSENT = "absent"
_FIELDS: tuple[tuple[DifferenceKind, str, Callable[[Metadata], str]], ...] = (
    ("mode", "mode", describe.mode_text),
    ("owner", "owner", describe.owner_text),
    ("mtime", "mtime", describe.mtime_text),
    ("xattrs", "xattrs", describe.xattrs_text),
)
_PAYLOADS: dict[Kind, tuple[DifferenceKind, Callable[[Inode], str]]] = {
    Kind.FILE: ("content", describe.content_text),
    Kind.SYMLINK: ("target", describe.payload_text),
    Kind.CHARACTER: ("device", describe.payload_text),
    Kind.BLOCK: ("device", describe.payload_text),
}
_Found = tuple[bytes, Difference]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences in the order of their paths; `paths` counts all but the root.

    `layers` is the number of layers that were compared in place of trees, None where trees were.
    """

    paths: int
    differences: tuple[Difference, ...]
    layers: int | None = None


def compare(a: Tree, b: Tree) -> Comparison:
    """Compare two trees.

    If no entry describes a directory in one tree, its metadata are not compared. If a link leads
    into a lower layer in one tree, its link group is not compared.
    """
    pairs = _Pairs()
    found: list[_Found] = []
    for path, one, other in pairs.iter_pairs(a, b):
        found += [(path, difference) for difference in _iter_differences(path, one, other)]
    found += pairs.iter_links()
    found.sort(key=lambda item: item[0])
    return Comparison(pairs.paths, tuple(difference for _, difference in found))


class _Pairs:
    """Walks both trees at once, counts paths, and collects the names of linked files."""

    def __init__(self) -> None:
        self.paths = -1
        self._linked: list[tuple[bytes, Inode, Inode]] = []

    def iter_pairs(self, a: Tree, b: Tree) -> Iterator[tuple[bytes, Node | None, Node | None]]:
        """Every path of either tree, without recursion: a hostile path may be very deep."""
        waiting: list[tuple[bytes, Node | None, Node | None]] = [(b"", a.root, b.root)]
        while waiting:
            path, one, other = waiting.pop()
            self.paths += 1
            if one is not other:
                yield path, one, other
            if isinstance(one, Inode) and isinstance(other, Inode):
                self._note_linked(path, one, other)
            below, beside = _children(one), _children(other)
            for name in below.keys() | beside.keys():
                at = path + b"/" + name if path else name
                waiting.append((at, below.get(name), beside.get(name)))

    def _note_linked(self, path: bytes, one: Inode, other: Inode) -> None:
        is_loose = one.is_loose or other.is_loose
        if (one.is_linked or other.is_linked) and one.kind is other.kind and not is_loose:
            self._linked.append((path, one, other))

    def iter_links(self) -> Iterator[_Found]:
        """Names whose link groups differ. Names that only one tree has were reported already."""
        groups: dict[Inode, list[bytes]] = defaultdict(list)
        others: dict[Inode, list[bytes]] = defaultdict(list)
        for path, one, other in self._linked:
            groups[one].append(path)
            others[other].append(path)
        same: dict[tuple[Inode, Inode], bool] = {}
        for path, one, other in self._linked:
            if (one, other) not in same:
                same[one, other] = groups[one] == others[other]
            if not same[one, other]:
                yield (
                    path,
                    _difference(
                        path,
                        "links",
                        describe.links_text(groups[one]),
                        describe.links_text(others[other]),
                    ),
                )


def _children(node: Node | None) -> dict[bytes, Node]:
    return node.children if isinstance(node, Directory) else {}


def _iter_differences(path: bytes, one: Node | None, other: Node | None) -> Iterator[Difference]:
    if one is None or other is None:
        kind: DifferenceKind = "extra" if one is None else "missing"
        yield _difference(path, kind, _type_text(one), _type_text(other))
    elif _type_text(one) != _type_text(other):
        yield _difference(path, "type", _type_text(one), _type_text(other))
    else:
        yield from _iter_metadata(path, one, other)
        if isinstance(one, Inode) and isinstance(other, Inode):
            yield from _iter_payload(path, one, other)


def _iter_metadata(path: bytes, one: Node, other: Node) -> Iterator[Difference]:
    before, after = one.metadata, other.metadata
    if before is None or after is None or before == after:
        return
    is_symlink = isinstance(one, Inode) and one.kind is Kind.SYMLINK
    for kind, name, text in _FIELDS:
        if getattr(before, name) != getattr(after, name) and not (is_symlink and kind == "mode"):
            yield _difference(path, kind, text(before), text(after))


def _iter_payload(path: bytes, one: Inode, other: Inode) -> Iterator[Difference]:
    if one.payload != other.payload:
        kind, text = _PAYLOADS[one.kind]
        yield _difference(path, kind, text(one), text(other))


def _type_text(node: Node | None) -> str:
    if node is None:
        return _ABSENT
    return Kind.DIRECTORY.value if isinstance(node, Directory) else node.kind.value


def _difference(path: bytes, kind: DifferenceKind, a: str, b: str) -> Difference:
    return Difference(describe.decoded(path), kind, a, b)
