"""Paths of entries: one form for every way to write them, and a sentence for what is refused."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.archive.path import BadEntry, is_roundabout, join, normalise, parent_of, shown


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param(b"a", b"a", id="plain"),
        pytest.param(b"a/b", b"a/b", id="in a directory"),
        pytest.param(b"./a", b"a", id="dot slash"),
        pytest.param(b"././a", b"a", id="dot slash twice"),
        pytest.param(b"/a", b"a", id="absolute"),
        pytest.param(b"//a", b"a", id="absolute, two slashes"),
        pytest.param(b"/./a", b"a", id="absolute dot"),
        pytest.param(b"a//b", b"a/b", id="two slashes"),
        pytest.param(b"a///b", b"a/b", id="three slashes"),
        pytest.param(b"a/./b", b"a/b", id="dot in the middle"),
        pytest.param(b"a/b/.", b"a/b", id="dot at the end"),
        pytest.param(b"a/", b"a", id="trailing slash"),
        pytest.param(b"a//", b"a", id="two trailing slashes"),
        pytest.param(b".", b"", id="root as a dot"),
        pytest.param(b"./", b"", id="root as dot slash"),
        pytest.param(b"/", b"", id="root as a slash"),
        pytest.param(b"", b"", id="root as nothing"),
        pytest.param(b".a", b".a", id="hidden file"),
        pytest.param(b"..a", b"..a", id="two dots begin a name"),
        pytest.param(b"a../b", b"a../b", id="two dots end a name"),
        pytest.param(b"a/...", b"a/...", id="three dots"),
        pytest.param(b"a/..", b"", id="two dots back to the root"),
        pytest.param(b"a/../", b"", id="two dots and a slash"),
        pytest.param(b"a/../b", b"b", id="two dots in the middle"),
        pytest.param(b"/a/b/../../c/./../d", b"d", id="two dots several times"),
        pytest.param(b"a/.b", b"a/.b", id="hidden file in a directory"),
        pytest.param(b".wh.a", b".wh.a", id="whiteout"),
        pytest.param(b"d/.wh..wh..opq", b"d/.wh..wh..opq", id="opaque marker"),
        pytest.param(b"\xff\xfe/\x80", b"\xff\xfe/\x80", id="bytes that are no UTF-8"),
        pytest.param("ü/é".encode(), "ü/é".encode(), id="UTF-8 stays raw"),
        pytest.param(b"a\\b", b"a\\b", id="a backslash is a letter"),
        pytest.param(b" a\n", b" a\n", id="spaces and line feeds are letters"),
    ],
)
def test_one_form(name: bytes, path: bytes) -> None:
    assert normalise(name) == path


@pytest.mark.parametrize(
    ("name", "word"),
    [
        pytest.param(b"..", "'..'", id="dots"),
        pytest.param(b"../a", "'..'", id="dots first"),
        pytest.param(b"/../a", "'..'", id="absolute dots first"),
        pytest.param(b"a/../../a", "'..'", id="dots that leave and come back"),
        pytest.param(b"a/../../b", "'..'", id="dots that leave"),
        pytest.param(b"/..", "'..'", id="absolute dots"),
        pytest.param(b"./..", "'..'", id="dot dots"),
        pytest.param(b"a/../../", "'..'", id="dots and a slash"),
        pytest.param(b"a\0b", "NUL", id="NUL"),
        pytest.param(b"\0", "NUL", id="only NUL"),
        pytest.param(b"./a\0", "NUL", id="NUL, not in one form"),
    ],
)
def test_refused(name: bytes, word: str) -> None:
    with pytest.raises(BadEntry) as caught:
        normalise(name)
    sentence = str(caught.value.at("layer 2", name))
    assert word in sentence
    assert sentence.startswith("layer 2: the entry /")
    assert "build the image again" in sentence


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"", b".b", b"c.", b"..d"])).map(b"/".join))
def test_agrees_with_posixpath(name: bytes) -> None:
    if posixpath.normpath(b"./" + name).split(b"/")[0] == b"..":
        with pytest.raises(BadEntry):
            normalise(name)
    else:
        assert is_roundabout(name) == (b".." in name.split(b"/"))
        assert normalise(name) == posixpath.normpath(b"/" + name).lstrip(b"/")


@given(st.binary().filter(lambda name: b"\0" not in name and b".." not in name.split(b"/")))
def test_the_form_is_its_own_form(name: bytes) -> None:
    path = normalise(name)
    assert normalise(path) == path
    assert normalise(b"/./" + name + b"/") == path


@pytest.mark.parametrize(
    ("path", "parent"), [(b"a/b/c", b"a/b"), (b"a/b", b"a"), (b"a", b""), (b"", b"")]
)
def test_the_parent(path: bytes, parent: bytes) -> None:
    assert parent_of(path) == parent


@pytest.mark.parametrize(
    ("parent", "name", "path"), [(b"", b"a", b"a"), (b"a", b"b", b"a/b"), (b"a/b", b"c", b"a/b/c")]
)
def test_joined(parent: bytes, name: bytes, path: bytes) -> None:
    assert join(parent, name) == path


def test_shown_with_what_is_no_text_escaped() -> None:
    assert shown("ü".encode() + b"\xff") == "/ü\\xff"
