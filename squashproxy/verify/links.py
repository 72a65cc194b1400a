"""Hard links of one layer: the inode that each one names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.verify.names import shown
from squashproxy.verify.tree import BrokenLink, Directory, Inode, Kind, Metadata, Tree

_UNKNOWN = Metadata(0, (0, 0), 0, ())


@dataclass(frozen=True, slots=True)
class _Forward:
    """Links whose target was not seen yet; `inode` is a placeholder at all of `paths`."""

    target: bytes
    inode: Inode
    paths: list[bytes]


class LinkTable:
    """Finds the inodes of the links of layer `number`; `find_lower` finds those of lower layers."""

    def __init__(
        self, tree: Tree, number: int, where: str, find_lower: Callable[[bytes], Inode | None]
    ) -> None:
        self._tree = tree
        self._number = number
        self._where = where
        self._find_lower = find_lower
        self._copies: dict[Inode, Inode] = {}
        self._forward: dict[Inode, _Forward] = {}

    def inode_of(self, path: bytes, target: bytes) -> Inode:
        """The inode that a link at `path` to `target` names, with symlinks followed in both.

        A target that only a lower layer has is copied, once for all links of this layer. For a
        target that does not exist yet there is a placeholder, which `finish` replaces.
        """
        inode = self._find_own(target) or self._copied(self._find_lower(target))
        if inode is None:
            inode = Inode(Kind.HARD_LINK, _UNKNOWN, target, 0, self._number)
            self._forward[inode] = _Forward(target, inode, [])
        if inode in self._forward:
            self._forward[inode].paths.append(path)
        else:
            inode.is_linked = True
        return inode

    def finish(self) -> None:
        """Replace the placeholders. Links to nothing stay, and are reported to the tree.

        A target can only be a later link's placeholder, so the last one is resolved first.
        """
        for link in reversed(self._forward.values()):
            inode = self._find_own(link.target)
            for path in link.paths:
                if inode is None or inode in self._forward:
                    sentence = self._sentence(path, link.target)
                    self._tree.broken.append(BrokenLink(path, link.inode, sentence))
                else:
                    self._replace(path, link.inode, inode)

    def _find_own(self, path: bytes) -> Inode | None:
        node = self._tree.leftovers.get(path) or self._tree.find(path)
        return node if isinstance(node, Inode) and node.layer == self._number else None

    def _copied(self, lower: Inode | None) -> Inode | None:
        if lower is None or lower.kind is Kind.HARD_LINK:
            return None
        copy = self._copies.get(lower)
        if copy is None:
            copy = self._copies[lower] = lower.loosened(self._number)
        return copy

    def _replace(self, path: bytes, stand_in: Inode, inode: Inode) -> None:
        """Put `inode` at `path`, unless another entry replaced the link."""
        parent_path, _, name = path.rpartition(b"/")
        parent = self._tree.find(parent_path)
        if isinstance(parent, Directory) and parent.children.get(name) is stand_in:
            parent.children[name] = inode
            inode.is_linked = True

    def _sentence(self, path: bytes, target: bytes) -> str:
        if isinstance(self._tree.find(target), Directory):
            return (
                f"{self._where}: the hard link {shown(path)} points to the directory "
                f"{shown(target)}, which no unpacker can make; build the image again"
            )
        return (
            f"{self._where}: the hard link {shown(path)} points to {shown(target)}, "
            "which neither its layer nor one below holds; no unpacker can make it, so build the "
            "image again"
        )
