"""Extension headers in front of an entry's own header: GNU long names and pax records."""

from __future__ import annotations

from dataclasses import dataclass, field

from squashproxy.archive.header import (
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    PAX_RECORDS,
    parse_pax,
    read_link,
    read_name,
)

_SPANS = frozenset({b"GNU.sparse.offset", b"GNU.sparse.numbytes"})


@dataclass(slots=True)
class Extended:
    """The extensions of one entry. If two say the same thing, the last one counts."""

    size: int = 0
    """The bytes of the extensions, headers included."""
    map_size: int = 0
    """The bytes read so far of an old GNU sparse map, which follows the entry's own header."""
    long_name: bytes = b""
    long_link: bytes = b""
    records: dict[bytes, bytes] = field(default_factory=dict)
    spans: list[bytes] = field(default_factory=list)
    """The map of a sparse file that has a record for each number (pax 0.0)."""

    def add(self, typeflag: bytes, payload: bytes) -> None:
        """Add one extension. Raises BadArchive for damaged pax records."""
        if typeflag == GNU_LONG_NAME:
            self.long_name = payload.partition(b"\0")[0]
        elif typeflag == GNU_LONG_LINK:
            self.long_link = payload.partition(b"\0")[0]
        elif typeflag in PAX_RECORDS:
            records = parse_pax(payload)
            self.records = dict(records)
            self.spans = [value for key, value in records if key in _SPANS]

    def name(self, buffer: bytes, at: int) -> bytes:
        """The path of the entry whose own header stands at `at`."""
        records = self.records
        recorded = records.get(b"GNU.sparse.name") or records.get(b"path")
        return self.long_name or recorded or read_name(buffer, at)

    def link(self, buffer: bytes, at: int) -> bytes:
        """The link target of the entry whose own header stands at `at`."""
        return self.long_link or self.records.get(b"linkpath") or read_link(buffer, at)
