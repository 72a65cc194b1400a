"""Tars that end oddly or are damaged: read where tar readers agree, refused with the place."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.archive.header_parser import MAX_EXTENSION, MAX_HEADERS
from squashproxy.errors import BadArchive
from squashproxy.testing import Header, LayerBuilder, SparseForm, TarFormat
from squashproxy.testing.headers import encode_records, octal, with_checksum
from tests.archive.scanning import iter_chunks, iter_cut, scan
from tests.archive.tars import cuts, tars

each_chunk = pytest.mark.parametrize("chunk", [1, 511, 512, 513, 4096, 1 << 22])

ENTRIES = LayerBuilder().file("a", b"x" * 600).file("b", xattrs={"user.a": b"v" * 700})
BODY = ENTRIES.file("c", b"y" * 512).tar(end_blocks=0)


@each_chunk
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"", id="none"),
        pytest.param(bytes(512), id="one zero block"),
        pytest.param(bytes(1024), id="two zero blocks"),
        pytest.param(bytes(10240), id="a record of zeros"),
        pytest.param(bytes(100), id="less than a zero block"),
        pytest.param(bytes(700), id="more than a zero block"),
        pytest.param(bytes(1024) + b"garbage" * 100, id="garbage behind the end"),
        pytest.param(bytes(512) + b"garbage" * 100, id="garbage behind one zero block"),
        pytest.param(bytes(1024) + BODY, id="another tar behind the end"),
    ],
)
def test_ends(end: bytes, chunk: int) -> None:
    seen = scan(iter_chunks(BODY + end, chunk))
    assert seen.paths == [b"a", b"b", b"c"]
    assert seen.data == BODY


@each_chunk
@pytest.mark.parametrize("tar", [b"", bytes(512), bytes(10240)], ids=["nothing", "one", "record"])
def test_empty_tars(tar: bytes, chunk: int) -> None:
    seen = scan(iter_chunks(tar, chunk))
    assert (seen.entries, seen.spans) == ([], [])


B_AT = 512 + 1024
C_AT = len(BODY) - 1024


@each_chunk
@pytest.mark.parametrize(
    "length",
    [
        pytest.param(1, id="in the first header, one byte"),
        pytest.param(300, id="in the first header"),
        pytest.param(511, id="in the first header, one byte missing"),
        pytest.param(512, id="before a payload"),
        pytest.param(800, id="in a payload"),
        pytest.param(512 + 600, id="before padding"),
        pytest.param(512 + 700, id="in padding"),
        pytest.param(B_AT + 300, id="in an extension's header"),
        pytest.param(B_AT + 512, id="before an extension's payload"),
        pytest.param(B_AT + 900, id="in an extension's payload"),
        pytest.param(C_AT - 512, id="between an extension and its entry"),
        pytest.param(C_AT - 100, id="in the header behind an extension"),
        pytest.param(C_AT + 100, id="in the last header"),
        pytest.param(len(BODY) - 1, id="one byte"),
    ],
)
def test_cut_short(length: int, chunk: int) -> None:
    sentence = f"^layer 3 is cut short: .* after {length} bytes; build or push the image again$"
    with pytest.raises(BadArchive, match=sentence):
        scan(iter_chunks(BODY[:length], chunk))


@settings(deadline=None)
@given(st.data())
def test_a_tar_cut_anywhere_but_between_entries_is_refused(data: st.DataObject) -> None:
    tar = data.draw(tars())
    entries = scan([tar]).entries
    stops = [0]
    for entry in entries:
        stops.append(stops[-1] + entry.span_size)
    length = data.draw(st.integers(0, stops[-1]))
    chunks = iter_cut(tar[:length], data.draw(cuts(tar[:length])))
    if length in stops:
        assert scan(chunks).entries == entries[: stops.index(length)]
    else:
        with pytest.raises(BadArchive, match=f"cut short: .* after {length} bytes"):
            scan(chunks)


def _sized(size: bytes, typeflag: bytes = b"0") -> bytes:
    block = LayerBuilder(TarFormat.GNU).entry(Header(b"n", typeflag)).tar(end_blocks=0)
    return with_checksum(block[:124] + size.ljust(12, b"\0") + block[136:])


def _flipped(tar: bytes, at: int) -> bytes:
    return tar[:at] + bytes([tar[at] ^ 0x55]) + tar[at + 1 :]


def _pax(payload: bytes) -> bytes:
    return LayerBuilder().entry(Header(b"x", b"x", size=len(payload)), payload).tar(end_blocks=0)


@each_chunk
@pytest.mark.parametrize(
    ("tar", "what", "at"),
    [
        pytest.param(_flipped(BODY, 0), "checksum is wrong", 0, id="first header"),
        pytest.param(_flipped(BODY, B_AT + 20), "checksum is wrong", B_AT, id="extension's header"),
        pytest.param(
            _flipped(BODY, C_AT - 500), "checksum is wrong", C_AT - 512, id="behind an extension"
        ),
        pytest.param(_flipped(BODY, C_AT + 511), "checksum is wrong", C_AT, id="last header"),
        pytest.param(BODY + b"garbage" * 100, "checksum is wrong", len(BODY), id="garbage"),
        pytest.param(BODY + _sized(b"hello"), "size is no number", len(BODY), id="size of words"),
        pytest.param(BODY + _sized(b"-1"), "size is no number", len(BODY), id="size with a sign"),
        pytest.param(
            BODY + _sized(b"\xff" * 12), "size is negative", len(BODY), id="negative size"
        ),
        pytest.param(
            _sized(octal(MAX_EXTENSION + 1, 12), b"L"),
            "headers are longer than is allowed",
            0,
            id="a name above 1 MiB",
        ),
        pytest.param(
            _sized(b"\x80" + b"\xff" * 11, b"x"),
            "headers are longer than is allowed",
            0,
            id="pax header of any size",
        ),
        pytest.param(
            BODY + _sized(octal(MAX_EXTENSION + 1, 12), b"g"),
            "headers are longer than is allowed",
            len(BODY),
            id="global header above 1 MiB",
        ),
        pytest.param(_pax(b"6 abc\n"), "damaged record", 0, id="pax record"),
        pytest.param(_pax(b"path=a\n"), "record without a length", 0, id="pax length"),
        pytest.param(
            _pax(b"9" * 5000 + b" a=b\n"), "record without a length", 0, id="pax length, huge"
        ),
        pytest.param(
            BODY + LayerBuilder().file("s", records=(("size", b"-5"),)).tar(),
            "pax header's size is no number",
            len(BODY),
            id="pax size",
        ),
        pytest.param(
            LayerBuilder().file("s", records=(("size", b"9" * 5000),)).tar(),
            "pax header's size is no number",
            0,
            id="pax size, huge",
        ),
    ],
)
def test_damaged(tar: bytes, what: str, at: int, chunk: int) -> None:
    sentence = f"^layer 3 is damaged: .*{what}, at byte {at} of its tar; build or push"
    with pytest.raises(BadArchive, match=sentence):
        scan(iter_chunks(tar, chunk))


def test_extensions_of_a_mebibyte_are_read() -> None:
    value = b"v" * (MAX_EXTENSION - 30)
    tar = LayerBuilder().file("a", b"x", xattrs={"user.a": value}).tar()
    assert scan(iter_chunks(tar, 1 << 16)).data == tar[:-1024]


def test_headers_of_one_entry_have_a_limit_together() -> None:
    part = encode_records(b"x", b"x", [("comment", b"c" * (1 << 19))])
    tar = LayerBuilder().raw(part * 9).file("a").tar()
    with pytest.raises(BadArchive, match="headers are longer than is allowed"):
        scan(iter_chunks(tar, 1 << 16))
    assert MAX_HEADERS == 4 << 20


def _mapped(blocks: int) -> bytes:
    segments = [(at * 512, b"x" * 512) for at in range(4 + 21 * blocks)]
    return LayerBuilder().sparse("s", segments, 1 << 30, SparseForm.GNU_OLD).tar()


def test_a_sparse_map_has_a_limit() -> None:
    fits = _mapped(2000)
    assert scan(iter_chunks(fits, 1 << 16)).data == fits[:-1024]
    with pytest.raises(BadArchive, match="headers are longer than is allowed, at byte 0 "):
        scan(iter_chunks(_mapped(2100), 1 << 16))


@pytest.mark.parametrize(
    "tar",
    [
        pytest.param(encode_records(b"x", b"x", [("a", b"b")]) * 4000, id="pax headers"),
        pytest.param(_mapped(2000)[: 1 << 20], id="a sparse map"),
    ],
)
def test_many_headers_before_one_entry_cost_no_more_than_their_bytes(tar: bytes) -> None:
    started = time.process_time()
    with pytest.raises(BadArchive, match="is cut short"):
        scan(iter_chunks(tar, 4096))
    assert time.process_time() - started < 5, "reading them again for each would take a minute"


def _outcome(chunks: Sequence[bytes]) -> str:
    """What becomes of a tar; anything but a scan or BadArchive is a failure."""
    try:
        seen = scan(chunks)
    except BadArchive as error:
        return str(error)
    return repr([(entry.path, entry.kind, entry.size) for entry in seen.entries])


@settings(deadline=None)
@given(st.data())
def test_any_bytes_are_read_or_refused_and_chunks_do_not_matter(data: st.DataObject) -> None:
    tar = data.draw(st.binary(max_size=3000))
    assert _outcome([tar]) == _outcome(list(iter_cut(tar, data.draw(cuts(tar)))))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_mutated_tars_are_read_or_refused_and_chunks_do_not_matter(data: st.DataObject) -> None:
    tar = bytearray(data.draw(tars()))
    for _ in range(data.draw(st.integers(1, 3))):
        if not tar:
            break
        at = data.draw(st.integers(0, len(tar) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=12))
        tar[at : at + len(patch)] = patch
        block = at // 512 * 512
        if data.draw(st.booleans()):
            tar[block : block + 512] = with_checksum(bytes(tar[block : block + 512]))[:512]
    mutated = bytes(tar)
    assert _outcome([mutated]) == _outcome(list(iter_cut(mutated, data.draw(cuts(mutated)))))
