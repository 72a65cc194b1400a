"""TarScanner: steps through the entries of a tar that arrives in chunks, and cuts it.

The caller feeds a chunk, calls `advance()` for each entry, decides it, and takes the spans. Headers
are read in place, payloads are never looked at, and consecutive kept entries leave as one span.

States, and what leads from one to the next:

1. *Between entries*: the cursor stands at a header, or at the end of the chunk. `advance()` leads
   to 2, 3, 4 or 6.
2. *At an entry*: its header is complete, and the attributes describe it. The caller decides once:
   `keep()`, `drop()`, `replace()`, `replace_by()` or `detach()`; `rename()` and the inserts may
   come before. The next `advance()` skips the payload (5) and goes on from 1.
3. *Within a header* (`_partial` is not empty): the chunk ended inside the headers of an entry. What
   was read is collected until they are complete; then 2.
4. *At a global pax header*: it is dropped without asking the caller; then 1.
5. *Within a payload* (`_remaining` is positive): the chunk ended inside a payload. Its rest follows
   the entry's decision; then 1.
6. *Ended* (`_ended`): a block of zeros was met. What follows is ignored.
7. *Finished* (`_finished`): `finish()` was called. It raises BadArchive in states 3 and 5; any
   further use raises StreamConsumed.

Beside these, `_keeping` says whether the bytes since the last decision go out, `_run` is where the
current span began in the chunk (-1 for none), and `_detached` collects spans for a detached entry
instead of the output.
"""

from __future__ import annotations

from squashproxy.archive.detached_entry import DetachedEntry
from squashproxy.archive.fields import Sizes, Sums, sum_of
from squashproxy.archive.header import (
    BLOCK,
    CHECKSUM,
    DIRECTORY,
    HARD_LINK,
    PAX_GLOBAL,
    PREFIX,
    REGULAR,
    SIZE,
    TYPE_AT,
    ZERO_BLOCK,
    padded,
)
from squashproxy.archive.header_parser import HeaderParser
from squashproxy.archive.path import (
    BadEntry,
    check_length,
    check_target,
    is_roundabout,
    normalise,
    shown,
)
from squashproxy.archive.rewrite import with_path
from squashproxy.archive.sparse_map import PayloadMap
from squashproxy.errors import BadArchive, StreamConsumed
from squashproxy.span import Inflated, Kept, New, Span

_PREFIX_AT = PREFIX.start
_SIZE_AT, _SIZE_END = SIZE.start, SIZE.stop
_SUM_AT, _SUM_END = CHECKSUM.start, CHECKSUM.stop
_STRANGE = frozenset({b"", b".", b".."})
_PLAIN = {REGULAR[0]: REGULAR, DIRECTORY[0]: DIRECTORY}


class TarScanner:
    """A cursor over the entries of one tar stream.

    `where` names the stream in errors, `stream` numbers it in spans. Raises BadArchive for a
    damaged header, a refused name and, from `finish()`, a stream that is cut short.
    """

    def __init__(self, where: str, stream: int) -> None:
        self.where = where
        """The stream's name in messages."""
        self._stream = stream
        self._sources: tuple[Inflated, ...] = ()
        self._chunk = b""
        self._length = 0
        self._view = memoryview(b"")
        self._sums = Sums()
        self._sizes = Sizes()
        self._base = 0
        self._at = 0
        self._entry_at = 0
        self._partial = bytearray()
        self._partial_sources: list[Inflated] = []
        self._needed = 0
        self._parser = HeaderParser(where)
        self._run = -1
        self._out: list[Span] = []
        self._detached: list[Kept] | None = None
        self._after: list[bytes] = []
        self._remaining = 0
        self._keeping = False
        self._ended = False
        self._finished = False
        self._header_size = 0
        self._renamed = False
        self._raw_parent: bytes | None = None
        self._is_parent_roundabout = False
        self.touched = False
        """Whether bytes were rewritten, added or, of global headers, cut; drops do not count."""
        self.ordinal = -1
        """The entry's number in its stream, from 0."""
        self.path = b""
        """The entry's path, normalised."""
        self.parent = b""
        """The path without its last part."""
        self.name = b""
        """The last part of the path."""
        self.is_roundabout = False
        """Whether a `..` stands in the name, or in a hard link's target, as they are written."""
        self.kind = REGULAR
        """The entry's type flag; a regular file's is `0`, however it was written."""
        self.link = b""
        """The target of a hard link, normalised, or of a symlink, as it stands."""
        self.size = 0
        """The bytes of payload in the stream; for a sparse file, less than the file's size."""
        self.holes = 0
        """The bytes of holes in all sparse files so far."""
        self._map: PayloadMap | None = None

    @property
    def span_size(self) -> int:
        """The bytes of the entry in the tar: headers, payload and padding."""
        return self._header_size + padded(self.size)

    @property
    def header(self) -> bytes:
        """A copy of the entry's header blocks, extensions first. Only before the decision."""
        raw = bytes(self._partial) or self._chunk[self._entry_at : self._at]
        return with_path(raw, self.path) if self._renamed else raw

    @property
    def consumed(self) -> int:
        """The bytes of the stream so far."""
        return self._base + len(self._chunk)

    def feed(self, source: Inflated) -> None:
        """Take the next chunk. The one before must be used up and its spans taken."""
        self._refuse_finished()
        self._base += len(self._chunk)
        self._sources = (source,)
        self._chunk = source.content
        self._length = len(source.content)
        self._view = memoryview(source.content)
        self._at = 0
        if self._keeping and not self._partial and not self._ended:
            self._run = 0

    def advance(self) -> bool:
        """Step to the next entry with a complete header; False when the chunk is used up."""
        while not self._ended:
            at = self._at + self._remaining
            if self._map is not None:
                self._read_map(min(at, self._length))
            if at > self._length:
                self._remaining = at - self._length
                self._at = self._length
                return False
            self._at = at
            self._remaining = 0
            if self._after:
                self._insert_waiting()
            if self._try_plain(at):
                return True
            if not self._read_headers():
                return False
            if self.kind != PAX_GLOBAL:
                self.ordinal += 1
                self._renamed = False
                return True
            self.drop()
            self.touched = True
        return False

    def _read_map(self, end: int) -> None:
        """Check the map of a sparse file that stands before its data, as far as it is there."""
        assert self._map is not None
        try:
            is_complete = self._map.feed(self._chunk[self._at : end])
        except BadArchive as error:
            raise BadArchive(
                f"{self.where} is damaged: {error}, in the tar's entry {shown(self.path)}",
                advice="build or push the image again",
            ) from error
        if is_complete:
            self._map = None

    def rename(self, path: bytes) -> None:
        """Give the entry another (normalised) path, also if it is kept."""
        self.path = path
        self.parent, _, self.name = path.rpartition(b"/")
        self._raw_parent = None
        self._renamed = True

    @property
    def offset(self) -> int:
        """Where the entry begins in the stream."""
        return self._partial_offset if self._partial else self._base + self._entry_at

    def keep(self) -> None:
        """Keep the entry, bit for bit unless it was renamed."""
        if self._renamed:
            self.replace(self.header)
            return
        if self._detached is not None:
            self._close_run(self._entry_at)
            self._detached = None
        if self._partial:
            raw = memoryview(bytes(self._partial))
            sources = tuple(self._partial_sources)
            self._out.append(Kept(self._stream, self._partial_offset, raw, sources))
            self._partial.clear()
            self._run = self._at
        elif self._run < 0:
            self._run = self._entry_at
        self._keeping = True

    def drop(self) -> None:
        """Leave the entry out, headers and payload."""
        self._close_run(self._entry_at)
        self._detached = None
        self._partial.clear()
        self._keeping = False

    def detach(self) -> DetachedEntry:
        """Take the entry out. Its payload is complete once the next header has been read."""
        spans: list[Kept] = []
        entry = DetachedEntry(
            self.ordinal, self.offset, self.path, self.header, self.size, self.span_size, spans
        )
        self.drop()
        self._detached = spans
        self._run = self._at
        self._keeping = True
        return entry

    def replace_by(self, entry: DetachedEntry, header: bytes, stream: int) -> None:
        """Replace this entry, a hard link without content, by an earlier one that was detached.

        `header` are its new header blocks; its spans become part of `stream`.
        """
        self.drop()
        self._out.append(New(header))
        self._out += (span._replace(stream=stream) for span in entry.payload)
        self.touched = True

    def replace(self, header: bytes) -> None:
        """Keep the entry's payload under other header blocks."""
        self.drop()
        self._out.append(New(header))
        self._run = self._at
        self._keeping = True
        self.touched = True

    def insert_before(self, data: bytes) -> None:
        """Insert whole new entries before this one. Only before its decision."""
        self._close_run(self._entry_at)
        self._out.append(New(data))
        self.touched = True

    def insert_after(self, data: bytes) -> None:
        """Insert whole new entries after this one."""
        self._after.append(data)
        self.touched = True

    def take(self) -> list[Span]:
        """The spans since the last call; their views stay valid."""
        self._close_run(self._entry_at if self._partial else self._at)
        out = self._out
        self._out = []
        if self._keeping and not self._partial and not self._ended:
            self._run = self._at
        return out

    def finish(self) -> list[Span]:
        """End the stream: the last spans. Raises BadArchive where it ends within an entry."""
        self._refuse_finished()
        self._finished = True
        if not self._ended:
            if self._remaining or any(self._partial):
                raise BadArchive(
                    f"{self.where} is cut short: its tar ends within an entry, after "
                    f"{self.consumed} bytes",
                    advice="build or push the image again",
                )
            if self._after:
                self._insert_waiting()
        return self.take()

    def _refuse_finished(self) -> None:
        if self._finished:
            raise StreamConsumed(f"{self.where} was scanned to its end already")

    @property
    def _partial_offset(self) -> int:
        return self._base + self._at - len(self._partial)

    def _close_run(self, end: int) -> None:
        if 0 <= self._run < end:
            view = self._view[self._run : end]
            span = Kept(self._stream, self._base + self._run, view, self._sources)
            if self._detached is None:
                self._out.append(span)
            else:
                self._detached.append(span)
        self._run = -1

    def _insert_waiting(self) -> None:
        self._close_run(self._at)
        self._out += map(New, self._after)
        self._after.clear()
        if self._keeping:
            self._run = self._at

    def _try_plain(self, at: int) -> bool:
        """Read the next header if it is a plain one: a file's or directory's, of a single block.

        Most are, so this path is short. Returns False for all others, and for anything unusual.
        """
        chunk = self._chunk
        end = at + BLOCK
        if end > self._length or self._partial:
            return False
        kind = _PLAIN.get(chunk[at + TYPE_AT])
        if kind is None or chunk[at + _PREFIX_AT]:
            return False
        if sum_of(self._view[at:end]) != self._sums[chunk[at + _SUM_AT : at + _SUM_END]]:
            return False
        size = self._sizes[chunk[at + _SIZE_AT : at + _SIZE_END]]
        name_end = chunk.find(0, at, at + 100)
        if size < 0 or name_end <= at:
            return False
        if kind is DIRECTORY:
            size = 0
        self._entry_at = at
        self._set_path(chunk[at:name_end])
        self.kind = kind
        self.link = b""
        self.size = size
        self._remaining = (size + BLOCK - 1) & -BLOCK
        self._header_size = BLOCK
        self._renamed = False
        self._at = end
        self.ordinal += 1
        return True

    def _set_path(self, name: bytes) -> None:
        """Normalise `name`. The parent's form is remembered, since neighbours mostly share it."""
        raw_parent, _, base = name.rpartition(b"/")
        if not base:
            raw_parent, _, base = name[:-1].rpartition(b"/")
        if base in _STRANGE or 0 in base:
            self.path = self._normalise(name, name)
            self.parent, _, self.name = self.path.rpartition(b"/")
            self.is_roundabout = is_roundabout(name)
            self._raw_parent = None
            return
        if raw_parent != self._raw_parent:
            self.parent = self._normalise(raw_parent, name)
            self._is_parent_roundabout = is_roundabout(raw_parent)
            self._raw_parent = raw_parent
        self.is_roundabout = self._is_parent_roundabout
        self.name = base
        self.path = self.parent + b"/" + base if self.parent else base

    def _read_headers(self) -> bool:
        if self._partial:
            return self._read_partial()
        chunk, at = self._chunk, self._at
        if chunk[at : at + 1] == b"\0" and chunk.startswith(ZERO_BLOCK, at):
            self._end(at)
            return False
        self._entry_at = at
        length = self._parser.parse(chunk, at, self._base + at)
        if length > 0:
            self._at = at + length
            self._set_entry(length)
            return True
        self._close_run(at)
        self._partial += memoryview(chunk)[at:]
        self._partial_sources = list(self._sources)
        self._needed = -length
        self._at = len(chunk)
        return False

    def _read_partial(self) -> bool:
        """Complete headers that began in an earlier chunk."""
        self._entry_at = 0
        if self._partial_sources[-1] is not self._sources[0]:
            self._partial_sources.append(self._sources[0])
        while True:
            step = self._chunk[self._at : self._at + self._needed - len(self._partial)]
            self._partial += step
            self._at += len(step)
            if len(self._partial) < self._needed:
                return False
            if self._partial == ZERO_BLOCK:
                self._partial.clear()
                self._end(self._at)
                return False
            rest = bytes(self._partial[self._parser.seen :])
            length = self._parser.parse(rest, 0, self._partial_offset)
            if length > 0:
                self._set_entry(length)
                return True
            self._needed = -length

    def _end(self, at: int) -> None:
        self._close_run(at)
        self._keeping = False
        self._ended = True

    def _set_entry(self, length: int) -> None:
        """Take over the entry whose headers, of `length` bytes, were parsed."""
        parsed = self._parser
        self.kind = parsed.kind
        self.size = parsed.size
        self._remaining = padded(parsed.size)
        self._map = parsed.payload_map
        self.holes += max(0, parsed.real_size - parsed.size)
        if parsed.kind == PAX_GLOBAL:
            return
        self._set_path(parsed.name)
        is_hard_link = parsed.kind == HARD_LINK
        self.link = self._normalise(parsed.link, parsed.link) if is_hard_link else parsed.link
        try:
            check_length(self.path)
            (check_length if is_hard_link else check_target)(self.link)
        except BadEntry as error:
            raise error.at(self.where, self.path) from error
        self.is_roundabout |= is_hard_link and is_roundabout(parsed.link)
        self._header_size = length

    def _normalise(self, path: bytes, name: bytes) -> bytes:
        """The normalised form of `path`, which is `name` or a part of it."""
        try:
            return normalise(path)
        except BadEntry as error:
            raise error.at(self.where, name) from error
