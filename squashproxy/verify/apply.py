"""Applying one layer to a tree as overlay file systems do, from the lowest layer up.

Whiteouts act on lower layers only, wherever they stand in the tar, so every node knows the layer
that wrote it. A link may mean a lower file that its own layer removed earlier, so removed files are
remembered until the layer ends. No code is shared with the merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from squashproxy.verify.entries import Entry, refused
from squashproxy.verify.links import LinkTable
from squashproxy.verify.names import BadName, Mark, read_mark, shown
from squashproxy.verify.path_map import PathMap
from squashproxy.verify.symlinks import resolve
from squashproxy.verify.tree import Directory, Inode, Kind, Node, Tree, descend


class LayerApplication:
    """Applies the entries of layer `number`, in order, to `tree`; layers are applied from the
    lowest up.

    `where` names the layer in errors.
    """

    def __init__(self, tree: Tree, number: int, where: str) -> None:
        self._tree = tree
        self._number = number
        self._where = where
        self._removed = PathMap[Node]()
        self._covered = PathMap[Directory]()
        self._described: set[int] = set()
        self._twice: list[bytes] = []
        self._roundabout: list[bytes] = []
        self._links = LinkTable(tree, number, where, self.find_lower)

    def apply(self, entry: Entry) -> None:
        """Apply the next entry. Raises BadArchive for one that no unpacker accepts."""
        if entry.goes_back:
            self._roundabout.append(entry.path)
        try:
            self._apply(entry)
        except BadName as problem:
            raise refused(self._where, entry.path, problem) from problem

    def finish(self) -> None:
        """End the layer: links to targets that came after them are resolved now."""
        self._links.finish()

    @property
    def warnings(self) -> list[str]:
        """What unpackers disagree about in this layer: of each kind the first, and a count."""
        found = []
        if self._twice:
            first = shown(self._twice[0])
            sentence = f"{self._where} holds {first} more than once; the last one counts"
            found.append(sentence + _more(self._twice))
        if self._roundabout:
            sentence = (
                f"{self._where}: the name of {shown(self._roundabout[0])}, or of the file that it "
                "links to, leads there with '..'; some unpackers refuse that"
            )
            found.append(sentence + _more(self._roundabout))
        return found

    def find_lower(self, path: bytes) -> Inode | None:
        """The file that the lower layers have at `path`, whatever this layer did to it."""
        for rest, removed in self._removed.iter_above(path):
            found = descend(removed, rest)
            if self._is_lower_file(found):
                return found
        found = self._tree.leftovers.get(path) or self._tree.find(path)
        return found if self._is_lower_file(found) else None

    def _is_lower_file(self, node: Node | None) -> TypeGuard[Inode]:
        return isinstance(node, Inode) and node.layer < self._number

    def _apply(self, entry: Entry) -> None:
        if id(entry.metadata) not in self._described:
            self._described.add(id(entry.metadata))
            self._tree.note_metadata(entry.metadata)
        marked = read_mark(resolve(self._tree, entry.path, self._number))
        if marked.mark is Mark.ENTRY:
            self._place(marked.path, entry)
        elif marked.mark is Mark.WHITEOUT:
            self._white_out(marked.path)
        elif marked.mark is Mark.OPAQUE:
            self._prune(marked.path, self._make_directory(marked.path))
        elif entry.kind is not Kind.DIRECTORY:
            self._tree.leftovers[marked.path] = self._inode(marked.path, entry)
            self._tree.memory += len(marked.path)

    def _place(self, path: bytes, entry: Entry) -> None:
        if entry.kind is Kind.DIRECTORY:
            if path in self._covered:
                self._bring_back(path)
            known = self._tree.find(path) if path else None
            if known is not None and self._is_described_here(known):
                self._twice.append(path)
            directory = self._make_directory(path)
            directory.metadata = entry.metadata
            directory.layer = self._number
            return
        if not path:
            raise BadName("is the image's root, but no directory")
        inode = self._inode(path, entry)
        parent, name = self._make_parent(path)
        child = parent.children.get(name)
        self._note_removed(path, child)
        if child is not None and self._is_described_here(child):
            self._twice.append(path)
        if isinstance(child, Directory):
            self._cover(path, child)
        parent.children[name] = inode

    def _inode(self, path: bytes, entry: Entry) -> Inode:
        if entry.kind is Kind.HARD_LINK:
            target = resolve(self._tree, entry.payload, self._number)
            inode = self._links.inode_of(path, target)
        else:
            inode = Inode(entry.kind, entry.metadata, entry.payload, entry.size, self._number)
        self._tree.note_file(path, inode)
        return inode

    def _make_parent(self, path: bytes) -> tuple[Directory, bytes]:
        """The directory above `path`, and the name in it."""
        parent, _, name = path.rpartition(b"/")
        return self._make_directory(parent), name

    def _make_directory(self, path: bytes) -> Directory:
        """The directory at `path`. Missing parents, and parents that are no directories, are made
        without metadata.
        """
        directory = self._tree.root
        directory.touched = self._number
        names = path.split(b"/") if path else []
        for depth, name in enumerate(names, 1):
            child = directory.children.get(name)
            if not isinstance(child, Directory):
                if child is not None:  # at most once a path: below it, nothing is there
                    self._note_removed(b"/".join(names[:depth]), child)
                child = directory.children[name] = self._tree.make_directory(self._number, name)
            child.touched = self._number
            directory = child
        return directory

    def _bring_back(self, path: bytes) -> None:
        """Restore a lower directory that only this layer hid.

        If a path has two entries, the last one wins. If that is a directory, it merges with the
        lower one as if the first entry did not exist.
        """
        parent, name = self._make_parent(path)
        covered = self._covered.take(path)
        assert covered is not None
        child = parent.children.get(name)
        if child is None:
            return
        parent.children[name] = covered
        self._twice.append(path)
        if isinstance(child, Directory):
            self._merge(path, child, covered)

    def _merge(self, path: bytes, own: Directory, lower: Directory) -> None:
        """Put what this layer holds in `own`, in place of the file at `path`, into `lower`."""
        waiting = [(path, own, lower)]
        while waiting:
            above, own, lower = waiting.pop()
            lower.touched = self._number
            if own.metadata is not None:
                lower.metadata, lower.layer = own.metadata, self._number
            for name, child in own.children.items():
                there = lower.children.get(name)
                at = above + b"/" + name
                if isinstance(child, Directory) and isinstance(there, Directory):
                    waiting.append((at, child, there))
                    continue
                self._note_removed(at, there)
                if isinstance(there, Directory):
                    self._cover(at, there)
                lower.children[name] = child

    def _cover(self, path: bytes, directory: Directory) -> None:
        """Replace `directory` by a file of this layer, which removes this layer's entries in it.

        The lower content is kept in case a directory entry follows.
        """
        if directory.made == self._number:
            return
        self._covered.put(path, directory)
        waiting = [directory]
        while waiting:
            above = waiting.pop()
            if above.layer == self._number:
                above.metadata = None
            above.children = {
                name: child for name, child in above.children.items() if not self._is_own(child)
            }
            waiting += [child for child in above.children.values() if isinstance(child, Directory)]

    def _uncover(self, path: bytes) -> None:
        """Hide for good what lower layers have below `path`."""
        self._covered.remove_below(path)

    def _white_out(self, path: bytes) -> None:
        parent, name = self._make_parent(path)
        child = parent.children.get(name)
        self._covered.take(path)
        self._uncover(path)
        if isinstance(child, Directory) and child.touched == self._number:
            self._prune(path, child)
            self._forget_lower(child)
        elif child is not None and not self._is_own_file(child):
            self._note_removed(path, child)
            del parent.children[name]

    def _prune(self, path: bytes, directory: Directory) -> None:
        """Remove what lower layers put below `path`; nothing of it can come back in this layer."""
        self._uncover(path)
        waiting = [(path, directory)]
        while waiting:
            above, directory = waiting.pop()
            if directory.pruned == self._number:
                continue
            directory.pruned = self._number
            for name, child in list(directory.children.items()):
                at = above + b"/" + name if above else name
                if isinstance(child, Directory) and child.touched == self._number:
                    self._forget_lower(child)
                    waiting.append((at, child))
                elif not self._is_own_file(child):
                    self._note_removed(at, child)
                    del directory.children[name]

    def _forget_lower(self, directory: Directory) -> None:
        """From now on the directory belongs to this layer alone."""
        directory.made = self._number
        if directory.layer < self._number:
            directory.metadata = None
            directory.layer = self._number

    def _is_own_file(self, node: Node) -> bool:
        return isinstance(node, Inode) and node.layer == self._number

    def _is_described_here(self, node: Node) -> bool:
        """Whether an entry of this layer describes the node."""
        if isinstance(node, Inode):
            return node.layer == self._number
        return node.layer == self._number and node.metadata is not None

    def _is_own(self, node: Node) -> bool:
        made = node.layer if isinstance(node, Inode) else node.made
        return made == self._number

    def _note_removed(self, path: bytes, node: Node | None) -> None:
        """Remember the file that this layer removes; only the first removal at a path counts.

        A second one removes an entry of this layer, not a lower file.
        """
        if node is not None and not self._is_own_file(node):
            self._removed.set_default(path, node)


def _more(paths: Sequence[bytes]) -> str:
    return f" (and {len(paths) - 1} more like it)" if len(paths) > 1 else ""
