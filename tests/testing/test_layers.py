"""Layers: what the builder writes, an independent reader (tarfile) reads."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.testing import MTIME, Header, LayerBuilder, SparseForm, TarFormat

LONG = "directory/" * 30 + "file"


def members(tar: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as archive:
        return archive.getmembers()


def content(tar: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


@pytest.fixture(params=[TarFormat.GNU, TarFormat.PAX], ids=["gnu", "pax"])
def form(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        pytest.param(
            lambda b: b.file("a", b"data", mode=0o4755, uid=7, gid=8, uname="ann", gname="staff"),
            {"name": "a", "type": b"0", "size": 4, "mode": 0o4755, "uid": 7, "gid": 8}
            | {"uname": "ann", "gname": "staff", "mtime": MTIME},
            id="file",
        ),
        pytest.param(
            lambda b: b.directory("d"), {"name": "d", "type": b"5", "mode": 0o755}, id="directory"
        ),
        pytest.param(
            lambda b: b.symlink("s", "../x"),
            {"name": "s", "type": b"2", "linkname": "../x"},
            id="symlink",
        ),
        pytest.param(
            lambda b: b.hardlink("h", "d/a"),
            {"name": "h", "type": b"1", "linkname": "d/a"},
            id="hard link",
        ),
        pytest.param(lambda b: b.fifo("p"), {"name": "p", "type": b"6"}, id="fifo"),
        pytest.param(
            lambda b: b.device("c", 5, 6),
            {"name": "c", "type": b"3", "devmajor": 5, "devminor": 6},
            id="character device",
        ),
        pytest.param(
            lambda b: b.device("b", 8, 1, block=True),
            {"name": "b", "type": b"4"},
            id="block device",
        ),
        pytest.param(lambda b: b.whiteout("d/a"), {"name": "d/.wh.a", "size": 0}, id="whiteout"),
        pytest.param(lambda b: b.whiteout("a"), {"name": ".wh.a"}, id="whiteout at the top"),
        pytest.param(lambda b: b.opaque("d"), {"name": "d/.wh..wh..opq"}, id="opaque"),
        pytest.param(lambda b: b.opaque(""), {"name": ".wh..wh..opq"}, id="opaque root"),
        pytest.param(lambda b: b.file(LONG), {"name": LONG}, id="long name"),
        pytest.param(
            lambda b: b.symlink("s", LONG), {"name": "s", "linkname": LONG}, id="long target"
        ),
        pytest.param(lambda b: b.file("grüße"), {"name": "grüße"}, id="a name beyond ASCII"),
        pytest.param(
            lambda b: b.file(b"\xff\xfe"), {"name": "\udcff\udcfe"}, id="a name that is no UTF-8"
        ),
        pytest.param(
            lambda b: b.file("a", uid=3_000_000, gid=1 << 30),
            {"uid": 3_000_000, "gid": 1 << 30},
            id="large owners",
        ),
        pytest.param(lambda b: b.file("a", mtime=-5), {"mtime": -5}, id="a time before 1970"),
        pytest.param(
            lambda b: b.file("a", xattrs={"user.x": b"1\n2="}),
            {"pax_headers": {"SCHILY.xattr.user.x": "1\n2="}},
            id="extended attributes",
        ),
    ],
)
def test_an_entry_reads_back(form: TarFormat, builder: Any, expected: dict[str, Any]) -> None:
    [member] = members(builder(LayerBuilder(form)).tar())
    found = {key: getattr(member, key) for key in expected}
    if form is TarFormat.PAX and "pax_headers" in expected:
        assert expected["pax_headers"].items() <= member.pax_headers.items()
        del found["pax_headers"], expected["pax_headers"]
    assert found == expected


def test_names_are_written_exactly_as_given() -> None:
    names = [b"./a", b"/a", b"a//b", b"a/../b", b"a", b"a"]
    layer = LayerBuilder(TarFormat.GNU)
    for name in names:
        layer.file(name)
    tar = layer.tar()
    starts = range(0, len(names) * 512, 512)
    assert [tar[at : at + 100].rstrip(b"\0") for at in starts] == names


def test_a_fraction_of_a_second_needs_pax() -> None:
    assert members(LayerBuilder().file("a", mtime=1.5).tar())[0].mtime == 1.5
    assert members(LayerBuilder(TarFormat.GNU).file("a", mtime=1.5).tar())[0].mtime == 1


def test_ustar_splits_long_names_and_refuses_what_does_not_fit() -> None:
    name = "d" * 120 + "/" + "f" * 90
    [member] = members(LayerBuilder(TarFormat.USTAR).file(name).tar())
    assert (member.name, member.pax_headers) == (name, {})
    for header in (Header(b"f" * 101), Header(b"d" * 156 + b"/f"), Header(b"f", uid=1 << 30)):
        with pytest.raises(ValueError, match="does not fit"):
            LayerBuilder(TarFormat.USTAR).entry(header)


def test_a_global_header_is_for_the_entries_that_follow() -> None:
    layer = LayerBuilder().file("a").global_pax_header({"comment": "c"}).file("b")
    first, second = members(layer.tar())
    assert (first.pax_headers, second.pax_headers) == ({}, {"comment": "c"})


def test_the_end_is_as_asked() -> None:
    layer = LayerBuilder().file("a", b"x")
    assert len(layer.tar()) == 4 * 512
    assert len(layer.tar(end_blocks=0)) == 2 * 512
    assert len(layer.tar(record_size=10240)) == 10240
    assert layer.tar(record_size=10240).startswith(layer.tar())


def test_raw_bytes_stay_as_they_are() -> None:
    assert LayerBuilder().raw(b"anything").tar(end_blocks=0) == b"anything"


def test_a_large_file_is_made_while_it_is_written() -> None:
    size = (3 << 20) + 5
    layer = LayerBuilder().large_file("big", size).file("after", b"x")
    assert max(len(piece) for piece in layer.iter_tar()) <= 1 << 20
    tar = b"".join(layer.iter_tar())
    assert [(m.name, m.size) for m in members(tar)] == [("big", size), ("after", 1)]
    assert content(tar, "big")[: 1 << 20] == content(tar, "big")[1 << 20 : 2 << 20]


@pytest.mark.parametrize("sparse", SparseForm, ids=lambda form: form.name)
@pytest.mark.parametrize(
    ("segments", "real_size"),
    [
        pytest.param([(0, b"start")], 5, id="no hole"),
        pytest.param([(1024, b"middle")], 5000, id="holes around"),
        pytest.param([], 4096, id="nothing but a hole"),
        pytest.param([(n * 1024, b"%04d" % n) for n in range(50)], 60_000, id="many segments"),
    ],
)
def test_sparse_files_read_back(
    sparse: SparseForm, segments: list[tuple[int, bytes]], real_size: int
) -> None:
    expected = bytearray(real_size)
    for offset, data in segments:
        expected[offset : offset + len(data)] = data
    tar = LayerBuilder().sparse("d/s", segments, real_size, sparse).file("after").tar()
    assert [member.name for member in members(tar)] == ["d/s", "after"]
    assert content(tar, "d/s") == expected


@pytest.mark.parametrize(
    "segments", [[(0, b"a"), (100, b"b")], [(4090, b"too far")]], ids=["overlap", "past the end"]
)
def test_refuses_segments_that_cannot_be(segments: list[tuple[int, bytes]]) -> None:
    with pytest.raises(ValueError, match="overlaps another, or passes"):
        LayerBuilder().sparse("s", segments, 4096)


@pytest.mark.real
def test_gnu_tar_reads_long_names_links_attributes_and_sparse_files(
    form: TarFormat, tmp_path: Path
) -> None:
    name, segments = "d/" + "x" * 150, [(1024 * n, b"%d" % n) for n in range(30)]
    layer = LayerBuilder(form).directory("d").file(name, b"long").hardlink("h", name)
    layer.symlink("s", "t" * 150).file("a", b"x", uid=3_000_000, xattrs={"user.t": b"v\n"})
    for sparse in SparseForm:
        layer.sparse(sparse.name, segments, 40_000, sparse)
    command = ["tar", "-x", "--xattrs", "-C", str(tmp_path)]
    done = subprocess.run(command, input=layer.tar(), capture_output=True, check=True)
    assert done.stderr == b""
    assert (tmp_path / "h").samefile(tmp_path / name)
    assert (tmp_path / "h").read_bytes() == b"long"
    assert (tmp_path / "s").readlink() == Path("t" * 150)
    assert (tmp_path / "a").stat().st_uid == 3_000_000
    assert os.getxattr(tmp_path / "a", "user.t") == b"v\n"
    expected = bytearray(40_000)
    for offset, data in segments:
        expected[offset : offset + len(data)] = data
    for sparse in SparseForm:
        assert (tmp_path / sparse.name).read_bytes() == expected


@given(
    name=st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=300),
    data=st.binary(max_size=2000),
    uid=st.integers(0, (1 << 31) - 1),
    mtime=st.integers(-(1 << 31), 1 << 34),
    form=st.sampled_from([TarFormat.GNU, TarFormat.PAX]),
)
def test_whatever_a_file_is_called_it_reads_back(
    name: str, data: bytes, uid: int, mtime: int, form: TarFormat
) -> None:
    tar = LayerBuilder(form).file("d/" + name, data, uid=uid, mtime=mtime).file("after").tar()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        first, second = archive.getmembers()
        file = archive.extractfile(first)
        assert file is not None
        assert file.read() == data
    assert (first.name, first.uid, first.mtime) == ("d/" + name, uid, mtime)
    assert second.name == "after"
