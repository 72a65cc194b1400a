"""Rewritten headers: readers see the new name, and everything else as it was."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squashproxy.archive.rewrite import (
    directory_header,
    empty_file_header,
    with_link,
    with_path,
)
from squashproxy.squash.whiteout import whiteout_path
from squashproxy.testing import Header, LayerBuilder, SparseForm, TarFormat
from squashproxy.testing.headers import encode_block, encode_records, with_checksum
from tests.archive.reading import END, Member, read
from tests.archive.scanning import scan
from tests.archive.tars import tars

NAMES = {
    "short": b"n",
    "99 bytes": b"n" * 99,
    "exactly 100 bytes": b"n" * 100,
    "101 bytes": b"n" * 101,
    "300 bytes": b"d/" * 100 + b"n" * 100,
    "no UTF-8": b"\xff\xfe\x80",
    "long and no UTF-8": b"\xff" * 200,
    "a line feed": b"a\nb=c",
}
each_name = pytest.mark.parametrize("name", NAMES)
each_form = pytest.mark.parametrize("form", TarFormat, ids=lambda form: form.value)

SEGMENTS = [(at * 2048, b"%04d" % at) for at in range(40)]
PREFIXED = "p" * 120 + "/" + "f" * 80


def _star(name: bytes, prefix: bytes) -> bytes:
    """A header as star writes it: times behind a shorter prefix."""
    block = encode_block(Header(name, mode=0o4755, uid=5, size=4), TarFormat.USTAR)
    times = b"14371573265\0" * 2
    return with_checksum(block[:345] + prefix.ljust(131, b"\0") + times + bytes(8) + b"tar\0")


def _every_attribute(form: TarFormat) -> dict[str, Any]:
    if form is TarFormat.USTAR:
        return {"mode": 0o6711, "uid": 7, "gid": 8, "mtime": 5, "uname": "ann", "gname": "staff"}
    return {
        "mode": 0o6711,
        "uid": 1 << 30,
        "gid": 3_000_000,
        "mtime": -7,
        "uname": "ann",
        "gname": "staff",
        "xattrs": {"user.a": b"1\n2=\0", "security.capability": b"\1" * 600},
    }


def _file(form: TarFormat, name: str) -> bytes:
    return LayerBuilder(form).file(name, b"data", **_every_attribute(form)).tar(end_blocks=0)


SOURCES = {
    "GNU": _file(TarFormat.GNU, "old"),
    "GNU, long": _file(TarFormat.GNU, "o" * 150),
    "pax": _file(TarFormat.PAX, "old"),
    "pax, long": _file(TarFormat.PAX, "o" * 150),
    "pax, path and nothing else": LayerBuilder().file("o" * 150, b"data").tar(end_blocks=0),
    "ustar": _file(TarFormat.USTAR, "old"),
    "ustar with a prefix": _file(TarFormat.USTAR, PREFIXED),
    "star": _star(b"old", b"") + b"data".ljust(512, b"\0"),
    "star with a prefix": _star(b"old", b"pre/fix") + b"data".ljust(512, b"\0"),
    "pax headers in front twice": encode_records(b"x", b"x", [("path", b"p"), ("comment", b"c")])
    + encode_records(b"x", b"x", [("path", b"q"), ("SCHILY.xattr.user.b", b"v")])
    + LayerBuilder().file("old", b"data").tar(end_blocks=0),
    "Solaris": encode_records(b"X", b"x", [("path", b"p" * 120), ("comment", b"c")])
    + LayerBuilder().file("old", b"data").tar(end_blocks=0),
    "GNU and pax names": encode_records(b"x", b"x", [("path", b"q" * 130)])
    + LayerBuilder(TarFormat.GNU).file("o" * 150, b"data").tar(end_blocks=0),
    **{
        f"sparse, {form.name}, {kind} name": LayerBuilder()
        .sparse(name, SEGMENTS, 100_000, form, mode=0o604, xattrs={"user.a": b"1"})
        .tar(end_blocks=0)
        for form in SparseForm
        for kind, name in {"short": "d/old", "long": "d/" + "o" * 150}.items()
    },
}
each_source = pytest.mark.parametrize("source", SOURCES)


def renamed(tar: bytes, path: bytes) -> bytes:
    """A tar of one entry, under another name."""
    header = scan([tar]).entries[0].header
    return with_path(header, path) + tar[len(header) :]


def only(tar: bytes) -> Member:
    [member] = read(tar + END)
    return member


@each_source
@each_name
def test_a_new_name_and_all_else_as_it_was(source: str, name: str) -> None:
    tar = SOURCES[source]
    result = renamed(tar, NAMES[name])
    before, after = only(tar), only(result)
    assert after.path == NAMES[name]
    assert (after.kind, after.content, after.attributes) == (
        before.kind,
        before.content,
        before.attributes,
    )
    [seen] = scan([result]).entries
    assert seen.path == NAMES[name]
    assert len(result) % 512 == 0


@pytest.mark.parametrize("source", [name for name in SOURCES if not name.startswith("sparse")])
def test_a_name_of_100_bytes_needs_no_extension(source: str) -> None:
    tar = SOURCES[source]
    assert len(renamed(tar, b"n" * 100)) == len(renamed(tar, b"n"))


@pytest.mark.parametrize("source", ["star", "star with a prefix"])
def test_the_times_of_star_behind_its_prefix_stay(source: str) -> None:
    tar = SOURCES[source]
    result = renamed(tar, b"new")
    assert result[:100].rstrip(b"\0") == b"new"
    assert result[345:476] == bytes(131)
    assert result[476:512] == tar[476:512] != bytes(36)


@each_source
def test_there_and_back_is_the_same_for_readers(source: str) -> None:
    tar = SOURCES[source]
    before = only(tar)
    there = renamed(tar, b"t" * 180)
    back = renamed(there, before.path)
    after = only(back)
    assert (after.path, after.content) == (before.path, before.content)
    assert after.attributes == before.attributes
    assert b"t" * 100 not in back


@each_form
@each_name
def test_a_directory_keeps_its_slash(form: TarFormat, name: str) -> None:
    tar = LayerBuilder(form).directory("old", mode=0o1777).tar(end_blocks=0)
    result = renamed(tar, NAMES[name])
    assert NAMES[name] + b"/" in result
    assert (only(result).path, only(result).kind) == (NAMES[name], b"5")
    assert only(result).attributes == only(tar).attributes


@pytest.mark.parametrize("name", [b"new", b"n" * 150], ids=["short", "long"])
@pytest.mark.parametrize("extension", [b"", b"x"], ids=["plain", "pax path"])
def test_a_directory_of_old_unix_is_one_by_its_slash(name: bytes, extension: bytes) -> None:
    path = encode_records(b"x", b"x", [("path", b"from/pax/")]) if extension else b""
    tar = path + encode_block(Header(b"old/", b"\0"), TarFormat.USTAR)
    [before] = scan([tar]).entries
    [after] = scan([renamed(tar, name)]).entries
    assert (before.kind, after.kind) == (b"5", b"5")
    assert after.path == name


@each_form
@each_name
@pytest.mark.parametrize("typeflag", [b"1", b"2"], ids=["hard link", "symlink"])
@pytest.mark.parametrize("target", ["short", "t" * 99], ids=["short", "longer"])
def test_a_new_target_and_all_else_as_it_was(
    form: TarFormat, name: str, typeflag: bytes, target: str
) -> None:
    attributes = _every_attribute(form)
    layer = LayerBuilder(form)
    add = layer.hardlink if typeflag == b"1" else layer.symlink
    tar = add("d/link", target, **attributes).tar(end_blocks=0)
    result = with_link(tar, NAMES[name])
    before, after = only(tar), only(result)
    assert after.link == NAMES[name]
    assert (after.path, after.kind, after.attributes) == (
        before.path,
        before.kind,
        before.attributes,
    )


@pytest.mark.parametrize("form", [TarFormat.GNU, TarFormat.PAX], ids=["gnu", "pax"])
@each_name
def test_a_long_target_leaves_and_the_long_name_stays(form: TarFormat, name: str) -> None:
    tar = LayerBuilder(form).hardlink("l" * 150, "t" * 150).tar(end_blocks=0)
    result = with_link(tar, NAMES[name])
    assert (only(result).path, only(result).link) == (b"l" * 150, NAMES[name])
    assert b"t" * 100 not in result
    both = with_path(result, b"p" * 120)
    assert (only(both).path, only(both).link) == (b"p" * 120, NAMES[name])


def test_a_sparse_map_of_many_records_keeps_each_of_them() -> None:
    tar = LayerBuilder().sparse("o" * 150, SEGMENTS, 100_000, SparseForm.PAX_0_0).tar(end_blocks=0)
    result = renamed(tar, b"n" * 150)
    for number in range(len(SEGMENTS)):
        assert b" GNU.sparse.offset=%d\n" % (number * 2048) in result
    assert only(result).content == only(tar).content


@each_name
def test_a_directory_made_from_nothing(name: str) -> None:
    made = only(directory_header(NAMES[name]))
    assert (made.path, made.kind) == (NAMES[name], b"5")
    attributes = made.attributes
    assert (attributes["mode"], attributes["uid"], attributes["gid"]) == (0o755, 0, 0)
    assert attributes["mtime"] == 0


@each_name
def test_a_whiteout_made_from_nothing(name: str) -> None:
    made = only(empty_file_header(whiteout_path(NAMES[name])))
    assert made.path.rpartition(b"/")[2].startswith(b".wh.")
    assert (made.kind, made.content) == (b"0", b"")
    attributes = made.attributes
    assert (attributes["mode"], attributes["uid"], attributes["mtime"]) == (0, 0, 0)


@settings(deadline=None)
@given(
    tars(),
    st.binary(min_size=1, max_size=300).filter(
        lambda name: b"\0" not in name and not {b"", b".", b".."} & {*name.split(b"/")}
    ),
)
def test_whatever_an_entry_was_it_is_the_same_under_any_name(tar: bytes, path: bytes) -> None:
    for member in read(tar):
        one = tar[member.start : member.stop]
        after = only(renamed(one, path))
        assert (after.path, after.kind, after.link, after.content, after.attributes) == (
            path,
            member.kind,
            member.link,
            member.content,
            member.attributes,
        )


def _listed(tar: bytes) -> list[str]:
    command = ["tar", "--quoting-style=literal", "--numeric-owner", "-tvf", "-"]
    done = subprocess.run(command, input=tar, capture_output=True, check=True, env={"TZ": "UTC0"})
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


@pytest.mark.real
@pytest.mark.parametrize("source", [name for name in SOURCES if name != "Solaris"])
@pytest.mark.parametrize("name", [b"new", b"n" * 100, b"d/" + b"n" * 250])
def test_gnu_tar_lists_the_new_name_and_all_else_as_it_was(source: str, name: bytes) -> None:
    tar = SOURCES[source]
    [before] = _listed(tar + END)
    [after] = _listed(renamed(tar, name) + END)
    assert after.split()[-1] == name.decode()
    assert after.split()[:-1] == before.split()[:-1]


@pytest.mark.real
def test_gnu_tar_extracts_renamed_sparse_files(tmp_path: Path) -> None:
    tar = b"".join(
        renamed(SOURCES[f"sparse, {form.name}, long name"], form.name.encode() + b"n" * 120)
        for form in SparseForm
    )
    done = subprocess.run(
        ["tar", "-xC", tmp_path], input=tar + END, capture_output=True, check=True
    )
    assert done.stderr == b""
    expected = bytearray(100_000)
    for offset, data in SEGMENTS:
        expected[offset : offset + len(data)] = data
    for form in SparseForm:
        assert (tmp_path / (form.name + "n" * 120)).read_bytes() == expected


def test_a_rewritten_header_is_whole_blocks_with_good_sums() -> None:
    with tarfile.open(fileobj=io.BytesIO(directory_header(b"d" * 150) + END)) as archive:
        assert [member.name for member in archive] == ["d" * 150]
    assert len(directory_header(b"d")) == 512
    assert len(directory_header(b"d" * 100)) == 3 * 512
