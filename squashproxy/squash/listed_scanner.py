"""ListedScanner: steps through a listing as a TarScanner steps through a tar.

A merge of listings decides each entry as one of the layers themselves would, so it counts the same
and stops for the same reasons. It has no content to give: what it puts out is zeros, as many bytes
as the merged tar would have, but for the headers of entries that are rewritten (their times and
extended attributes are in no listing).
"""

from __future__ import annotations

from squashproxy.archive.detached_entry import DetachedEntry
from squashproxy.archive.header import DIRECTORY, HARD_LINK, padded
from squashproxy.archive.rewrite import directory_header, empty_file_header, with_link
from squashproxy.archive.scanner import TarScanner
from squashproxy.span import Kept, Span
from squashproxy.squash.layer import KnownLayer

_ZEROS = memoryview(bytes(1 << 20))


class ListedScanner(TarScanner):
    """A cursor over the entries of a known layer; see TarScanner. Nothing is fed to it."""

    def __init__(self, layer: KnownLayer, stream: int) -> None:
        super().__init__(layer.where, stream)
        self._entries = iter(layer.listing)
        self._unpacked = layer.listing.unpacked
        self._offset = self._end_at = 0
        self._span_size = 0
        self._written = 0
        self._behind = 0

    @property
    def span_size(self) -> int:
        """The bytes of the entry in the tar: headers, payload and padding."""
        return self._span_size

    @property
    def header(self) -> bytes:
        """Header blocks with the entry's path and link, and nothing else that is true."""
        if self.kind == DIRECTORY:
            return directory_header(self.path)
        made = empty_file_header(self.path)
        return with_link(made, self.link) if self.kind == HARD_LINK else made

    @property
    def offset(self) -> int:
        """About where the entry begins: global headers before it are in no listing."""
        return self._offset

    @property
    def consumed(self) -> int:
        """The bytes of tar so far."""
        return self._end_at

    def advance(self) -> bool:
        """Step to the next entry; False after the last."""
        self._written += self._behind
        self._behind = 0
        entry = next(self._entries, None)
        if entry is None:
            self._end_at = self._unpacked
            return False
        self.ordinal, self.kind, self.path, self.link, self.size, self._span_size, _ = entry
        self.is_roundabout = entry.is_roundabout
        self.parent, _, self.name = self.path.rpartition(b"/")
        self._renamed = False
        self._offset = self._end_at
        self._end_at += self._span_size
        return True

    def rename(self, path: bytes) -> None:
        """Give the entry another path."""
        self.path = path
        self.parent, _, self.name = path.rpartition(b"/")
        self._renamed = True

    def keep(self) -> None:
        """Count the entry as a part of the output."""
        self._written += self._span_size
        self.touched |= self._renamed

    def drop(self) -> None:
        """Leave the entry out."""

    def detach(self) -> DetachedEntry:
        """Take the entry out, without its content."""
        return DetachedEntry(
            self.ordinal, self.offset, self.path, self.header, self.size, self.span_size, []
        )

    def replace_by(self, entry: DetachedEntry, header: bytes, stream: int) -> None:  # noqa: ARG002 - no content moves
        """Count an earlier entry in place of this one."""
        self._written += len(header) + padded(entry.size)
        self.touched = True

    def replace(self, header: bytes) -> None:
        """Count the entry's payload under other header blocks."""
        self._written += len(header) + padded(self.size)
        self.touched = True

    def insert_before(self, data: bytes) -> None:
        """Count new entries."""
        self._written += len(data)
        self.touched = True

    def insert_after(self, data: bytes) -> None:
        """Count new entries."""
        self._behind += len(data)
        self.touched = True

    def take(self) -> list[Span]:
        """As many zeros as were put out since the last call."""
        spans: list[Span] = []
        while self._written:
            data = _ZEROS[: self._written]
            spans.append(Kept(self._stream, self._offset, data, ()))
            self._written -= len(data)
        return spans

    def finish(self) -> list[Span]:
        """The last spans."""
        self._written += self._behind
        self._behind = 0
        return self.take()
