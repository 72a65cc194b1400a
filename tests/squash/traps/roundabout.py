"""Names with a `..` that stay inside the image: it takes back the name before it, whatever that is.

docker, containerd, podman and umoci clean names (Go's filepath.Clean) before they look at them.
"""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, linked, symlink
from tests.squash.trap import Seen, Trap

_LONG = "x" * 120

ROUNDABOUT = {
    "a file": Trap(
        layers=[Layer().directory("d").file("d/../b", b"b").file("./d/../c", b"c").file("k")],
        tree={"d": directory(), "b": file(b"b"), "c": file(b"c"), "k": file()},
        entries={0: "d/ b c k"},
        written="b c",
        warnings={0: ("the name of /b, or of the file",)},
    ),
    "through a directory that is not there": Trap(
        layers=[Layer().file("no/../b", b"b"), Layer().directory("no/deep/../../d")],
        tree={"b": file(b"b"), "d": directory()},
        kept=(0,),
        entries={0: "d/ b"},
        written="b d",
        warnings={0: ("layer 1: the name of /d", "layer 0: the name of /b")},
    ),
    "through a file": Trap(
        layers=[Layer().file("f").file("f/../b", b"b")],
        tree={"f": file(), "b": file(b"b")},
        written="b",
        warnings={0: ("the name of /b",)},
    ),
    "through a symlink, which is not followed": Trap(
        layers=[
            Layer().directory("d").directory("d/e").symlink("s", "d/e").file("s/../b", b"b"),
        ],
        tree={
            "d": directory(),
            "d/e": directory(),
            "s": symlink("d/e"),
            "b": file(b"b"),
        },
        written="b",
        warnings={0: ("the name of /b",)},
    ),
    "back, and then through a symlink of the layer": Trap(
        layers=[Layer().directory("d").symlink("s", "d").file("x/../s/b", b"b")],
        tree={"d": directory(), "s": symlink("d"), "d/b": file(b"b")},
        written="d/b",
        warnings={0: ("the name of /s/b",)},
    ),
    "a hard link's target": Trap(
        layers=[Layer().directory("d").file("l", b"l").hardlink("h", "d/../l")],
        tree={"d": directory(), **linked("h l", file(b"l"))},
        written="h",
        warnings={0: ("the name of /h, or of the file",)},
    ),
    "a hard link, its target deleted above": Trap(
        layers=[
            Layer().directory("d").file("d/../l", b"l").hardlink("d/../h", "./d/../l"),
            Layer().whiteout("l"),
        ],
        tree={"d": directory(), "h": file(b"l")},
        kept=(0,),
        written="h",
        fallbacks={0: 1},
        warnings={0: ("the name of /l",)},
    ),
    "a directory, a symlink and a long name": Trap(
        layers=[
            Layer()
            .directory("a/../d", mode=0o700)
            .symlink("d/../s", "d/../d")
            .file(f"{_LONG}/../{_LONG}", b"long"),
        ],
        tree={"d": directory(mode=0o700), "s": symlink("d/../d"), _LONG: file(b"long")},
        written=f"d s {_LONG}",
        warnings={0: ("(and 2 more like it)",)},
    ),
    "whiteouts": Trap(
        layers=[
            Layer().file("a").directory("d").file("d/x").directory("e").file("e/x").file("k"),
            Layer().whiteout("d/../a").directory("e").opaque("d/../e").file("n"),
        ],
        tree={"d": directory(), "d/x": file(), "e": directory(), "k": file(), "n": file()},
        entries={0: "e/ n d/ d/x k", 1: "e/ e/.wh..wh..opq n .wh.a"},
        warnings=dict.fromkeys((0, 1), ("layer 1: the name of /.wh.a",)),
    ),
    "over a lower layer's file": Trap(
        layers=[Layer().directory("d").file("b", b"old"), Layer().file("d/../b", b"new")],
        tree={"d": directory(), "b": file(b"new")},
        entries={0: "b d/", 1: "b"},
        written="b",
        warnings=dict.fromkeys((0, 1), ("layer 1: the name of /b",)),
    ),
    "the same path twice": Trap(
        layers=[Layer().directory("d").file("b", b"1").file("d/../b", b"2")],
        tree={"d": directory(), "b": file(b"2")},
        entries={0: "d/ b"},
        written="b",
        fallbacks={0: 1},
        warnings={0: ("holds /b more than once", "the name of /b")},
        seen_by=Seen.UMOCI,
    ),
    "hidden by an upper layer": Trap(
        layers=[Layer().directory("d").file("d/../b", b"old"), Layer().file("b", b"new")],
        tree={"d": directory(), "b": file(b"new")},
        kept=(0,),
        entries={0: "b d/"},
        warnings={0: ("layer 0: the name of /b",)},
    ),
}
