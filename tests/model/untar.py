"""An unpacker that needs no disk: reads layer tars, with the standard library, into a tree.

It takes entries one after the other, as the naive unpackers do, and refuses what any unpacker
that is in use refuses or gets wrong: a path twice in one tar, a hard link whose target does not
stand before it in the same tar, a name with a whiteout and an entry, a directory without an entry.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from decimal import Decimal

from tests.model.inode import Inode, tree_of
from tests.model.layers import OPAQUE, SECOND, WHITEOUT
from tests.model.node import Kind, Node, ancestors, parent_of

_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.CHARACTER,
    tarfile.BLKTYPE: Kind.BLOCK,
}
_XATTR = "SCHILY.xattr."
Names = dict[bytes, Inode]


class BadLayerError(AssertionError):
    """A tar that some unpacker would refuse or unpack wrongly."""


def read_tree(tars: Iterable[bytes]) -> dict[bytes, Node]:
    """The tree that the layers give, base first. Raises `BadLayerError`."""
    names: Names = {}
    for tar in tars:
        names = apply_layer(names, tar)
    return tree_of(names)


def apply_layer(
    lower: Names, tar: bytes, *, lenient: bool = False, makes_parents: bool = False
) -> Names:
    """What is seen once the layer is unpacked on top of `lower`, which stays as it is.

    With `lenient` a name may have a whiteout and an entry, which only naive unpackers get right.
    With `makes_parents` a directory needs no entry, as for real unpackers, which then make it with
    metadata of their own.
    """
    return _Unpacking(lower, tar, lenient=lenient, makes_parents=makes_parents).names


def whiteouts(tar: bytes) -> list[bytes]:
    """The paths of all whiteouts and opaque markers, as they would be on disk."""
    return [path for path, _ in _members(tar) if _name(path).startswith(WHITEOUT)]


def phantoms(lower: Names, tar: bytes) -> list[bytes]:
    """Whiteouts in a directory that hides nothing or that `lower` does not have.

    Overlay unpackers turn a whiteout into a device file, and the kernel only hides it where it
    merges directories: here `ls` would list a name that nobody can open.
    """
    marks = set(whiteouts(tar))
    return [
        path
        for path in sorted(marks)
        if _name(path) != OPAQUE and not _is_merged(lower, parent_of(path), marks)
    ]


def trailing_bytes(tar: bytes) -> bytes:
    """What follows the last entry: two zero blocks, and nothing else, in a tar of ours."""
    end = 0
    for _, info in _members(tar):
        end = info.offset_data + (-(-info.size // 512) * 512 if info.isreg() else 0)
    return tar[end:]


def _is_merged(lower: Names, directory: bytes, marks: set[bytes]) -> bool:
    for path in [directory, *ancestors(directory)]:
        if join_path(path, OPAQUE) in marks:
            return False
    return not directory or (directory in lower and lower[directory].kind is Kind.DIRECTORY)


class _Unpacking:
    def __init__(self, lower: Names, tar: bytes, *, lenient: bool, makes_parents: bool) -> None:
        self.tar = tar
        self.lenient = lenient
        self.names = dict(lower)
        self.seen: set[bytes] = set()
        self.implied: set[bytes] = set()
        self.gone: set[bytes] = set()
        entries = []
        for path, info in _members(tar):
            if not _name(path).startswith(WHITEOUT):
                entries.append((path, info))
            elif path in self.gone:
                raise BadLayerError(f"whiteout {path!r} stands twice")
            else:
                self._hide(path)
        for path, info in entries:
            self._enter(path, info)
        if self.implied and not makes_parents:
            raise BadLayerError(f"no entry for the directories {sorted(self.implied)}")

    def _hide(self, path: bytes) -> None:
        self.gone.add(path)
        parent, name = parent_of(path), _name(path)
        if name == OPAQUE:
            self._remove_below(parent)
        else:
            hidden = join_path(parent, name.removeprefix(WHITEOUT))
            self._remove_below(hidden)
            self.names.pop(hidden, None)

    def _remove_below(self, path: bytes) -> None:
        prefix = path + b"/" if path else b""
        for name in [name for name in self.names if name.startswith(prefix) and name != path]:
            del self.names[name]

    def _enter(self, path: bytes, info: tarfile.TarInfo) -> None:
        if path in self.seen:
            raise BadLayerError(f"path {path!r} stands twice")
        if not self.lenient and join_path(parent_of(path), WHITEOUT + _name(path)) in self.gone:
            raise BadLayerError(f"path {path!r} has an entry and a whiteout")
        self._check_parents(path)
        inode = self._linked(path, info) if info.islnk() else inode_of(self.tar, info)
        merges = inode.kind is Kind.DIRECTORY and self._is_directory(path)
        if path in self.names and not merges:
            if path in self.implied:
                raise BadLayerError(f"path {path!r} has children and is no directory")
            self._remove_below(path)
        self.names[path] = inode
        self.seen.add(path)
        self.implied.discard(path)

    def _check_parents(self, path: bytes) -> None:
        for above in ancestors(path):
            if above not in self.names:
                self.names[above] = Inode(Kind.DIRECTORY, 0o755)
                self.implied.add(above)
            elif not self._is_directory(above):
                raise BadLayerError(f"{above!r} is above {path!r} and no directory")

    def _linked(self, path: bytes, info: tarfile.TarInfo) -> Inode:
        target = clean_path(info.linkname)
        if target not in self.seen or self._is_directory(target):
            raise BadLayerError(f"no {target!r} in this layer before its hard link {path!r}")
        return self.names[target]

    def _is_directory(self, path: bytes) -> bool:
        return path in self.names and self.names[path].kind is Kind.DIRECTORY


def _members(tar: bytes) -> Iterator[tuple[bytes, tarfile.TarInfo]]:
    if not tar:
        return
    with tarfile.open(
        fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for info in archive:
            yield clean_path(info.name), info


def inode_of(tar: bytes, info: tarfile.TarInfo) -> Inode:
    """The inode that an entry of `tar` describes, but for hard links."""
    kind = _KINDS[info.type]
    is_device = kind in (Kind.CHARACTER, Kind.BLOCK)
    end = info.offset_data + info.size
    return Inode(
        kind=kind,
        mode=info.mode,
        uid=info.uid,
        gid=info.gid,
        mtime=_mtime(info),
        content=tar[info.offset_data : end] if kind is Kind.FILE else b"",
        target=_raw(info.linkname) if kind is Kind.SYMLINK else b"",
        device=(info.devmajor, info.devminor) if is_device else (0, 0),
        xattrs={
            name.removeprefix(_XATTR): _raw(value)
            for name, value in info.pax_headers.items()
            if name.startswith(_XATTR)
        },
    )


def _mtime(info: tarfile.TarInfo) -> int:
    exact = info.pax_headers.get("mtime")
    return int(Decimal(exact) * SECOND) if exact else int(info.mtime) * SECOND


def clean_path(name: str) -> bytes:
    """A member's name or link target as a path of a tree; a `..` takes back the name before it."""
    parts: list[bytes] = []
    for part in _raw(name).split(b"/"):
        if part == b"..":
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def join_path(parent: bytes, name: bytes) -> bytes:
    """The path of `name` in the directory `parent`, which may be the root."""
    return parent + b"/" + name if parent else name


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
