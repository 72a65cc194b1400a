"""Layers that no unpacker can make sense of: one sentence, with the layer and the entry in it."""

from __future__ import annotations

import pytest

from squashproxy.errors import BadArchive
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import Header
from squashproxy.testing import LayerBuilder as Layer
from tests.squash.trap import squash

BOTTOM = Layer().directory("d").file("d/a", b"data").file("a", b"data")
GONE = "which neither its layer nor one below holds"

LINKS = {
    "to nothing": ([Layer().file("k"), Layer().hardlink("b", "a")], "/b points to /a", GONE),
    "to nothing, relative": (
        [Layer().directory("d").file("d/a").hardlink("d/b", "a")],
        "/d/b points to /a",
        GONE,
    ),
    "to itself": ([Layer().hardlink("b", "b")], "/b points to /b", GONE),
    "in a circle": ([Layer().hardlink("b", "c").hardlink("c", "b")], "points to /", GONE),
    "to a file that a layer between deletes": (
        [BOTTOM, Layer().whiteout("a"), Layer().hardlink("b", "a")],
        "/b points to /a",
        GONE,
    ),
    "to a file whose directory a layer between deletes": (
        [BOTTOM, Layer().whiteout("d"), Layer().hardlink("b", "d/a")],
        "/b points to /d/a",
        GONE,
    ),
    "to a file that an opaque marker between hides": (
        [BOTTOM, Layer().directory("d").opaque("d"), Layer().hardlink("b", "d/a")],
        "/b points to /d/a",
        GONE,
    ),
    "to a file whose directory becomes a file between": (
        [BOTTOM, Layer().file("d"), Layer().hardlink("b", "d/a")],
        "/b points to /d/a",
        GONE,
    ),
    "to a file whose directory becomes a symlink between": (
        [BOTTOM, Layer().symlink("d", "e"), Layer().hardlink("b", "d/a")],
        "/b points to /d/a",
        GONE,
    ),
    "to a file that an opaque root between hides": (
        [BOTTOM, Layer().opaque("").file("k"), Layer().hardlink("b", "a")],
        "/b points to /a",
        GONE,
    ),
    "to a directory of its layer": (
        [Layer().file("k"), Layer().directory("d").hardlink("b", "d")],
        "/b points to the directory /d",
        "no unpacker can make",
    ),
    "to a directory behind it in its layer": (
        [Layer().file("k"), Layer().hardlink("b", "d").directory("d")],
        "/b points to the directory /d",
        "no unpacker can make",
    ),
    "to a directory of a lower layer": (
        [BOTTOM, Layer().file("k"), Layer().hardlink("b", "d")],
        "/b points to the directory /d",
        "no unpacker can make",
    ),
    "to the root": (
        [Layer().file("k"), Layer().directory("./").hardlink("b", "/")],
        "/b points to the directory /",
        "no unpacker can make",
    ),
}


@pytest.mark.parametrize("case", LINKS)
def test_a_broken_hard_link_is_refused_however_many_layers_are_kept(case: str) -> None:
    layers, words, reason = LINKS[case]
    for kept in range(len(layers)):
        with pytest.raises(BadArchive) as refused:
            squash([layer.tar() for layer in layers], MergeOptions(kept=kept))
        sentence = str(refused.value)
        assert sentence.startswith(f"layer {len(layers) - 1}: the hard link "), sentence
        assert words in sentence
        assert reason in sentence
        assert sentence.endswith("build the image again")


def test_a_broken_link_that_is_hidden_does_no_harm() -> None:
    layers = [Layer().file("k"), Layer().hardlink("b", "nothing"), Layer().whiteout("b")]
    assert squash([layer.tar() for layer in layers]).entries == ["k"]


ENTRIES = {
    "a whiteout of nothing": (Layer().file(".wh."), "/.wh. is a whiteout of nothing"),
    "a whiteout of nothing in a directory": (Layer().file("d/.wh."), "/d/.wh. is a whiteout"),
    "a whiteout of `.`": (Layer().file(".wh.."), "/.wh.. is a whiteout of nothing"),
    "a whiteout of `..`": (Layer().file("d/.wh..."), "/d/.wh... is a whiteout of nothing"),
    "a file in the root's place": (Layer().file("./"), "is the image's root, but no directory"),
    "a link in the root's place": (
        Layer().file("a").hardlink("/", "a"),
        "is the image's root, but no directory",
    ),
    "`..`": (Layer().file(".."), "leads out of the image with '..'"),
    "`..` at the start": (Layer().file("../a"), "/../a leads out of the image"),
    "more `..` than names": (Layer().file("a/../../b"), "/a/../../b leads out of the image"),
    "`..` at the end": (Layer().directory("a/../.."), "leads out of the image"),
    "`..` behind the root": (Layer().file("/../a"), "leads out of the image"),
    "`..` out and in again": (Layer().file("d/../../d/a"), "leads out of the image"),
    "`..` to the root, as a file": (Layer().file("a/.."), "is the image's root, but no directory"),
    "`..` behind a whiteout's prefix": (Layer().file(".wh..."), "whiteout of nothing"),
    "`..` behind `./`": (Layer().file("./../a"), "leads out of the image"),
    "`..` in a long name": (Layer().file("x" * 150 + "/../../a"), "leads out of the image"),
    "`..` in a whiteout's directory": (Layer().whiteout("../a"), "leads out of the image"),
    "`..` in a hard link's target": (
        Layer().hardlink("b", "../etc/passwd"),
        "leads out of the image",
    ),
    "NUL in a pax name": (
        Layer().entry(Header(b"a", records=(("path", b"a\0b"),))),
        "holds a NUL byte",
    ),
    "NUL in a pax link target": (
        Layer().file("a").entry(Header(b"b", b"1", b"a", records=(("linkpath", b"a\0b"),))),
        "holds a NUL byte",
    ),
    "symlinks in a circle": (
        Layer().symlink("a", "b").symlink("b", "a").file("a/x"),
        "/a/x lies behind symlinks that lead in a circle",
    ),
    "a symlink to itself": (Layer().symlink("a", "a").file("a/x"), "/a/x lies behind symlinks"),
    "a whiteout behind symlinks in a circle": (
        Layer().symlink("a", "a").whiteout("a/x"),
        "/a/.wh.x lies behind symlinks",
    ),
    "a link's target behind symlinks in a circle": (
        Layer().symlink("a", "a").hardlink("b", "a/x"),
        "lies behind symlinks that lead in a circle",
    ),
}


@pytest.mark.parametrize("chunk", [1, 512, 65536])
@pytest.mark.parametrize("case", ENTRIES)
def test_a_bad_entry_is_refused_by_name(case: str, chunk: int) -> None:
    layer, words = ENTRIES[case]
    tars = [Layer().directory("d").tar(), layer.tar(), Layer().file("k").tar()]
    for kept in (0, 1):
        with pytest.raises(BadArchive) as refused:
            squash(tars, MergeOptions(kept=kept), chunk)
        sentence = str(refused.value)
        assert sentence.startswith("layer 1: the entry /"), sentence
        assert words in sentence
        assert sentence.endswith("; build the image again")


def test_a_bad_entry_of_a_kept_base_does_not_matter_while_the_base_is_not_read() -> None:
    tars = [Layer().file("../a").tar(), Layer().file("k").tar()]
    assert squash(tars, MergeOptions(kept=1)).entries == ["k"]
