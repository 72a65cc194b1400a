"""HeaderParser: the header blocks of one entry, with their extensions, also in several chunks.

An entry may begin with extension headers (GNU long names, pax records). Its own header follows, and
then the rest of an old GNU sparse map. No header is parsed twice, however many chunks it spans: the
parser remembers the extensions and the blocks of the map that it has seen.
"""

from __future__ import annotations

from squashproxy.archive.extended_headers import Extended
from squashproxy.archive.header import (
    BLOCK,
    CONTIGUOUS,
    DIRECTORY,
    EXTENSIONS,
    GNU_SPARSE,
    HARD_LINK,
    OLD_REGULAR,
    PAX_GLOBAL,
    REGULAR,
    SIZE,
    SYMLINK,
    TYPE_AT,
    WITHOUT_PAYLOAD,
    has_valid_checksum,
    is_sparse_extended,
    padded,
    parse_decimal,
    parse_number,
)
from squashproxy.archive.sparse_map import PaxMap, PayloadMap, check_old
from squashproxy.errors import BadArchive

MAX_EXTENSION = 1 << 20
"""The most bytes in a long name, pax header or sparse map, as in Go's tar reader."""
MAX_HEADERS = 4 << 20
"""The most bytes in all header blocks of one entry."""


class HeaderParser:
    """Parses the headers of entries that are not plain; `where` names the stream in errors."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._first = 0
        self._extended = Extended()
        self.name = b""
        """The entry's path, as it is written."""
        self.link = b""
        """The target of a hard link or symlink, as it is written."""
        self.kind = REGULAR
        """The entry's type flag; a regular file's is `0`, however it was written."""
        self.size = 0
        """The bytes of payload in the stream; for a sparse file, less than the file's size."""
        self.real_size = 0
        """The size of the file, its holes included."""
        self.payload_map: PayloadMap | None = None
        """Checks the map of a sparse file that stands before its data."""

    @property
    def seen(self) -> int:
        """The bytes of the entry's extensions that were parsed already."""
        return self._extended.size

    def parse(self, buffer: bytes, at: int, first: int) -> int:
        """Parse one entry's headers; return their length, or minus the length that they need.

        They stand in `buffer` from `at` on, without the extensions that were `seen` before. The
        entry's first header is at byte `first` of the stream. Raises BadArchive.
        """
        self._first = first
        extended = self._extended
        start = at - extended.size
        while True:
            if len(buffer) - at < BLOCK:
                return start - at - BLOCK
            if not has_valid_checksum(buffer, at):
                raise self._damaged("a header's checksum is wrong", at - start)
            typeflag = buffer[at + TYPE_AT : at + TYPE_AT + 1]
            size = self._parse_size(buffer, at, at - start)
            if typeflag not in EXTENSIONS:
                break
            end = at + BLOCK + padded(size)
            if size > MAX_EXTENSION or end - start > MAX_HEADERS:
                raise self._too_long(at - start)
            if end > len(buffer):
                return start - end
            if typeflag == PAX_GLOBAL:
                self._set_global()
                return end - start
            self._extend(typeflag, buffer[at + BLOCK : at + BLOCK + size], at - start)
            at = end
            extended.size = at - start
        end = at + BLOCK if typeflag != GNU_SPARSE else self._map_end(buffer, at, at - start)
        if end > len(buffer):
            return start - end
        self._set_entry(buffer, at, typeflag, size)
        try:
            self._read_map(buffer[at:end] if typeflag == GNU_SPARSE else b"", extended)
        except BadArchive as error:
            raise self._damaged(str(error), at - start) from error
        return end - start

    def _map_end(self, buffer: bytes, at: int, offset: int) -> int:
        """The end of an old GNU sparse map; past the buffer if it is incomplete."""
        end = at + BLOCK + self._extended.map_size
        first = not self._extended.map_size
        while end <= len(buffer) and is_sparse_extended(buffer, end - BLOCK, first=first):
            end += BLOCK
            first = False
        if end - at > MAX_EXTENSION:
            raise self._too_long(offset)
        if end > len(buffer):
            self._extended.map_size = end - at - 2 * BLOCK
        return end

    def _extend(self, typeflag: bytes, payload: bytes, offset: int) -> None:
        try:
            self._extended.add(typeflag, payload)
        except BadArchive as error:
            raise self._damaged(str(error), offset) from error

    def _set_global(self) -> None:
        self.kind = PAX_GLOBAL
        self.size = 0
        self._extended = Extended()

    def _set_entry(self, buffer: bytes, at: int, typeflag: bytes, size: int) -> None:
        extended = self._extended
        self.name = extended.name(buffer, at)
        self.link = b""
        if typeflag == OLD_REGULAR:
            typeflag = DIRECTORY if self.name.endswith(b"/") else REGULAR
        elif typeflag == CONTIGUOUS:
            typeflag = REGULAR
        elif typeflag in (HARD_LINK, SYMLINK):
            self.link = extended.link(buffer, at)
        if extended.size or extended.map_size:
            size = self._recorded_size(size)
            self._extended = Extended()
        self.kind = typeflag
        self.size = 0 if typeflag in WITHOUT_PAYLOAD else size

    def _read_map(self, old: bytes, extended: Extended) -> None:
        """Check the map of a sparse file: in the `old` GNU header blocks, or in pax records."""
        self.real_size = self.size
        self.payload_map = None
        if old:
            self.real_size = check_old(old, self.size)
        if old or self.kind != REGULAR or not extended.records:
            return
        found = PaxMap(extended.records, extended.spans)
        if found.is_in_records:
            self.real_size = found.check(self.size)
        elif found.is_in_payload:
            self.real_size = found.real_size(self.size)
            self.payload_map = PayloadMap(self.size, self.real_size)

    def _parse_size(self, buffer: bytes, at: int, offset: int) -> int:
        try:
            size = parse_number(buffer[at + SIZE.start : at + SIZE.stop])
        except ValueError as error:
            raise self._damaged("a header's size is no number", offset) from error
        if size < 0:
            raise self._damaged("a header's size is negative", offset)
        return size

    def _recorded_size(self, size: int) -> int:
        """The size in the entry's pax records; `size` if they have none, or an empty one."""
        text = self._extended.records.get(b"size")
        try:
            return parse_decimal(text) if text else size
        except ValueError as error:
            raise self._damaged("a pax header's size is no number", 0) from error

    def _too_long(self, offset: int) -> BadArchive:
        return self._damaged("an entry's headers are longer than is allowed", offset)

    def _damaged(self, what: str, offset: int) -> BadArchive:
        """The error for the header that is `offset` bytes behind the entry's first."""
        return BadArchive(
            f"{self._where} is damaged: {what}, at byte {self._first + offset} of its tar",
            advice="build or push the image again",
        )
