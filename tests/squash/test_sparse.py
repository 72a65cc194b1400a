"""Sparse files in the four forms of GNU tar: kept with their maps, also when a link takes over."""

from __future__ import annotations

import io
import tarfile

import pytest

from squashproxy.span import Kept
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import LayerBuilder as Layer
from squashproxy.testing import SparseForm, TarFormat
from tests.squash.trap import Squashed, squash

SIZE = 1 << 20
MAPS = {
    "one segment": [(4096, b"data" * 128)],
    "a hole at the end": [(0, b"start" * 300)],
    "nothing but a hole": [],
    "more segments than the header holds": [(at * 8192, b"%04d" % at * 128) for at in range(60)],
}
NAMES = {"a short name": "f", "a long name": "n" * 130}
CHUNKS = (1000, 513, 65536)

each_form = pytest.mark.parametrize("form", SparseForm, ids=lambda form: form.name)
each_map = pytest.mark.parametrize("segments", MAPS)
each_name = pytest.mark.parametrize("name", NAMES)


def _layer(form: SparseForm) -> Layer:
    return Layer(TarFormat.GNU if form is SparseForm.GNU_OLD else TarFormat.PAX)


def _content(segments: str) -> bytes:
    content = bytearray(SIZE)
    for at, data in MAPS[segments]:
        content[at : at + len(data)] = data
    return bytes(content)


def _read(tar: bytes, name: str) -> tuple[tarfile.TarInfo, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        info = archive.getmember(name)
        file = archive.extractfile(info)
        assert file is not None
        return info, file.read()


def _squash(*layers: Layer, kept: int = 0) -> Squashed:
    tars = [layer.tar() for layer in layers]
    first, *others = [squash(tars, MergeOptions(kept=kept), chunk) for chunk in CHUNKS]
    assert all(other.tar == first.tar for other in others)
    return first


@each_form
@each_map
@each_name
def test_a_sparse_file_stays_bit_for_bit(form: SparseForm, segments: str, name: str) -> None:
    whole = _layer(form).sparse(NAMES[name], MAPS[segments], SIZE, form, mode=0o600)
    result = _squash(Layer().file("low"), whole, Layer().file("top"))
    assert whole.tar(end_blocks=0) in result.tar
    assert all(isinstance(span, Kept) for span in result.spans[:-1])
    info, content = _read(result.tar, NAMES[name])
    assert content == _content(segments)
    assert info.mode == 0o600


@each_form
@each_map
@each_name
def test_a_hidden_sparse_file_goes_with_its_map(form: SparseForm, segments: str, name: str) -> None:
    whole = (
        _layer(form)
        .file("before")
        .sparse(NAMES[name], MAPS[segments], SIZE, form)
        .file("after", b"after")
    )
    result = _squash(whole, Layer().whiteout(NAMES[name]))
    assert result.entries == ["before", "after"]
    plain = _layer(form).file("before").file("after", b"after")
    assert result.tar == plain.tar()


@each_form
@each_map
@each_name
@pytest.mark.parametrize("link", ["l", "l" * 140], ids=["a short link", "a long link"])
def test_a_link_that_becomes_a_sparse_file_takes_its_map(
    form: SparseForm, segments: str, name: str, link: str
) -> None:
    whole = (
        _layer(form)
        .sparse(NAMES[name], MAPS[segments], SIZE, form, uid=7, xattrs={"user.a": b"1\n2"})
        .hardlink(link, NAMES[name])
        .hardlink("second", NAMES[name])
    )
    result = _squash(whole, Layer().whiteout(NAMES[name]))
    assert result.entries == [link, "second"]
    info, content = _read(result.tar, link)
    assert content == _content(segments)
    assert info.uid == 7
    assert info.issparse()
    assert info.pax_headers["SCHILY.xattr.user.a"] == "1\n2"
    _, linked = _read(result.tar, "second")
    assert linked == content


@each_form
def test_a_link_to_a_sparse_file_of_the_kept_base_becomes_one(form: SparseForm) -> None:
    segments = "more segments than the header holds"
    base = _layer(form).file("k").sparse("f", MAPS[segments], SIZE, form)
    result = _squash(base, Layer().hardlink("l", "f"), kept=1)
    assert result.entries == ["l"]
    assert _read(result.tar, "l")[1] == _content(segments)
    assert result.report.fallbacks == 1
