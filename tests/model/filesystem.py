"""A model of a container's file system on overlayfs: names, inodes, and the upper directory.

Steps follow the kernel's rules without its options (no index, no redirect_dir, no metacopy), as
Docker and containerd mount it: the first change to a name of a lower layer copies it up, which
takes that one name out of its link group; renaming a directory that has lower content fails with
EXDEV, so that mv copies it; a directory made where a lower name was deleted is opaque.
A step that the state does not allow does nothing and says so, so that a list of steps stays
meaningful when some of them are taken out.
"""

from __future__ import annotations

from tests.model.inode import Inode, tree_of
from tests.model.node import Kind, Node, ancestors, parent_of

ROOT = b""


class FileSystem:
    """What the container sees, and what its current layer has changed.

    `names` is what is seen; `lower` is what was seen when the layer began; `upper` are the paths
    in the layer; `opaque` are the directories of the layer that hide all that was below them.
    """

    def __init__(self) -> None:
        self.names: dict[bytes, Inode] = {ROOT: Inode(Kind.DIRECTORY, 0o755)}
        self.lower: dict[bytes, Inode] = {}
        self.upper: set[bytes] = set()
        self.opaque: set[bytes] = set()

    def begin_layer(self) -> None:
        """Start an empty upper directory; all that is seen now is lower from here on."""
        self.lower = dict(self.names)
        self.upper = set()
        self.opaque = set()

    def tree(self) -> dict[bytes, Node]:
        """What is seen now, as a judge would read it."""
        return tree_of(self.names)

    def is_directory(self, path: bytes) -> bool:
        """Whether a directory is seen at the path."""
        inode = self.names.get(path)
        return inode is not None and inode.kind is Kind.DIRECTORY

    def is_covered(self, path: bytes) -> bool:
        """Whether an opaque directory of this layer stands above the path."""
        return any(above in self.opaque for above in ancestors(path))

    def below(self, path: bytes) -> list[bytes]:
        """Every path under a directory, in no order."""
        prefix = path + b"/"
        return [name for name in self.names if name.startswith(prefix)]

    def create(self, path: bytes, inode: Inode) -> bool:
        """Make a new file of any type where nothing is."""
        if path in self.names or not self.is_directory(parent_of(path)):
            return False
        self._place(path, inode, inode.mtime)
        return True

    def replace(self, path: bytes, inode: Inode) -> bool:
        """Delete whatever is there, with all below it, and make a new file of any type."""
        if path not in self.names or path == ROOT:
            return False
        self._drop(path, inode.mtime)
        self._place(path, inode, inode.mtime)
        return True

    def write(self, path: bytes, content: bytes, mtime: int) -> bool:
        """Write to a file through this name; other names in the layer see it too."""
        inode = self.names.get(path)
        if inode is None or inode.kind is not Kind.FILE:
            return False
        inode = self._copy_up(path)
        inode.content = content
        inode.mtime = mtime
        return True

    def chmod(self, path: bytes, mode: int) -> bool:
        """Change the mode; a symlink has none of its own."""
        inode = self.names.get(path)
        if inode is None or inode.kind is Kind.SYMLINK:
            return False
        self._copy_up(path).mode = mode
        return True

    def chown(self, path: bytes, uid: int, gid: int) -> bool:
        """Change the owner."""
        if path not in self.names:
            return False
        inode = self._copy_up(path)
        inode.uid, inode.gid = uid, gid
        return True

    def touch(self, path: bytes, mtime: int) -> bool:
        """Change the time of modification, in nanoseconds."""
        if path not in self.names:
            return False
        self._copy_up(path).mtime = mtime
        return True

    def set_xattr(self, path: bytes, name: str, value: bytes | None) -> bool:
        """Set an extended attribute of a file or a directory, or take it away."""
        inode = self.names.get(path)
        if inode is None or inode.kind not in (Kind.FILE, Kind.DIRECTORY):
            return False
        inode = self._copy_up(path)
        if value is None:
            inode.xattrs.pop(name, None)
        else:
            inode.xattrs[name] = value
        return True

    def remove(self, path: bytes, mtime: int) -> bool:
        """Delete a name, and all below it if it is a directory."""
        if path not in self.names or path == ROOT:
            return False
        self._drop(path, mtime)
        return True

    def link(self, path: bytes, new: bytes, mtime: int) -> bool:
        """Give a file a second name. A file of a lower layer is copied up first."""
        inode = self.names.get(path)
        if inode is None or inode.kind is Kind.DIRECTORY:
            return False
        if new in self.names or not self.is_directory(parent_of(new)):
            return False
        self._place(new, self._copy_up(path), mtime)
        return True

    def rename(self, path: bytes, new: bytes, mtime: int) -> bool:
        """Move a file over nothing or over another file, or a directory to a free name."""
        inode = self.names.get(path)
        if inode is None or path == ROOT or not self.is_directory(parent_of(new)):
            return False
        if inode.kind is Kind.DIRECTORY:
            return self._rename_directory(path, new, mtime)
        held = self.names.get(new)
        if held is inode or self.is_directory(new):
            return False
        inode = self._copy_up(path)
        if held is not None:
            self._drop(new, mtime)
        self._drop(path, mtime)
        self._place(new, inode, mtime)
        return True

    def _rename_directory(self, path: bytes, new: bytes, mtime: int) -> bool:
        if new in self.names or new.startswith(path + b"/"):
            return False
        moved = {name: self.names[name] for name in sorted([path, *self.below(path)])}
        if not self._is_pure_upper(path):
            copies = {inode: inode.copy() for inode in moved.values()}
            moved = {name: copies[inode] for name, inode in moved.items()}
        self._drop(path, mtime)
        for name, inode in moved.items():
            self._place(new + name[len(path) :], inode, None)
        return True

    def _is_pure_upper(self, path: bytes) -> bool:
        if path not in self.upper:
            return False
        return path not in self.lower or path in self.opaque or self.is_covered(path)

    def _copy_up(self, path: bytes) -> Inode:
        if path in self.upper:
            return self.names[path]
        if path != ROOT:
            self._copy_up(parent_of(path))
        inode = self.names[path] = self.names[path].copy()
        self.upper.add(path)
        return inode

    def _place(self, path: bytes, inode: Inode, mtime: int | None) -> None:
        parent = self._copy_up(parent_of(path))
        if mtime is not None:
            parent.mtime = mtime
        self.names[path] = inode
        self.upper.add(path)
        over_whiteout = path in self.lower and not self.is_covered(path)
        if over_whiteout and inode.kind is Kind.DIRECTORY:
            self.opaque.add(path)

    def _drop(self, path: bytes, mtime: int) -> None:
        self._copy_up(parent_of(path)).mtime = mtime
        for name in [path, *self.below(path)]:
            del self.names[name]
            self.upper.discard(name)
            self.opaque.discard(name)
