"""Header blocks: numbers, checksums, names and pax records as the many writers of tars write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.archive.header import (
    BLOCK,
    checksum,
    encode_pax,
    has_valid_checksum,
    padded,
    parse_decimal,
    parse_number,
    parse_pax,
    read_link,
    read_name,
)
from squashproxy.errors import BadArchive
from squashproxy.testing import Header, TarFormat
from squashproxy.testing.headers import encode_block, with_checksum


@pytest.mark.parametrize(
    ("field", "number"),
    [
        pytest.param(b"00000000017\0", 15, id="octal, NUL"),
        pytest.param(b"00000000017 ", 15, id="octal, space"),
        pytest.param(b"0000017 \0\0\0\0", 15, id="octal, space, NULs"),
        pytest.param(b"         17\0", 15, id="leading spaces"),
        pytest.param(b"\0     17\0\0\0\0", 15, id="leading NUL"),
        pytest.param(b"000000000017", 15, id="all digits, no end"),
        pytest.param(b"777777777777", 8**12 - 1, id="the largest"),
        pytest.param(b"17\0garbage\0\0", 15, id="garbage behind the NUL"),
        pytest.param(b"\0" * 12, 0, id="NULs"),
        pytest.param(b" " * 12, 0, id="spaces"),
        pytest.param(b"", 0, id="nothing"),
        pytest.param(b"\x80" + b"\0" * 10 + b"\x07", 7, id="base 256"),
        pytest.param(b"\x80\0\0\0" + b"\xff" * 8, (1 << 64) - 1, id="base 256, 64 bits"),
        pytest.param(b"\xff" * 12, -1, id="base 256, minus one"),
        pytest.param(b"\xff" * 11 + b"\x00", -256, id="base 256, negative"),
        pytest.param(b"\x80\0\0\0\0\0\0\0", 0, id="base 256, eight bytes"),
    ],
)
def test_numbers(field: bytes, number: int) -> None:
    assert parse_number(field) == number


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(b"00000000018\0", id="a digit that is not octal"),
        pytest.param(b"-0000000017\0", id="a sign"),
        pytest.param(b"0x000000017\0", id="hexadecimal"),
        pytest.param(b"0o000000017\0", id="Python's octal"),
        pytest.param(b"1_000000000\0", id="an underscore"),
        pytest.param(b"0000 000017\0", id="a space in the middle"),
        pytest.param(b"hello world\0", id="words"),
        pytest.param(b"\x7fELF\0\0\0\0\0\0\0\0", id="binary below 0x80"),
        pytest.param(b"1\xb2000000000\0", id="a byte that is a digit in Latin-1"),
    ],
)
def test_what_is_no_number(field: bytes) -> None:
    with pytest.raises(ValueError, match="b'"):
        parse_number(field)


@given(st.integers(-(1 << 80), 1 << 80))
def test_gnu_numbers_read_back(number: int) -> None:
    field = bytearray((number % (1 << 96)).to_bytes(12, "big"))
    field[0] |= 0x80
    assert parse_number(bytes(field)) == number


@given(st.integers(0, 8**11 - 1))
def test_octal_numbers_read_back(number: int) -> None:
    assert parse_number(b"%011o\0" % number) == number


@pytest.mark.parametrize("text", [b"", b"-1", b"+1", b" 1", b"1.5", b"9" * 21, b"9" * 5000])
def test_what_is_no_decimal(text: bytes) -> None:
    with pytest.raises(ValueError, match="b'"):
        parse_decimal(text)


@given(st.binary(min_size=BLOCK, max_size=BLOCK), st.integers(0, 40))
def test_the_checksum_is_the_plain_sum(block: bytes, before: int) -> None:
    plain = sum(block[:148]) + sum(block[156:]) + 8 * 32
    assert checksum(bytes(before) + block + b"x", before) == plain
    assert has_valid_checksum(bytes(before) + with_checksum(block), before)


@pytest.mark.parametrize("block", [bytes(BLOCK), b"\xff" * BLOCK], ids=["least", "largest"])
def test_the_checksum_at_its_ends(block: bytes) -> None:
    assert checksum(block, 0) == sum(block[:148]) + sum(block[156:]) + 8 * 32


def test_signed_checksums_of_old_writers_are_good() -> None:
    block = encode_block(Header(b"\xe9t\xe9"), TarFormat.USTAR)
    signed = sum(byte - 256 * (byte > 127) for byte in block[:148] + block[156:]) + 8 * 32
    assert signed != checksum(block, 0)
    assert has_valid_checksum(block[:148] + b"%06o\0 " % signed + block[156:], 0)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(b"%06o\0 ", id="as POSIX says"),
        pytest.param(b"%07o\0", id="seven digits"),
        pytest.param(b"%06o \0", id="space first"),
        pytest.param(b"%7o ", id="leading space"),
    ],
)
def test_forms_of_the_checksum(field: bytes) -> None:
    block = encode_block(Header(b"a"), TarFormat.USTAR)
    assert has_valid_checksum(block[:148] + field % checksum(block, 0) + block[156:], 0)


@given(st.integers(0, BLOCK - 1), st.integers(1, 255))
def test_one_changed_byte_shows(at: int, change: int) -> None:
    block = bytearray(encode_block(Header(b"name", linkname=b"l", uid=5), TarFormat.USTAR))
    block[at] = (block[at] + change) % 256
    is_same_number = at in range(148, 156) and _stated(bytes(block)) == checksum(bytes(block), 0)
    assert has_valid_checksum(bytes(block), 0) == is_same_number


def _stated(block: bytes) -> int | None:
    try:
        return parse_number(block[148:156])
    except ValueError:
        return None


def test_a_checksum_that_is_no_number_is_bad() -> None:
    block = encode_block(Header(b"a"), TarFormat.USTAR)
    assert not has_valid_checksum(block[:148] + b"checksum" + block[156:], 0)


def _named(name: bytes, magic: bytes, rest: bytes, trailer: bytes = b"") -> bytes:
    """A header block with these bytes at the offset of `prefix`."""
    block = name.ljust(100, b"\0").ljust(257, b"\0") + magic.ljust(88, b"\0") + rest
    return block.ljust(508, b"\0") + trailer.ljust(4, b"\0")


@pytest.mark.parametrize(
    ("block", "name"),
    [
        pytest.param(_named(b"a", b"", b""), b"a", id="old Unix"),
        pytest.param(_named(b"a", b"", b"prefix"), b"a", id="old Unix has no prefix"),
        pytest.param(_named(b"n" * 100, b"ustar\x0000", b""), b"n" * 100, id="100 bytes, no NUL"),
        pytest.param(_named(b"a", b"ustar\x0000", b"p/q"), b"p/q/a", id="ustar prefix"),
        pytest.param(
            _named(b"n" * 100, b"ustar\x0000", b"p" * 155),
            b"p" * 155 + b"/" + b"n" * 100,
            id="ustar, all 255 bytes",
        ),
        pytest.param(_named(b"a", b"ustar  \0", b"14371"), b"a", id="GNU has times there"),
        pytest.param(
            _named(b"a", b"ustar\x0000", b"p".ljust(131, b"\0") + b"14371", b"tar\0"),
            b"p/a",
            id="star, times behind a prefix of 131 bytes",
        ),
        pytest.param(
            _named(b"a", b"ustar\x0000", b"p" * 131 + b"14371", b"tar\0"),
            b"p" * 131 + b"/a",
            id="star, the longest prefix",
        ),
        pytest.param(_named(b"d/", b"ustar\x0000", b"p"), b"p/d/", id="directory"),
        pytest.param(_named(b"\xff\xfe", b"ustar\x0000", b""), b"\xff\xfe", id="no UTF-8"),
        pytest.param(_named(b"a\0junk", b"", b""), b"a", id="ends at the NUL"),
    ],
)
def test_names(block: bytes, name: bytes) -> None:
    assert len(block) == BLOCK
    assert read_name(block, 0) == name
    assert read_name(bytes(77) + block + b"n", 77) == name


@pytest.mark.parametrize("target", [b"", b"a", b"t" * 100])
def test_link_targets(target: bytes) -> None:
    block = encode_block(Header(b"n", b"2", target), TarFormat.USTAR)
    assert read_link(block, 0) == target


@pytest.mark.parametrize(
    ("size", "blocks"), [(0, 0), (1, 1), (511, 1), (512, 1), (513, 2), (1 << 40, 1 << 31)]
)
def test_payloads_fill_whole_blocks(size: int, blocks: int) -> None:
    assert padded(size) == blocks * BLOCK


@pytest.mark.parametrize(
    ("payload", "records"),
    [
        pytest.param(b"", [], id="none"),
        pytest.param(b"8 a=bcd\n", [(b"a", b"bcd")], id="one"),
        pytest.param(b"6 a=b\n6 c=d\n", [(b"a", b"b"), (b"c", b"d")], id="two"),
        pytest.param(b"6 a=b\n6 a=d\n", [(b"a", b"b"), (b"a", b"d")], id="a key twice"),
        pytest.param(b"5 a=\n", [(b"a", b"")], id="empty value"),
        pytest.param(b"8 a=b=c\n", [(b"a", b"b=c")], id="an equals sign in the value"),
        pytest.param(b"8 a=\n\0\n\n", [(b"a", b"\n\0\n")], id="line feeds and NUL in the value"),
        pytest.param(b"08 a=bc\n", [(b"a", b"bc")], id="a leading zero"),
    ],
)
def test_pax_records(payload: bytes, records: list[tuple[bytes, bytes]]) -> None:
    assert parse_pax(payload) == records


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"a=b\n", id="no length"),
        pytest.param(b" 6 a=b\n", id="space first"),
        pytest.param(b"x a=b\n", id="a word for a length"),
        pytest.param(b"-6 a=b\n", id="negative length"),
        pytest.param(b"6", id="only a length"),
        pytest.param(b"6 ", id="a length and a space"),
        pytest.param(b"0 a=b\n", id="length 0"),
        pytest.param(b"1 a=b\n", id="length within itself"),
        pytest.param(b"2 a=b\n", id="length up to the space"),
        pytest.param(b"5 a=b\n", id="too short"),
        pytest.param(b"7 a=b\n", id="too long"),
        pytest.param(b"6 a=bc", id="no line feed"),
        pytest.param(b"6 abc\n", id="no equals sign"),
        pytest.param(b"6 a=b\n\0\0", id="NULs behind"),
        pytest.param(b"9" * 5000 + b" a=b\n", id="a length of 5,000 digits"),
        pytest.param(b"9" * 5000, id="nothing but digits"),
    ],
)
def test_damaged_pax_records(payload: bytes) -> None:
    with pytest.raises(BadArchive, match="a pax header has a"):
        parse_pax(payload)


_KEYS = st.binary(min_size=1, max_size=12).filter(lambda key: b"=" not in key)


@given(st.lists(st.tuples(_KEYS, st.binary(max_size=1200))))
def test_pax_records_read_back(records: list[tuple[bytes, bytes]]) -> None:
    assert parse_pax(encode_pax(records)) == records


@pytest.mark.parametrize("length", range(90, 110))
def test_the_length_of_a_record_counts_its_own_digits(length: int) -> None:
    payload = encode_pax([(b"k", b"v" * length)])
    assert int(payload.split()[0]) == len(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_records_or_refused(payload: bytes) -> None:
    try:
        records = parse_pax(payload)
    except BadArchive:
        return
    assert all(b"=" not in key for key, _ in records)
