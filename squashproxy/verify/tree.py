"""The tree that an image unpacks to, in memory: names, directories and inodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from squashproxy.errors import BadArchive

_BYTES_PER_DIRECTORY = 480
_BYTES_PER_FILE = 360
_BYTES_PER_METADATA = 300


class Kind(Enum):
    """The type of a file. A hard link has none of its own once its target is known."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"
    CHARACTER = "character device"
    BLOCK = "block device"
    HARD_LINK = "hard link"


class Metadata(NamedTuple):
    """The metadata of every type; `mtime` in nanoseconds since 1970, `mode` without the type."""

    mode: int
    owner: tuple[int, int]
    mtime: int
    xattrs: tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True, eq=False)
class Inode:
    """A file of any type except directory. Names that share an inode are hard links of each other.

    `payload` is the sha256 of a file, the target of a symlink, `major:minor` of a device; `size` is
    a file's size in bytes; `layer` wrote it. An inode never changes after its layer was applied, so
    trees may share it. A loose inode was copied because its layer links into a lower layer, which
    no overlay unpacker can do: which names share it says nothing about the image.
    """

    kind: Kind
    metadata: Metadata
    payload: bytes
    size: int
    layer: int
    is_loose: bool = False
    is_linked: bool = False

    def loosened(self, layer: int) -> Inode:
        """The copy that `layer` makes for its links."""
        return Inode(self.kind, self.metadata, self.payload, self.size, layer, is_loose=True)


@dataclass(slots=True, eq=False)
class Directory:
    """A directory; `metadata` is None where no entry describes it.

    Layer `made` created it; `layer` wrote the metadata; `touched` is the last layer with an entry
    at it or below, `pruned` the last that took from it all that lower layers put there.
    """

    made: int
    layer: int
    touched: int
    metadata: Metadata | None = None
    children: dict[bytes, Node] = field(default_factory=dict)
    pruned: int = -1


Node: TypeAlias = Inode | Directory


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A hard link to nothing. It is harmless where an upper layer hides it."""

    path: bytes
    inode: Inode
    sentence: str


class Tree:
    """The layers applied so far. `leftovers` are aufs files that links may lead to."""

    def __init__(self) -> None:
        self.root = Directory(made=-1, layer=-1, touched=-1)
        self.leftovers: dict[bytes, Inode] = {}
        self.memory = 0
        """An estimate, in bytes, of the memory that it takes: names, targets, attributes included.
        What layers removed stays counted."""
        self.broken: list[BrokenLink] = []

    def find(self, path: bytes) -> Node | None:
        """The node at a normalised path."""
        return descend(self.root, path)

    def copy(self) -> Tree:
        """Another tree with the same content; both share their inodes."""
        other = Tree()
        other.root = _copy_directory(self.root)
        other.leftovers = dict(self.leftovers)
        other.broken = list(self.broken)
        other.memory = self.memory
        return other

    def make_directory(self, layer: int, name: bytes) -> Directory:
        """A directory of `layer` that goes into the tree under `name`."""
        self.memory += _BYTES_PER_DIRECTORY + len(name)
        return Directory(layer, layer, layer)

    def note_file(self, path: bytes, inode: Inode) -> None:
        """Note a file that goes into the tree at `path`."""
        name = len(path) - path.rfind(b"/")
        self.memory += _BYTES_PER_FILE + name + len(inode.payload)

    def note_metadata(self, metadata: Metadata) -> None:
        """Note metadata that nothing in its layer had before."""
        attributes = sum(len(name) + len(value) for name, value in metadata.xattrs)
        self.memory += _BYTES_PER_METADATA + attributes

    def require_whole(self) -> None:
        """Raise BadArchive for a hard link to nothing that is still visible."""
        for link in self.broken:
            if self.find(link.path) is link.inode:
                raise BadArchive(link.sentence)


def descend(start: Node, path: bytes) -> Node | None:
    """The node at `path` below `start`; `start` itself for the empty path."""
    node: Node | None = start
    for name in path.split(b"/") if path else ():
        if not isinstance(node, Directory):
            return None
        node = node.children.get(name)
    return node


def _copy_directory(root: Directory) -> Directory:
    """Copy a directory tree without recursion: a hostile path may be very deep."""
    copy = _shallow_copy(root)
    waiting = [copy]
    while waiting:
        directory = waiting.pop()
        for name, child in directory.children.items():
            if isinstance(child, Directory):
                directory.children[name] = below = _shallow_copy(child)
                waiting.append(below)
    return copy


def _shallow_copy(directory: Directory) -> Directory:
    return Directory(
        directory.made,
        directory.layer,
        directory.touched,
        directory.metadata,
        dict(directory.children),
    )
