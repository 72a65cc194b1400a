"""The bytes that leave the scanner: kept entries unchanged, new ones in their place."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.archive.detached_entry import DetachedEntry
from squashproxy.archive.rewrite import empty_file_header, with_path
from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import StreamConsumed
from squashproxy.span import Inflated, Kept, New
from squashproxy.testing import LayerBuilder
from tests.archive.reading import END, names, read
from tests.archive.scanning import Decision, Seen, iter_chunks, iter_cut, misplaced, scan
from tests.archive.tars import cuts, tars


@dataclass(frozen=True, slots=True)
class Act:
    """What is done about one entry."""

    what: str
    before: Sequence[bytes] = field(default_factory=tuple)
    after: Sequence[bytes] = field(default_factory=tuple)

    def apply(self, scanner: TarScanner) -> None:
        for data in self.before:
            scanner.insert_before(data)
        if self.what == "rename":
            scanner.rename(_renamed(scanner.ordinal))
        if self.what == "drop":
            scanner.drop()
        elif self.what == "detach":
            scanner.detach()
        elif self.what == "replace":
            scanner.replace(_replaced(scanner.ordinal))
        else:
            scanner.keep()
        for data in self.after:
            scanner.insert_after(data)

    def expected(self, entry: Seen, span: bytes) -> bytes:
        header, payload = span[: len(entry.header)], span[len(entry.header) :]
        match self.what:
            case "drop" | "detach":
                kept = b""
            case "replace":
                kept = _replaced(entry.ordinal) + payload
            case "rename":
                kept = with_path(header, _renamed(entry.ordinal)) + payload
            case _:
                kept = span
        return b"".join([*self.before, kept, *self.after])


def _renamed(ordinal: int) -> bytes:
    return b"renamed/%d" % ordinal + b"x" * (60 * (ordinal % 3))


def _replaced(ordinal: int) -> bytes:
    return b"replaced %d" % ordinal


def acting(acts: Sequence[Act]) -> Decision:
    return lambda scanner: acts[scanner.ordinal].apply(scanner)


NEW = st.lists(st.sampled_from([empty_file_header(b"new"), b"raw bytes"]), max_size=2)
ACTS = st.builds(
    Act,
    what=st.sampled_from(["keep", "drop", "detach", "replace", "rename"]),
    before=NEW,
    after=NEW,
)


@settings(deadline=None)
@given(st.data())
def test_any_decisions_give_what_they_say_however_the_tar_is_cut(data: st.DataObject) -> None:
    tar = data.draw(tars())
    members = read(tar)
    entries = scan([tar]).entries
    acts = data.draw(st.lists(ACTS, min_size=len(members), max_size=len(members)))
    expected = b"".join(
        act.expected(entry, tar[member.start : member.stop])
        for act, entry, member in zip(acts, entries, members, strict=True)
    )
    for chunks in ([tar], iter_cut(tar, data.draw(cuts(tar)))):
        result = scan(chunks, acting(acts))
        assert result.data == expected
        assert misplaced(tar, result.spans) == []
        is_touched = any(
            act.what in ("replace", "rename") or act.before or act.after for act in acts
        )
        assert result.touched == is_touched


@settings(deadline=None)
@given(st.data())
def test_dropping_leaves_a_tar_of_the_others(data: st.DataObject) -> None:
    tar = data.draw(tars())
    members = read(tar)
    count = len(members)
    kept = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    acts = [Act("keep" if stays else "drop") for stays in kept]
    result = scan(iter_cut(tar, data.draw(cuts(tar))), acting(acts))
    left = read(result.data + END)
    expected = [member for member, stays in zip(members, kept, strict=True) if stays]
    assert [(m.path, m.kind, m.link, m.content, m.attributes) for m in left] == [
        (m.path, m.kind, m.link, m.content, m.attributes) for m in expected
    ]


LAYER = LayerBuilder().file("a", b"1" * 700).file("b", b"2" * 1024).directory("c").file("d")
TAR = LAYER.tar()
each_chunk = pytest.mark.parametrize("chunk", [1, 300, 512, 1000, 1 << 20])


@each_chunk
@pytest.mark.parametrize(
    ("dropped", "left"),
    [
        pytest.param("", "abcd", id="none"),
        pytest.param("a", "bcd", id="first"),
        pytest.param("bc", "ad", id="middle"),
        pytest.param("d", "abc", id="last"),
        pytest.param("abcd", "", id="all"),
        pytest.param("ac", "bd", id="every other"),
    ],
)
def test_dropped_entries_go_whole(dropped: str, left: str, chunk: int) -> None:
    acts = [Act("drop" if name in dropped else "keep") for name in "abcd"]
    result = scan(iter_chunks(TAR, chunk), acting(acts))
    assert names(result.data) == list(left)
    assert not result.touched


@each_chunk
def test_inserted_entries_stand_where_they_should(chunk: int) -> None:
    new = {name: empty_file_header(name.encode()) for name in ("1", "2", "3", "4")}
    acts = [
        Act("keep", before=[new["1"]], after=[new["2"]]),
        Act("drop", after=[new["3"]]),
        Act("keep"),
        Act("keep", after=[new["4"]]),
    ]
    result = scan(iter_chunks(TAR, chunk), acting(acts))
    assert names(result.data) == ["1", "a", "2", "3", "c", "d", "4"]
    assert result.touched


@each_chunk
def test_a_replaced_header_keeps_the_payload(chunk: int) -> None:
    replaced = LayerBuilder().file("z", b"1" * 700).tar()[:512]

    def decide(scanner: TarScanner) -> None:
        if scanner.path == b"a":
            scanner.replace(replaced)
        else:
            scanner.drop()

    result = scan(iter_chunks(TAR, chunk), decide)
    [member] = read(result.data)
    assert (member.path, member.content) == (b"z", b"1" * 700)


@each_chunk
def test_an_entry_put_aside_takes_the_place_of_a_later_one(chunk: int) -> None:
    renamed = LayerBuilder().file("z", b"1" * 700).tar()[:512]
    detached: list[DetachedEntry] = []

    def decide(scanner: TarScanner) -> None:
        if scanner.path == b"a":
            detached.append(scanner.detach())
        elif scanner.path == b"c":
            scanner.replace_by(detached[0], renamed, 9)
        else:
            scanner.keep()

    result = scan(iter_chunks(TAR, chunk), decide)
    assert names(result.data) == ["b", "z", "d"]
    assert read(result.data)[1].content == b"1" * 700
    moved = [span for span in result.spans if isinstance(span, Kept) and span.stream == 9]
    assert all(TAR[span.offset :].startswith(span.data) for span in moved)
    assert b"".join(span.data for span in moved) == TAR[512:1536]
    assert (detached[0].ordinal, detached[0].offset, detached[0].span_size) == (0, 0, 1536)


@each_chunk
def test_a_renamed_entry_shows_its_new_name_in_its_header(chunk: int) -> None:
    headers = []

    def decide(scanner: TarScanner) -> None:
        scanner.rename(b"new/" + scanner.path)
        headers.append(scanner.header)
        scanner.drop()

    assert scan(iter_chunks(TAR, chunk), decide).data == b""
    named = [tarfile.TarInfo.frombuf(header, "utf-8", "strict").name for header in headers]
    assert named == ["new/a", "new/b", "new/c", "new/d"]


def test_the_end_after_the_last_chunk_still_takes_what_waits() -> None:
    tar = LayerBuilder().file("a", b"1").tar(end_blocks=0)
    acts = [Act("keep", after=[b"behind"])]
    assert scan([tar], acting(acts)).data == tar + b"behind"


def test_spans_not_taken_are_in_what_finish_gives() -> None:
    tar = LAYER.tar(end_blocks=0)
    scanner = TarScanner("layer 1", 0)
    scanner.feed(Inflated(tar))
    while scanner.advance():
        scanner.keep()
    assert b"".join(bytes(span.data) for span in scanner.finish()) == tar


def test_taking_twice_gives_nothing_twice() -> None:
    scanner = TarScanner("layer 1", 0)
    scanner.feed(Inflated(TAR))
    while scanner.advance():
        scanner.keep()
    assert len(scanner.take()) == 1
    assert scanner.take() == []


def test_taken_spans_stay_valid() -> None:
    spans = scan(iter_chunks(TAR, 700)).spans
    assert io.BytesIO(b"".join(bytes(span.data) for span in spans)).read() == TAR[:-1024]
    assert all(not isinstance(span, New) for span in spans)


def test_a_finished_scanner_takes_no_more() -> None:
    scanner = TarScanner("layer 1", 0)
    scanner.feed(Inflated(TAR))
    scanner.finish()
    with pytest.raises(StreamConsumed, match="layer 1 was scanned to its end already"):
        scanner.feed(Inflated(b"more"))
    with pytest.raises(StreamConsumed, match="layer 1 was scanned to its end already"):
        scanner.finish()
