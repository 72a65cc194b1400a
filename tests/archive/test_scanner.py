"""The scanner finds what tarfile finds, however the tar is cut into chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.archive.scanner import TarScanner
from squashproxy.errors import BadArchive
from squashproxy.span import Inflated
from squashproxy.testing import Header, LayerBuilder, SparseForm, TarFormat
from squashproxy.testing.headers import encode_records
from tests.archive.reading import read
from tests.archive.scanning import Scan, iter_chunks, iter_cut, misplaced, scan
from tests.archive.tars import cuts, tars

LONG = "d" * 60 + "/" + "n" * 90
Build = Callable[[LayerBuilder], LayerBuilder]


def whole(tar: bytes) -> Scan:
    return scan([tar])


@pytest.mark.parametrize("form", TarFormat, ids=lambda form: form.value)
@pytest.mark.parametrize(
    ("build", "path", "kind", "link", "size"),
    [
        pytest.param(lambda b: b.file("./a", b"12345"), b"a", b"0", b"", 5, id="file"),
        pytest.param(lambda b: b.file("/a//b"), b"a/b", b"0", b"", 0, id="absolute name"),
        pytest.param(lambda b: b.directory("d"), b"d", b"5", b"", 0, id="directory"),
        pytest.param(lambda b: b.directory("./"), b"", b"5", b"", 0, id="root"),
        pytest.param(lambda b: b.symlink("s", "../x/"), b"s", b"2", b"../x/", 0, id="symlink"),
        pytest.param(lambda b: b.hardlink("h", "./d//f"), b"h", b"1", b"d/f", 0, id="hard link"),
        pytest.param(lambda b: b.fifo("p"), b"p", b"6", b"", 0, id="fifo"),
        pytest.param(lambda b: b.device("c", 1, 3), b"c", b"3", b"", 0, id="character device"),
        pytest.param(
            lambda b: b.device("b", 8, 1, block=True), b"b", b"4", b"", 0, id="block device"
        ),
        pytest.param(lambda b: b.whiteout("d/x"), b"d/.wh.x", b"0", b"", 0, id="whiteout"),
        pytest.param(lambda b: b.file(LONG, b"x"), LONG.encode(), b"0", b"", 1, id="long name"),
        pytest.param(
            lambda b: b.directory(LONG), LONG.encode(), b"5", b"", 0, id="directory, long name"
        ),
        pytest.param(lambda b: b.file(b"\xff\xfe", b"x"), b"\xff\xfe", b"0", b"", 1, id="no UTF-8"),
        pytest.param(
            lambda b: b.file("x", b"x" * 513, xattrs={"user.a": b"v" * 3000}),
            b"x",
            b"0",
            b"",
            513,
            id="a pax header of several blocks",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"old", b"\0", size=2), b"ab"),
            b"old",
            b"0",
            b"",
            2,
            id="old Unix file",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"old/", b"\0", size=9)),
            b"old",
            b"5",
            b"",
            0,
            id="old Unix directory, its size means nothing",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"file/", b"0", size=2), b"ab"),
            b"file",
            b"0",
            b"",
            2,
            id="a slash behind a file's name makes no directory",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"c", b"7", size=2), b"ab"),
            b"c",
            b"0",
            b"",
            2,
            id="contiguous",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"l", b"1", b"t", size=700)),
            b"l",
            b"1",
            b"t",
            0,
            id="a hard link's size means nothing",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"d/", b"5", size=700)),
            b"d",
            b"5",
            b"",
            0,
            id="a directory's size means nothing",
        ),
        pytest.param(
            lambda b: b.entry(Header(b"v", b"V", size=3), b"abc"), b"v", b"V", b"", 3, id="unknown"
        ),
    ],
)
def test_an_entry(  # noqa: PLR0917 - a table's columns
    form: TarFormat, build: Build, path: bytes, kind: bytes, link: bytes, size: int
) -> None:
    tar = build(LayerBuilder(form).file("before", b"b")).file("after", b"a").tar()
    seen = whole(tar)
    [before, entry, after] = seen.entries
    assert (entry.path, entry.kind, entry.link, entry.size) == (path, kind, link, size)
    assert (before.path, after.path) == (b"before", b"after")
    assert [entry.ordinal for entry in seen.entries] == [0, 1, 2]
    assert entry.header == tar[1024 : 1024 + len(entry.header)]
    assert 1024 + entry.span_size + 3 * 512 + 512 == len(tar)


@pytest.mark.parametrize("kind", [b"2", b"1"], ids=["symlink", "hard link"])
def test_a_long_link_target(kind: bytes) -> None:
    for form in (TarFormat.GNU, TarFormat.PAX):
        tar = LayerBuilder(form).entry(Header(b"l", kind, LONG.encode())).tar()
        assert whole(tar).entries[0].link == LONG.encode()


def _records(*records: tuple[str, bytes], typeflag: bytes = b"x") -> bytes:
    return encode_records(typeflag, b"PaxHeaders/x", list(records))


def _long(typeflag: bytes, name: bytes) -> bytes:
    header = Header(b"././@LongLink", typeflag, size=len(name))
    return LayerBuilder(TarFormat.GNU).entry(header, name).tar(end_blocks=0)


@pytest.mark.parametrize(
    ("extensions", "name"),
    [
        pytest.param(_records(("path", b"p")), b"p", id="pax path"),
        pytest.param(_records(("path", b"")), b"block", id="an empty pax path counts for nothing"),
        pytest.param(_records(("path", b"p"), ("path", b"q")), b"q", id="the last of two paths"),
        pytest.param(_records(("path", b"p")) + _records(("path", b"q")), b"q", id="last header"),
        pytest.param(_records(("path", b"p"), typeflag=b"X"), b"p", id="Solaris"),
        pytest.param(
            _records(("GNU.sparse.name", b"s"), ("path", b"p")), b"s", id="a sparse file's name"
        ),
        pytest.param(_long(b"L", b"l\0"), b"l", id="GNU, with NUL"),
        pytest.param(_long(b"L", b"l"), b"l", id="GNU, without NUL"),
        pytest.param(_long(b"L", b"l\0") + _records(("path", b"p")), b"l", id="GNU before pax"),
        pytest.param(_records(("path", b"p")) + _long(b"L", b"l\0"), b"l", id="pax before GNU"),
        pytest.param(_long(b"K", b"k\0") + _long(b"L", b"l\0"), b"l", id="K before L"),
        pytest.param(_long(b"L", b"l\0") + _long(b"K", b"k\0"), b"l", id="L before K"),
        pytest.param(_long(b"L", b""), b"block", id="GNU, empty"),
    ],
)
def test_which_name_counts(extensions: bytes, name: bytes) -> None:
    tar = LayerBuilder().raw(extensions).file("block", b"data").file("after").tar()
    for size in (1, 511, len(tar)):
        seen = scan(iter_chunks(tar, size))
        assert seen.paths == [name, b"after"], "and the extension is for one entry only"
        assert seen.data == tar[:-1024]


def test_a_recorded_size_counts() -> None:
    layer = LayerBuilder().raw(_records(("size", b"700"))).entry(Header(b"a"), b"x" * 700)
    seen = whole(layer.file("after").tar())
    assert [(entry.path, entry.size) for entry in seen.entries] == [(b"a", 700), (b"after", 0)]


def test_an_empty_recorded_size_counts_for_nothing() -> None:
    tar = LayerBuilder().raw(_records(("size", b""))).file("a", b"xy").tar()
    assert whole(tar).entries[0].size == 2


def test_a_size_in_base_256() -> None:
    header = Header(b"a", size=1 << 36)
    scanner = TarScanner("layer 1", 0)
    scanner.feed(Inflated(LayerBuilder(TarFormat.GNU).entry(header).tar(end_blocks=0)))
    assert scanner.advance()
    assert scanner.size == 1 << 36
    assert scanner.span_size == (1 << 36) + 512


def test_a_global_header_is_cut_and_is_no_entry() -> None:
    layer = LayerBuilder().file("a", b"1").global_pax_header({"path": "evil", "comment": "c" * 600})
    tar = layer.file("b", b"2").global_pax_header({"size": "9"}).tar()
    without = LayerBuilder().file("a", b"1").file("b", b"2").tar(end_blocks=0)
    for size in (1, 100, 512, 1000, len(tar)):
        seen = scan(iter_chunks(tar, size))
        assert seen.paths == [b"a", b"b"]
        assert [entry.ordinal for entry in seen.entries] == [0, 1]
        assert seen.data == without
        assert seen.touched


def test_what_stands_between_a_global_header_and_its_own_extension_goes_with_it() -> None:
    layer = LayerBuilder().raw(_records(("path", b"lost"))).global_pax_header({"comment": "c"})
    tar = layer.file("b").tar()
    for size in (1, 512, len(tar)):
        seen = scan(iter_chunks(tar, size))
        assert seen.paths == [b"b"]
        assert seen.data == LayerBuilder().file("b").tar(end_blocks=0)


@pytest.mark.parametrize("sparse", SparseForm, ids=lambda form: form.name)
@pytest.mark.parametrize("segments", [0, 1, 4, 5, 25, 26, 100])
def test_a_sparse_file_is_one_entry(sparse: SparseForm, segments: int) -> None:
    parts = [(at * 1024, b"%04d" % at) for at in range(segments)]
    layer = LayerBuilder().file("a").sparse("d/s", parts, 200_000, sparse)
    tar = layer.file("z").tar()
    for size in (100, 511, 512, 513, len(tar)):
        seen = scan(iter_chunks(tar, size))
        assert seen.paths == [b"a", b"d/s", b"z"]
        assert seen.entries[1].span_size == len(tar) - 4 * 512
        assert seen.data == tar[:-1024]


def test_the_map_of_one_sparse_file_says_nothing_of_the_next() -> None:
    layer = LayerBuilder(TarFormat.GNU)
    for name, count in (("long", 100), ("short", 6), ("longer", 150), ("none", 2)):
        parts = [(at * 1024, b"d") for at in range(count)]
        layer.sparse(name, parts, 200_000, SparseForm.GNU_OLD)
    tar = layer.tar()
    for size in (100, 512, 700, 1536, len(tar)):
        seen = scan(iter_chunks(tar, size))
        assert seen.paths == [b"long", b"short", b"longer", b"none"]
        assert seen.data == tar[:-1024]


@settings(deadline=None)
@given(st.data())
def test_finds_what_tarfile_finds_however_it_is_cut(data: st.DataObject) -> None:
    tar = data.draw(tars())
    seen = scan(iter_cut(tar, data.draw(cuts(tar))))
    members = read(tar)
    assert [(entry.path, entry.kind, entry.link) for entry in seen.entries] == [
        (member.path, member.kind, member.link) for member in members
    ]
    assert [entry.span_size for entry in seen.entries] == [
        member.stop - member.start for member in members
    ]
    for entry, member in zip(seen.entries, members, strict=True):
        assert entry.header == tar[member.start :][: len(entry.header)]
    assert seen.data == tar[: members[-1].stop if members else 0]
    assert misplaced(tar, seen.spans) == []
    assert not seen.touched


@settings(deadline=None, max_examples=25)
@given(tars())
def test_byte_by_byte_it_is_the_same(tar: bytes) -> None:
    once, bytewise = whole(tar), scan(iter_chunks(tar, 1))
    assert bytewise.entries == once.entries
    assert bytewise.data == once.data


def test_every_place_to_cut_gives_the_same() -> None:
    layer = LayerBuilder(TarFormat.GNU).file("a", b"x" * 600).symlink("s", "t" * 120)
    tar = layer.sparse("sp", [(1024 * n, b"d") for n in range(6)], 9000, SparseForm.GNU_OLD).tar()
    once = whole(tar)
    for at in range(len(tar)):
        cut = scan(iter_cut(tar, [at]))
        assert cut.entries == once.entries
        assert cut.data == once.data


def test_kept_neighbours_leave_as_one_stretch() -> None:
    layer = LayerBuilder()
    for number in range(50):
        layer.file(f"f{number}", b"x" * number)
    tar = layer.tar()
    [span] = whole(tar).spans
    assert span.data == tar[:-1024]
    assert len(scan(iter_chunks(tar, 4096)).spans) <= 3 * (len(tar) // 4096 + 1)


def test_counts_what_it_was_fed() -> None:
    scanner = TarScanner("layer 1", 0)
    tar = LayerBuilder().file("a", b"x").tar()
    for fed in range(256, len(tar) + 1, 256):
        scanner.feed(Inflated(tar[fed - 256 : fed]))
        while scanner.advance():
            scanner.keep()
        scanner.take()
        assert scanner.consumed == fed


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        pytest.param({"name": b"a/../../b"}, r"/a/\.\./\.\./b leads out", id="dots"),
        pytest.param({"name": b"h", "typeflag": b"1", "linkname": b"../x"}, "leads out", id="link"),
    ],
)
def test_refused_names(entry: dict[str, Any], word: str) -> None:
    tar = LayerBuilder().file("ok").entry(Header(**entry)).tar()
    with pytest.raises(BadArchive, match=word) as caught:
        whole(tar)
    assert str(caught.value).startswith("layer 3: the entry /")


def test_a_name_with_nul_is_refused() -> None:
    tar = LayerBuilder().raw(_records(("path", b"a\0b"))).file("x").tar()
    with pytest.raises(BadArchive, match="holds a NUL byte"):
        whole(tar)
