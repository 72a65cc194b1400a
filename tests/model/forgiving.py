"""An unpacker that reads any layer as DESIGN's rules want it read, however badly it was written.

It takes what the strict one (untar.py) refuses: a path twice in one tar, a hard link to a file of a
lower layer, an entry behind a symlink, a directory without an entry. Whiteouts act on lower layers
only, wherever they stand; symlinks are followed only where their own layer made them, as on an
overlay file system.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator

from tests.model.inode import Inode, tree_of
from tests.model.layers import OPAQUE, WHITEOUT
from tests.model.node import Kind, Node, ancestors, parent_of
from tests.model.untar import Names, clean_path, inode_of, join_path

_META = WHITEOUT + WHITEOUT
_CIRCLE = 40


def read_forgivingly(tars: Iterable[bytes]) -> dict[bytes, Node]:
    """The tree that the layers give, base first."""
    names: Names = {}
    for tar in tars:
        names = _Layer(names, tar).names
    return tree_of(names)


def _iter_members(tar: bytes) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(
            fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            yield from archive
    except tarfile.ReadError as error:
        if "end of file header" not in str(error):  # a global header that nothing follows
            raise


class _Layer:
    """One layer: its own names by themselves, then all that shows with those below."""

    def __init__(self, lower: Names, tar: bytes) -> None:
        self.lower = lower
        self.own: Names = {}
        self.implied: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.opaque: set[bytes] = set()
        self.leftovers: Names = {}
        self._read(tar)
        self.names = self._merged()

    def _read(self, tar: bytes) -> None:
        early: list[tuple[bytes, tarfile.TarInfo]] = []
        for info in _iter_members(tar):
            path = self._landing(clean_path(info.name))
            parent, _, name = path.rpartition(b"/")
            if name == OPAQUE:
                self._imply(path)
                self.opaque.add(parent)
            elif any(part.startswith(_META) for part in path.split(b"/")):
                self.leftovers[path] = inode_of(tar, info)
            elif name.startswith(WHITEOUT):
                self._imply(path)
                self.gone.add(join_path(parent, name.removeprefix(WHITEOUT)))
            elif not info.islnk():
                self._enter(path, inode_of(tar, info))
            elif (target := self._target(info)) is not None:
                assert target.kind is not Kind.DIRECTORY, f"{path!r} is a link to a directory"
                self._enter(path, target)
            else:
                early.append((path, info))
        for path, info in early:
            target = self._target(info)
            assert target is not None, f"no target for the hard link {path!r}"
            assert target.kind is not Kind.DIRECTORY, f"{path!r} is a link to a directory"
            self._enter(path, target)

    def _landing(self, path: bytes) -> bytes:
        """Where an entry lands behind the symlinks that stand in this layer by now."""
        at = b""
        followed = 0
        *parts, name = path.split(b"/")
        while parts:
            part = parts.pop(0)
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = parent_of(at)
                continue
            here = join_path(at, part)
            known = self.own.get(here)
            if known is None or known.kind is not Kind.SYMLINK:
                at = here
                continue
            followed += 1
            assert followed < _CIRCLE, f"{path!r} lies behind symlinks that lead in a circle"
            parts[:0] = known.target.split(b"/")
            if known.target.startswith(b"/"):
                at = b""
        return join_path(at, name)

    def _imply(self, path: bytes) -> None:
        """Make the directories above `path` that the layer lacks."""
        for above in ancestors(path):
            if above not in self.own:
                self.own[above] = Inode(Kind.DIRECTORY, 0o755)
                self.implied.add(above)

    def _enter(self, path: bytes, inode: Inode) -> None:
        assert not self._is_below_other(path), f"{path!r} lies below a file of its layer"
        self._imply(path)
        known = self.own.get(path)
        if known is None or known.kind is not Kind.DIRECTORY or inode.kind is not Kind.DIRECTORY:
            self._remove_below(path)
        self.own[path] = inode
        self.implied.discard(path)

    def _remove_below(self, path: bytes) -> None:
        for name in [name for name in self.own if name.startswith(path + b"/")]:
            del self.own[name]
            self.implied.discard(name)

    def _target(self, info: tarfile.TarInfo) -> Inode | None:
        """The inode of a link's target; None where the layers lack it so far."""
        written = clean_path(info.linkname)
        assert written != clean_path(info.name), f"{written!r} is a link to itself"
        for names in (self.own, self.leftovers, self.lower):
            for path in (self._landing(written), written):
                if path in names and not self._is_below_other(path):
                    return names[path]
        return None

    def _is_below_other(self, path: bytes) -> bool:
        """Whether the layer has something above `path` that is no directory."""
        return any(
            above in self.own and self.own[above].kind is not Kind.DIRECTORY
            for above in ancestors(path)
        )

    def _merged(self) -> Names:
        names = {
            path: inode
            for path, inode in self.lower.items()
            if not self._is_covered(path) and path not in self.gone
        }
        for path, inode in self.own.items():
            if inode.kind is not Kind.DIRECTORY:
                for name in [name for name in names if name.startswith(path + b"/")]:
                    del names[name]
            known = names.get(path)
            shows_lower = known is not None and known.kind is Kind.DIRECTORY
            if not (path in self.implied and shows_lower):
                names[path] = inode
        return names

    def _is_covered(self, path: bytes) -> bool:
        above = list(ancestors(path))
        if path and b"" in self.opaque:
            return True
        return any(
            place in self.gone
            or place in self.opaque
            or (place in self.own and self.own[place].kind is not Kind.DIRECTORY)
            for place in above
        )
