"""Reading one layer's tar: entries, with files as the digest of their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from squashproxy.digest import Digest, Hasher
from squashproxy.errors import BadArchive
from squashproxy.span import Inflated
from squashproxy.verify.content import ContentHasher
from squashproxy.verify.headers import Damage, Headers, padded, read_headers
from squashproxy.verify.names import (
    BadName,
    check_length,
    check_target,
    goes_back,
    normalise,
    shown,
)
from squashproxy.verify.sparse import SparseFile, read_sparse
from squashproxy.verify.tree import Kind, Metadata

_MODE = 0o7777
_KINDS = {
    b"0": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer, its path normalised; `payload` and `size` as in Inode.

    A hard link's payload is its target, normalised. `goes_back` says whether a `..` stood in either
    of them. `holes` are the bytes of a file that are not stored.
    """

    path: bytes
    kind: Kind
    metadata: Metadata
    payload: bytes
    size: int
    goes_back: bool = False
    holes: int = 0


class TarStream:
    """The chunks of an unpacked layer; everything is hashed.

    `like` is a digest whose algorithm is used. `note` is told the length of each chunk.
    """

    def __init__(
        self,
        chunks: Iterable[Inflated],
        like: Digest | None,
        note: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._chunks = iter(chunks)
        self._hasher = Hasher(like)
        self._note = note
        self._chunk = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty only at the end."""
        if self._position == len(self._chunk) and not self._advance():
            return b""
        piece = self._chunk[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def read_exactly(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end."""
        piece = self.read(size)
        if len(piece) == size:
            return piece
        pieces = [piece]
        left = size - len(piece)
        while left and (piece := self.read(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def drain(self) -> Digest:
        """Read what follows the end of the archive; return the digest of the whole tar."""
        while self._advance():
            pass
        return self._hasher.digest

    def _advance(self) -> bool:
        """Take the next chunk that holds something; False at the end."""
        for chunk in self._chunks:
            self._note(len(chunk.content))
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
    except Damage as error:
        raise BadArchive(
            f"{where} is cut short or damaged ({error})", advice="push the image again"
        ) from error


class _Reading:
    def __init__(self, stream: TarStream, where: str) -> None:
        self._stream = stream
        self._where = where
        self._known: dict[Metadata, Metadata] = {}

    def iter_entries(self) -> Iterator[Entry]:
        while (found := read_headers(self._stream.read_exactly)) is not None:
            try:
                yield self._entry(found, normalise(found.name))
            except BadName as problem:
                raise refused(self._where, found.name, problem) from problem

    def _entry(self, found: Headers, path: bytes) -> Entry:
        check_length(path)
        kind = _KINDS.get(found.kind)
        if kind is None:
            raise BadName(f"has the unknown type {found.kind.decode('latin-1')!a}")
        payload, size, holes = b"", 0, 0
        written = [found.name]
        if kind is Kind.FILE:
            payload, size = self._hash_content(found)
            holes = max(0, size - found.size)
        elif kind is Kind.SYMLINK:
            payload = found.link
            check_target(payload)
        elif kind is Kind.HARD_LINK:
            written.append(found.link)
            payload = normalise(found.link)
            check_length(payload)
        elif kind in (Kind.CHARACTER, Kind.BLOCK):
            payload = b"%d:%d" % found.device
        back = any(map(goes_back, written))
        return Entry(path, kind, self._metadata(found), payload, size, back, holes)

    def _hash_content(self, found: Headers) -> tuple[bytes, int]:
        """The digest of a file's content, and its size, holes included."""
        left = found.size
        hasher = ContentHasher()

        def read(size: int) -> bytes:
            nonlocal left
            piece = self._stream.read(min(size, left))
            if not piece and min(size, left):
                raise Damage("it ends within an entry")
            left -= len(piece)
            return piece

        def read_exactly(size: int) -> bytes:
            nonlocal left
            piece = self._stream.read_exactly(size)
            if len(piece) < size:
                raise Damage("it ends within an entry")
            left -= size
            return piece

        sparse = read_sparse(found, read_exactly)
        if sparse is None:
            sparse = SparseFile(found.size, ((0, found.size),))
        at = 0
        for offset, length in sparse.stretches:
            hasher.skip(offset - at)
            at = offset + length
            rest = length
            while rest:
                piece = read(rest)
                hasher.update(piece)
                rest -= len(piece)
        hasher.skip(sparse.size - at)
        padding = padded(found.size) - found.size
        if len(self._stream.read_exactly(padding)) < padding:
            raise Damage("it ends within an entry")
        return hasher.finish(), sparse.size

    def _metadata(self, found: Headers) -> Metadata:
        """The metadata, as one object for all equal ones: most files of a layer share them."""
        mode = found.mode & _MODE if found.mode >= 0 else found.mode
        metadata = Metadata(mode, found.owner, found.mtime, tuple(found.xattrs))
        return self._known.setdefault(metadata, metadata)


def refused(where: str, name: bytes, problem: Exception) -> BadArchive:
    """The error for people: entry `name` of layer `where` cannot be unpacked."""
    return BadArchive(
        f"{where}: the entry {shown(name.lstrip(b'/'))} {problem}", advice="build the image again"
    )
