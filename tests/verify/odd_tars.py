"""Odd tars: what copy and verify make of each, by the rules that ARCHITECTURE.md lists.

None stands for a tar that is accepted: it is squashed, and the result unpacks to the same tree.
Words stand for one that both refuse, with a sentence of their own that holds them.
"""

from __future__ import annotations

from squashproxy.testing import Header, SparseForm, TarFormat
from squashproxy.testing.headers import encode_block, encode_records, padded, with_checksum
from squashproxy.testing.sparse import encode_sparse

END = bytes(1024)
DAMAGED = "damaged"
CUT = "cut short"
UNKNOWN = "has the unknown type"
_GNU = TarFormat.GNU
_MAP = 386
_MORE = 482
_REAL = 483


def file(name: bytes = b"f", data: bytes = b"x", kind: bytes = b"0", link: bytes = b"") -> bytes:
    """An entry."""
    return encode_block(Header(name, kind, link, size=len(data)), _GNU) + padded(data)


def claims(size: int, kind: bytes = b"0") -> bytes:
    """An entry that claims `size` bytes, of which one block follows."""
    return encode_block(Header(b"f", kind, size=size), _GNU) + padded(b"x")


def gnu(kind: bytes, data: bytes) -> bytes:
    """An extension header."""
    return encode_block(Header(b"././@LongLink", kind, size=len(data)), _GNU) + padded(data)


def pax(*records: tuple[str, bytes], kind: bytes = b"x") -> bytes:
    """A pax header."""
    return encode_records(kind, b"pax", list(records))


def patched(at: int, value: bytes, kind: bytes = b"0") -> bytes:
    """An entry with other bytes in one field."""
    block = bytearray(encode_block(Header(b"f", kind, size=1), _GNU))
    block[at : at + len(value)] = value
    return with_checksum(bytes(block)) + padded(b"x")


def old_sparse(stretches: list[tuple[int, int]], real: int, stored: int = 512) -> bytes:
    """A sparse file with any map in its header."""
    block = bytearray(encode_block(Header(b"s", b"S", size=stored), _GNU))
    table = b"".join(_number(number) for stretch in stretches for number in stretch)
    block[_MAP : _MAP + len(table)] = table
    block[_MORE] = 0
    block[_REAL : _REAL + 12] = _number(real)
    return with_checksum(bytes(block)) + padded(b"a" * min(stored, 4096)) + file()


def pax_sparse(text: bytes, real: int) -> bytes:
    """A sparse file with any map before its data."""
    records = [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")]
    return pax(*records, ("GNU.sparse.realsize", b"%d" % real)) + file(b"s", text) + file()


def _number(number: int) -> bytes:
    return b"%011o\0" % number if number < 8**11 else b"\x80" + number.to_bytes(11, "big")


SYMLINK = file(b"l", b"", b"2", b"target")
LONGEST = b"a/" * 2047 + b"f"
"""A path of 4,095 bytes."""

NAMES: dict[str, tuple[bytes, str | None]] = {
    "a long name of NULs": (gnu(b"L", bytes(200)) + file(), None),
    "an empty long name": (gnu(b"L", b"") + file(), None),
    "a long name that ends at a NUL": (gnu(b"L", b"a\0b\0") + file(), None),
    "a long name without a NUL": (gnu(b"L", b"n" * 150) + file(), None),
    "a long link of NULs": (gnu(b"K", bytes(200)) + SYMLINK, None),
    "two long names": (gnu(b"L", b"one\0") + gnu(b"L", b"two\0") + file(), None),
    "an empty pax path": (pax(("path", b"")) + file(), None),
    "an empty pax linkpath": (pax(("linkpath", b"")) + SYMLINK, None),
    "a NUL in a pax path": (pax(("path", b"a\0b")) + file(), "holds a NUL byte"),
    "a pax path that is no text": (pax(("path", b"\xff\xfe")) + file(), None),
    "two pax headers": (pax(("path", b"one")) + pax(("path", b"two")) + file(), None),
    "a pax path before a long name": (pax(("path", b"one")) + gnu(b"L", b"two\0") + file(), None),
    "a long name before a pax path": (gnu(b"L", b"two\0") + pax(("path", b"one")) + file(), None),
    "a Solaris pax header": (pax(("path", b"one"), kind=b"X") + file(), None),
    "a global path": (pax(("path", b"other"), kind=b"g") + file(b"a") + file(b"b"), None),
    "a global linkpath": (pax(("linkpath", b"other"), kind=b"g") + SYMLINK, None),
    "a global size": (pax(("size", b"9"), kind=b"g") + file(), None),
    "a global size below zero": (pax(("size", b"-9"), kind=b"g") + file(), None),
    "a global header of garbage": (gnu(b"g", b"garbage") + file(), None),
    "a global header behind a pax header": (
        pax(("path", b"q")) + pax(("path", b"other"), kind=b"g") + file(),
        None,
    ),
    "a global header at the end": (file() + pax(("path", b"other"), kind=b"g"), None),
    "no name": (file(b""), "is the image's root, but no directory"),
    "a dot": (file(b"."), "is the image's root, but no directory"),
    "the root": (file(b"./", b"", b"5"), None),
    "a name with a slash at its end": (file(b"odd/") + file(), None),
    "a name that leads out": (file(b"../x"), "leads out of the image"),
    "a whiteout of nothing": (file(b"a/.wh."), "is a whiteout of nothing"),
    **{
        f"{name!a}, below a whiteout": (file(name, b""), "stands below a whiteout")
        for name in (
            *(b".wh.d/x", b".wh.d/.wh.x", b".wh.d/.wh..wh..opq", b"a/.wh.d/b/c"),
            *(b".wh..opq/x", b"./.wh.d//x/"),
        )
    },
    **{
        f"{name!a}, which is left of aufs": (file(name, b"") + file(), None)
        for name in (b".wh..wh.x/.wh.y", b".wh.d/.wh..wh.x", b".wh..wh..opq/.wh..wh..opq")
    },
    **{
        f"{name!a}, below a whiteout by a symlink": (
            file(b"l", b"", b"2", b".wh.d") + file(name, b"", kind, b"l"),
            "stands below a whiteout",
        )
        for name, kind in (
            *((b"l/x", b"0"), (b"l/y/x", b"0"), (b"l/.wh.x", b"0"), (b"l/.wh..wh..opq", b"0")),
            *((b"l/x", b"1"), (b"l/x", b"5")),
        )
    },
    "a whiteout in a directory that nobody made": (file(b"new/.wh.x", b"") + file(), None),
    "a whiteout that is a directory": (file(b".wh.a", b"", b"5"), None),
    "a path as long as Linux takes": (gnu(b"L", LONGEST + b"\0") + file(), None),
    "a path one byte longer": (gnu(b"L", LONGEST + b"f\0") + file(), "4096 bytes"),
    "a path of 8,000 dots": (gnu(b"L", b"./" * 4000 + b"f\0") + file(), None),
    "a path of 500,000 parts": (pax(("path", b"a/" * 499_999 + b"f")) + file(), "999999 bytes"),
    "a path of one name of a megabyte": (pax(("path", b"n" * 1_000_000)) + file(), "1000000 bytes"),
    "a whiteout in the longest path": (gnu(b"L", LONGEST[:-1] + b".wh.f\0") + file(), None),
    "a symlink to the longest path": (gnu(b"K", LONGEST + b"\0") + SYMLINK, None),
    "a symlink to a longer path": (gnu(b"K", LONGEST + b"f\0") + SYMLINK, "4096 bytes"),
    "a hard link to a longer path": (
        gnu(b"K", LONGEST + b"f\0") + file(b"l", b"", b"1", b"t"),
        "4096 bytes",
    ),
    "a path that symlinks make too long": (
        gnu(b"K", LONGEST + b"\0") + SYMLINK + file(b"l/x"),
        "4097 bytes",
    ),
    "symlinks in a circle": (file(b"s", b"", b"2", b"s") + file(b"s/x"), "lead in a circle"),
    "symlinks that go back and forth": (
        pax(("linkpath", b"a/../" * 800)) + file(b"s", b"", b"2") + file(b"s/" * 40 + b"x"),
        "lead in a circle",
    ),
}

TYPES: dict[str, tuple[bytes, str | None]] = {
    **{
        f"the type {kind!a}{what}": (file(b"odd", data, bytes([kind])) + file(), UNKNOWN)
        for kind in b"DMVNIAEZ89!\x01a~ "
        for what, data in ((" without data", b""), (" with data", b"y" * 600))
    },
    **{
        f"the type {kind!a} with a size and no data": (
            file(b"t") + claims(600, bytes([kind]))[:512] + file(b"g"),
            None,
        )
        for kind in b"456"
    },
    "a directory with data": (file(b"odd", b"y" * 600, b"5") + file(), DAMAGED),
    "a contiguous file": (file(b"odd", b"y" * 600, b"7"), None),
    "an old file with a slash at its end": (file(b"odd/", b"", b"\0"), None),
    "a directory without a slash": (file(b"odd", b"", b"5"), None),
    "a symlink to nothing": (file(b"l", b"", b"2"), None),
    "a hard link to nothing": (file(b"l", b"", b"1"), "the hard link /l points to"),
    "a hard link to itself": (file(b"l", b"", b"1", b"l"), "the hard link /l points to /l"),
}

NUMBERS: dict[str, tuple[bytes, str | None]] = {
    "a size below zero": (claims(-5) + file(), DAMAGED),
    "a size of 4 EiB": (claims(1 << 62), CUT),
    "a directory of 4 EiB": (claims(1 << 62, b"5")[:512] + file(b"g"), None),
    "a directory of a size below zero": (claims(-5, b"5")[:512] + file(b"g"), DAMAGED),
    "a directory whose size is none": (
        patched(124, b"zzzzzzzzzzz\0", b"5")[:512] + file(b"g"),
        DAMAGED,
    ),
    "a size that is none": (patched(124, b"zzzzzzzzzzz\0"), DAMAGED),
    "a pax size of 4 EiB": (pax(("size", b"%d" % (1 << 62))) + file(), CUT),
    "a pax size that is none": (pax(("size", b"abc")) + file(), DAMAGED),
    "an empty pax size": (pax(("size", b"")) + file(), None),
    "a mode that is none": (patched(100, b"zzzzzzz\0"), None),
    "an owner that is none": (patched(108, b"zzzzzzz\0"), None),
    "a time that is none": (patched(136, b"zzzzzzzzzzz\0"), None),
    "a time before 1970": (patched(136, b"\xff" * 12), None),
    "a device that is none": (patched(329, b"zzzzzzz\0", b"3")[:512] + file(b"g"), None),
    "a pax owner that is none": (pax(("uid", b"abc")) + file(), None),
    "a pax owner of 30 digits": (pax(("uid", b"9" * 30)) + file(), None),
    "a pax time that is none": (pax(("mtime", b"abc")) + file(), None),
    "a pax time without end": (pax(("mtime", b"inf")) + file(), None),
    "a pax time of 300 digits": (pax(("mtime", b"9" * 300)) + file(), None),
    "a pax time with an exponent": (pax(("mtime", b"1e999999")) + file(), None),
    "no magic": (patched(257, bytes(8)), None),
    "a wrong checksum": (file() + b"z" * 512, DAMAGED),
}

RECORDS: dict[str, tuple[bytes, str | None]] = {
    "a record without an equals sign": (gnu(b"x", b"6 abc\n") + file(), DAMAGED),
    "a record that is too long": (gnu(b"x", b"99 a=b\n") + file(), DAMAGED),
    "a record of no length": (gnu(b"x", b"0 a=b\n") + file(), DAMAGED),
    "NULs behind the records": (gnu(b"x", b"6 a=b\n\0\0\0") + file(), DAMAGED),
    "no records": (gnu(b"x", b"") + file(), None),
    "a record without a key": (gnu(b"x", b"5 =b\n") + file(), None),
    "an extension header at the end": (file() + pax(("path", b"a")), DAMAGED),
    "a pax header of a megabyte": (pax(("a", b"b" * (1 << 20))) + file(), DAMAGED),
    "three of 900 kB": (pax(("a", b"b" * 900_000)) * 3 + file(), None),
    "six of 900 kB": (pax(("a", b"b" * 900_000)) * 6 + file(), DAMAGED),
    "three thousand": (gnu(b"L", b"n\0") * 3000 + file(), None),
    "five thousand": (gnu(b"L", b"n\0") * 5000 + file(), DAMAGED),
    "an attribute of a megabyte": (pax(("SCHILY.xattr.user.a", b"n" * 1_000_000)) + file(), None),
}

SPARSE: dict[str, tuple[bytes, str | None]] = {
    **{
        f"{what} in the form {form.name}": (
            encode_sparse(Header(b"s"), stretches, 8192, form) + file(),
            None,
        )
        for form in SparseForm
        for what, stretches in (
            ("holes", [(0, b"a" * 512), (4096, b"b" * 512)]),
            ("nothing but a hole", []),
            ("thirty stretches", [(256 * n, b"c" * 100) for n in range(0, 30, 2)]),
        )
    },
    "a map larger than its data": (old_sparse([(0, 4096)], 4096), DAMAGED),
    "a map smaller than its data": (old_sparse([(0, 100)], 4096), DAMAGED),
    "a map past the file's end": (old_sparse([(0, 512)], 100), DAMAGED),
    "stretches that overlap": (old_sparse([(0, 256), (100, 256)], 4096), DAMAGED),
    "stretches out of order": (old_sparse([(1000, 256), (0, 256)], 4096), DAMAGED),
    "a file larger than any": (old_sparse([(0, 512)], 1 << 64), DAMAGED),
    "4 EiB that are stored": (old_sparse([(0, 1 << 62)], 1 << 62, 1 << 62), CUT),
    "4 EiB that are not stored": (old_sparse([(0, 1 << 62)], 1 << 62), DAMAGED),
    "a pax map of words": (
        pax(("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,x")) + file(b"s"),
        DAMAGED,
    ),
    "a pax map with half an entry": (
        pax(("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,1,9")) + file(b"s"),
        DAMAGED,
    ),
    "a pax map larger than its data": (
        pax(("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,9")) + file(b"s"),
        DAMAGED,
    ),
    "a pax map that lacks an entry": (
        pax(
            ("GNU.sparse.size", b"9"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"1"),
        )
        + file(b"s"),
        DAMAGED,
    ),
    "a map of garbage before the data": (pax_sparse(b"garbage" * 100, 4096), DAMAGED),
    "a map of a hundred million entries": (pax_sparse(b"99999999\n0\n1\n", 4096), DAMAGED),
    "a map before the data that is too large": (
        pax_sparse(b"700000\n" + b"1\n" * 600_000, 1),
        DAMAGED,
    ),
    "a map before data that does not fit": (
        pax_sparse(padded(b"1\n0\n9\n") + b"z" * 8, 9),
        DAMAGED,
    ),
    "another version of sparse files": (
        pax(("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")) + file(b"s"),
        None,
    ),
    "a real size alone": (pax(("GNU.sparse.realsize", b"4096")) + file(b"s"), None),
}

HOLES: dict[str, bytes] = {
    "an old map and 8 EiB": old_sparse([(0, 512)], (1 << 63) - 1),
    "a map before the data and 8 EiB": pax_sparse(
        padded(b"1\n0\n512\n") + b"z" * 512, (1 << 63) - 1
    ),
    "a pax map and 8 EiB": pax(
        ("GNU.sparse.size", b"%d" % ((1 << 63) - 1)), ("GNU.sparse.map", b"0,512")
    )
    + file(b"s", b"z" * 512),
}
"""Sparse files that claim as much as a file can have: accepted as far as the limits allow."""

ODD = {**NAMES, **TYPES, **NUMBERS, **RECORDS, **SPARSE}
