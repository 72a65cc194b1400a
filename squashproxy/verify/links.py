"""Hard links of one layer: which inode each one names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.verify.names import shown
from squashproxy.verify.tree import BrokenLink, Directory, Inode, Kind, Metadata, Tree

_UNKNOWN = Metadata(0, (0, 0), 0, ())


@dataclass(frozen=True, slots=True)
class _Forward:
    """A link whose target was not there yet; `inode` stands in for it."""

    path: bytes
    target: bytes
    inode: Inode


class LinkTable:
    """Finds the inodes of the links of layer `number`; `find_lower` those of the layers below."""

    def __init__(
        self, tree: Tree, number: int, where: str, find_lower: Callable[[bytes], Inode | None]
    ) -> None:
        self._tree = tree
        self._number = number
        self._where = where
        self._find_lower = find_lower
        self._copies: dict[Inode, Inode] = {}
        self._forward: list[_Forward] = []

    def inode_of(self, path: bytes, target: bytes) -> Inode:
        """What a link at `path` to `target` names, both with their symlinks followed.

        A target that only a lower layer holds is copied, once for all links of this layer. One that
        is nowhere yet gets a stand-in, which `finish` replaces.
        """
        inode = self._find_own(target) or self._copied(self._find_lower(target))
        if inode is None:
            inode = Inode(Kind.HARD_LINK, _UNKNOWN, target, 0, self._number)
            self._forward.append(_Forward(path, target, inode))
        else:
            inode.is_linked = True
        return inode

    def finish(self) -> None:
        """Replace the stand-ins; links to nothing stay, and are told to the tree."""
        waiting = self._forward[::-1]
        while waiting:
            left = [link for link in waiting if not self._try_replace(link)]
            if len(left) == len(waiting):
                break
            waiting = left
        self._tree.broken += [BrokenLink(ln.path, ln.inode, self._sentence(ln)) for ln in waiting]

    def _find_own(self, path: bytes) -> Inode | None:
        node = self._tree.leftovers.get(path) or self._tree.find(path)
        if not isinstance(node, Inode) or node.layer != self._number:
            return None
        return None if node.kind is Kind.HARD_LINK else node

    def _copied(self, lower: Inode | None) -> Inode | None:
        if lower is None or lower.kind is Kind.HARD_LINK:
            return None
        copy = self._copies.get(lower)
        if copy is None:
            copy = self._copies[lower] = lower.loosened(self._number)
        return copy

    def _try_replace(self, link: _Forward) -> bool:
        """Whether the link is settled: its target is there, or the link itself was replaced."""
        parent_path, _, name = link.path.rpartition(b"/")
        parent = self._tree.find(parent_path)
        if not isinstance(parent, Directory) or parent.children.get(name) is not link.inode:
            return True
        inode = self._find_own(link.target)
        if inode is None:
            return False
        inode.is_linked = True
        parent.children[name] = inode
        return True

    def _sentence(self, link: _Forward) -> str:
        if isinstance(self._tree.find(link.target), Directory):
            return (
                f"{self._where}: the hard link {shown(link.path)} points to the directory "
                f"{shown(link.target)}, which no unpacker can make; build the image again"
            )
        return (
            f"{self._where}: the hard link {shown(link.path)} points to {shown(link.target)}, "
            "which neither its layer nor one below holds; no unpacker can make it, so build the "
            "image again"
        )
