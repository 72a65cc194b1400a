"""Reading one layer's tar with the standard library: entries, with files as their sha256."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import IO, Self, cast

from squashproxy.digest import Digest, Hasher
from squashproxy.errors import BadArchive
from squashproxy.span import Inflated
from squashproxy.streams import CHUNK
from squashproxy.verify.names import BadName, goes_back, normalise, shown
from squashproxy.verify.tree import Kind, Metadata

_NANOSECONDS = 1_000_000_000
_MODE = 0o7777
_XATTR = "SCHILY.xattr."
_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.CHARACTER,
    tarfile.BLKTYPE: Kind.BLOCK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
}
_EXTENSIONS = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)
_MAX_EXTENSION = 1 << 20
"""The most bytes in an extension header, which is held in memory; real ones have a few hundred."""

_ZeroBlock: type[tarfile.HeaderError] = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # typeshed's gap
_NothingLeft: type[tarfile.HeaderError] = tarfile.EmptyHeaderError  # type: ignore[attr-defined]
_NoEntry: type[tarfile.HeaderError] = tarfile.SubsequentHeaderError  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer, its path normalised; `payload` and `size` as in Inode.

    A hard link's payload is its target, normalised. `goes_back` says whether a `..` stood in either
    of them.
    """

    path: bytes
    kind: Kind
    metadata: Metadata
    payload: bytes
    size: int
    goes_back: bool = False


class TarStream:
    """The chunks of an unpacked layer as a file for tarfile; everything is hashed.

    `like` is a digest whose algorithm is used.
    """

    def __init__(self, chunks: Iterable[Inflated], like: Digest | None) -> None:
        self._chunks = iter(chunks)
        self._hasher = Hasher(like)
        self._chunk = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty only at the end."""
        if self._position == len(self._chunk) and not self._advance():
            return b""
        piece = self._chunk[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def drain(self) -> Digest:
        """Read what follows the end of the archive; return the digest of the whole tar."""
        while self._advance():
            pass
        return self._hasher.digest

    def _advance(self) -> bool:
        """Take the next chunk that holds something; False at the end."""
        for chunk in self._chunks:
            self._hasher.update(chunk.content)
            if chunk.content:
                self._chunk, self._position = bytes(chunk.content), 0
                return True
        return False


def iter_entries(stream: TarStream, where: str) -> Iterator[Entry]:
    """The entries of a layer; `where` names it in errors. Raises BadArchive.

    The archive may end before the stream does, which the caller drains.
    """
    try:
        yield from _Reading(stream, where).iter_entries()
    except _DAMAGE as error:
        raise BadArchive(
            f"{where} is cut short or damaged ({error})", advice="push the image again"
        ) from error


class _DamagedHeader(Exception):
    """A damaged header. tarfile would take an error of its own for the end of the archive."""


_DAMAGE = (tarfile.TarError, _DamagedHeader, ValueError, LookupError, OverflowError, RecursionError)
"""The errors of tarfile for garbage: it parses numbers and nests headers without checking."""


class _StrictInfo(tarfile.TarInfo):
    """Headers whose damage is an error even after the first entry, and global ones as in Go.

    Unpackers of images read tars with Go's archive/tar. It hands a global pax header out as an
    entry of its own, which docker, containerd and podman skip, and applies its records to nothing.
    """

    follows_global = False

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise
            raise _DamagedHeader(str(error)) from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Refuse an extension that is too large; accept a global header as the last entry."""
        if self.type in _EXTENSIONS and self.size > _MAX_EXTENSION:
            raise _DamagedHeader(f"an extension header of {self.size} bytes")
        try:
            return super()._proc_member(archive)  # type: ignore[misc,no-any-return]  # typeshed's gap
        except _NoEntry as error:
            is_end = isinstance(error.__context__, (_ZeroBlock, _NothingLeft))
            if self.type == tarfile.XGLTYPE and is_end:
                raise _ZeroBlock("a global header ends the archive") from error
            raise

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Pass over a global header, with the extensions before it that seem to be its own."""
        if self.type != tarfile.XGLTYPE:
            return super()._proc_pax(archive)  # type: ignore[misc,no-any-return]  # as above
        archive.fileobj.read(self._block(self.size))  # type: ignore[attr-defined]
        try:
            following = self.fromtarfile(archive)
        except tarfile.HeaderError as error:
            raise _NoEntry(str(error)) from error
        following.follows_global = True
        return following

    def _apply_pax_info(self, records: Mapping[str, str], encoding: str, errors: str) -> None:
        if not self.follows_global:
            super()._apply_pax_info(records, encoding, errors)  # type: ignore[misc]  # as above


class _Reading:
    def __init__(self, stream: TarStream, where: str) -> None:
        self._stream = stream
        self._where = where
        self._known: dict[Metadata, Metadata] = {}

    def iter_entries(self) -> Iterator[Entry]:
        try:
            archive = tarfile.open(  # noqa: SIM115 - closed below
                fileobj=cast("IO[bytes]", self._stream),
                mode="r|",
                tarinfo=_StrictInfo,
                encoding="utf-8",
                errors="surrogateescape",
            )
        except tarfile.ReadError as error:
            if str(error) == "empty file":
                return
            raise
        with archive:
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else all stay in memory
                yield self._entry(archive, info)

    def _entry(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> Entry:
        name = _raw(info.name)
        try:
            return self._readable_entry(archive, info, normalise(name))
        except BadName as problem:
            raise refused(self._where, name, problem) from problem

    def _readable_entry(
        self, archive: tarfile.TarFile, info: tarfile.TarInfo, path: bytes
    ) -> Entry:
        kind = _KINDS.get(info.type)
        if kind is None:
            raise BadName(f"has the unknown type {info.type.decode('latin-1')!a}")
        payload, size = b"", 0
        written = [_raw(info.name)]
        if kind is Kind.FILE:
            payload, size = _hash_content(archive, info), info.size
        elif kind is Kind.SYMLINK:
            payload = _raw(info.linkname)
        elif kind is Kind.HARD_LINK:
            written.append(_raw(info.linkname))
            payload = normalise(written[-1])
        elif kind in (Kind.CHARACTER, Kind.BLOCK):
            payload = b"%d:%d" % (info.devmajor, info.devminor)
        back = any(map(goes_back, written))
        return Entry(path, kind, self._metadata(info), payload, size, back)

    def _metadata(self, info: tarfile.TarInfo) -> Metadata:
        """The metadata, as one object for all equal ones: most files of a layer share them."""
        xattrs = sorted(
            (_raw(name.removeprefix(_XATTR)), _raw(value))
            for name, value in info.pax_headers.items()
            if name.startswith(_XATTR)
        )
        metadata = Metadata(info.mode & _MODE, (info.uid, info.gid), _mtime(info), tuple(xattrs))
        return self._known.setdefault(metadata, metadata)


def refused(where: str, name: bytes, problem: Exception) -> BadArchive:
    """The error for people: entry `name` of layer `where` cannot be unpacked."""
    return BadArchive(
        f"{where}: the entry {shown(name.lstrip(b'/'))} {problem}", advice="build the image again"
    )


def _hash_content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(info)
    assert content is not None, "a regular file has content"
    digest = sha256()
    while piece := content.read(CHUNK):
        digest.update(piece)
    return digest.digest()


def _mtime(info: tarfile.TarInfo) -> int:
    """Nanoseconds; tarfile's own figure is a float, which does not hold them."""
    exact = info.pax_headers.get("mtime")
    try:
        return int(Decimal(exact) * _NANOSECONDS) if exact else int(info.mtime) * _NANOSECONDS
    except (InvalidOperation, OverflowError, ValueError):
        return int(info.mtime) * _NANOSECONDS


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
