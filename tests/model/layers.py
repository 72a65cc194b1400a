"""Writes what a layer changed as the tar that an overlay snapshotter would make of it.

The variants are all legal and all seen in registries: how names are written, where whiteouts
stand, whether a replaced directory is opaque or lists what is gone, GNU or PAX headers.
"""

from __future__ import annotations

import io
import random
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum

from tests.model.filesystem import ROOT, FileSystem
from tests.model.inode import Inode
from tests.model.node import Kind, ancestors, parent_of

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
SECOND = 1_000_000_000

_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
    Kind.CHARACTER: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
}


class Place(Enum):
    """Where the whiteouts of a layer stand."""

    BEFORE = "before their siblings"
    AFTER = "after their siblings"
    LAST = "at the end of the layer"


@dataclass(frozen=True, slots=True)
class Style:
    """How one layer is written. `order` seeds the shuffling of siblings; None sorts them.

    `explicit` lists what a new directory hides instead of marking it opaque; `beside` puts a
    whiteout of the directory beside it instead; `parents` false leaves out directories that did
    not change; `bare_links` writes hard links without the extended attributes of their file;
    `chained` ones point to the name before theirs, others to the first.
    """

    prefix: bytes = b""
    whiteouts: Place = Place.BEFORE
    order: int | None = None
    explicit: bool = False
    gnu: bool = False
    root: bool = False
    beside: bool = False
    parents: bool = True
    bare_links: bool = False
    chained: bool = False


def write_layer(system: FileSystem, style: Style) -> bytes:
    """The current layer of the file system as an uncompressed tar."""
    return _LayerWriter(system, style).write()


class _LayerWriter:
    def __init__(self, system: FileSystem, style: Style) -> None:
        self.system = system
        self.style = style
        self.order = None if style.order is None else random.Random(style.order)
        self.buffer = io.BytesIO()
        gnu = style.gnu and not any(_needs_pax(system.names[path]) for path in system.upper)
        kind = tarfile.GNU_FORMAT if gnu else tarfile.PAX_FORMAT
        self.tar = tarfile.open(  # noqa: SIM115 - write() closes it
            fileobj=self.buffer, mode="w", format=kind, encoding="utf-8", errors="surrogateescape"
        )
        self.written: dict[Inode, bytes] = {}
        self.late: list[bytes] = []
        self.opaque = set() if style.explicit else system.opaque
        self.gone = self._whiteouts()
        self.children = self._children()

    def write(self) -> bytes:
        if self.style.root and ROOT in self.system.upper:
            self._entry(ROOT)
        self._directory(ROOT)
        for path in self.late:
            self._empty(path)
        self.tar.close()
        return self.buffer.getvalue()

    def _whiteouts(self) -> dict[bytes, list[bytes]]:
        system = self.system
        gone: dict[bytes, list[bytes]] = defaultdict(list)
        for path in sorted(system.lower.keys() - system.names.keys()):
            parent = parent_of(path)
            hidden = parent in self.opaque or self._is_covered(path)
            if not hidden and system.is_directory(parent):
                gone[parent].append(path)
        if self.style.beside:
            for path in sorted(self.opaque):
                gone[parent_of(path)].append(path)
        return gone

    def _is_covered(self, path: bytes) -> bool:
        return bool(self.opaque) and self.system.is_covered(path)

    def _children(self) -> dict[bytes, list[bytes]]:
        listed = {path for path in self.system.upper if self.style.parents or self._is_news(path)}
        listed.update(self.gone)
        listed.update([above for path in listed for above in ancestors(path)])
        children: dict[bytes, list[bytes]] = defaultdict(list)
        for path in sorted(listed - {ROOT}):
            children[parent_of(path)].append(path)
        return children

    def _is_news(self, path: bytes) -> bool:
        """Whether an entry says something new, compared with the lower layers."""
        system = self.system
        lower, inode = system.lower.get(path), system.names[path]
        if lower is None or lower.kind is not Kind.DIRECTORY or inode.kind is not Kind.DIRECTORY:
            return True
        fresh = path in system.opaque or system.is_covered(path)
        return fresh or _metadata(lower) != _metadata(inode)

    def _directory(self, path: bytes) -> None:
        if path in self.opaque and not self.style.beside:
            self._whiteout(path + b"/" + OPAQUE)
        children = self.children[path]
        if self.order is not None:
            self.order.shuffle(children)
        if self.style.whiteouts is not Place.AFTER:
            self._all_gone(path)
        for child in children:
            if self.style.parents or self._is_news(child):
                self._entry(child)
            if self.system.is_directory(child):
                self._directory(child)
        if self.style.whiteouts is Place.AFTER:
            self._all_gone(path)

    def _all_gone(self, path: bytes) -> None:
        for child in self.gone[path]:
            parent, _, name = child.rpartition(b"/")
            self._whiteout((parent + b"/" if parent else b"") + WHITEOUT + name)

    def _whiteout(self, path: bytes) -> None:
        if self.style.whiteouts is Place.LAST:
            self.late.append(path)
        else:
            self._empty(path)

    def _empty(self, path: bytes) -> None:
        self.tar.addfile(tarfile.TarInfo(self._name(path)))

    def _entry(self, path: bytes) -> None:
        inode = self.system.names[path]
        info = tarfile.TarInfo(self._name(path))
        info.mode, info.uid, info.gid = inode.mode, inode.uid, inode.gid
        info.mtime = inode.mtime // SECOND
        records = {"mtime": _decimal(inode.mtime)} if inode.mtime % SECOND else {}
        first = self.written.get(inode)
        if first is None or not self.style.bare_links:
            for name, value in sorted(inode.xattrs.items()):
                records[f"SCHILY.xattr.{name}"] = _text(value)
        info.pax_headers = records
        if first is None or self.style.chained:
            self.written[inode] = path
        if first is None:
            self._file(info, inode)
        else:
            info.type, info.linkname = tarfile.LNKTYPE, self._name(first)
            self.tar.addfile(info)

    def _file(self, info: tarfile.TarInfo, inode: Inode) -> None:
        info.type = _TYPES[inode.kind]
        info.linkname = _text(inode.target)
        info.devmajor, info.devminor = inode.device
        info.size = len(inode.content)
        self.tar.addfile(info, io.BytesIO(inode.content))

    def _name(self, path: bytes) -> str:
        return _text(self.style.prefix + path) or "./"


def _metadata(inode: Inode) -> tuple[object, ...]:
    return inode.mode, inode.uid, inode.gid, inode.mtime, inode.xattrs


def _needs_pax(inode: Inode) -> bool:
    return bool(inode.xattrs) or inode.mtime % SECOND != 0


def _decimal(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, SECOND)
    return f"{whole}.{rest:09}".rstrip("0")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
