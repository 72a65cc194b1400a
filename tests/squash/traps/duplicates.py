"""A path that stands twice in one layer: the last counts, as for unpackers that accept it."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, linked, symlink
from tests.squash.trap import Seen, Trap

_TWICE = {0: ("holds /a more than once",)}
_TWICE_D = {0: ("holds /d more than once",)}

DUPLICATES = {
    "file, file": Trap(
        layers=[Layer().file("a", b"first").file("k").file("a", b"second", mode=0o600)],
        tree={"a": file(b"second", mode=0o600), "k": file()},
        entries={0: "k a"},
        fallbacks={0: 1},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "three times": Trap(
        layers=[Layer().file("a", b"1").file("a", b"2").file("a", b"3")],
        tree={"a": file(b"3")},
        entries={0: "a"},
        fallbacks={0: 1},
        warnings={0: ("(and 1 more like it)",)},
        seen_by=Seen.UMOCI,
    ),
    "directory, directory: children merge": Trap(
        layers=[
            Layer().directory("d", mode=0o700).file("d/x").directory("d", mode=0o711).file("d/y"),
        ],
        tree={"d": directory(mode=0o711), "d/x": file(), "d/y": file()},
        fallbacks={0: 1},
        warnings=_TWICE_D,
        seen_by=Seen.UMOCI,
    ),
    "file, directory": Trap(
        layers=[Layer().file("d", b"file").directory("d").file("d/x")],
        tree={"d": directory(), "d/x": file()},
        entries={0: "d/ d/x"},
        fallbacks={0: 1},
        warnings=_TWICE_D,
        seen_by=Seen.UMOCI,
    ),
    "directory with children, file": Trap(
        layers=[Layer().directory("d").file("d/x", b"x").file("d", b"file")],
        tree={"d": file(b"file")},
        entries={0: "d"},
        fallbacks={0: 1},
        warnings=_TWICE_D,
        seen_by=Seen.UMOCI,
    ),
    "directory with children, file, directory again": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("d").directory("d", mode=0o700).file("d/y")
        ],
        tree={"d": directory(mode=0o700), "d/y": file()},
        entries={0: "d/ d/y"},
        fallbacks={0: 1},
        warnings={0: ("holds /d more than once",)},
        seen_by=Seen.UMOCI,
    ),
    "directory without an entry, file": Trap(
        layers=[Layer().file("d/x", b"x").file("d", b"file")],
        tree={"d": file(b"file")},
        entries={0: "d"},
        warnings={0: ("/d",)},
        fallbacks={0: 1},
        seen_by=Seen.NEITHER,
    ),
    "symlink, file": Trap(
        layers=[Layer().file("t", b"target").symlink("a", "t").file("a", b"own")],
        tree={"a": file(b"own"), "t": file(b"target")},
        entries={0: "t a"},
        fallbacks={0: 1},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "file, symlink": Trap(
        layers=[Layer().file("a", b"own").symlink("a", "t")],
        tree={"a": symlink("t")},
        entries={0: "a"},
        fallbacks={0: 1},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "a link to the first keeps its content": Trap(
        layers=[
            Layer().file("a", b"first").hardlink("b", "a").hardlink("c", "b").file("a", b"second"),
        ],
        tree={"a": file(b"second"), **linked("b c", file(b"first"))},
        written="b c",
        fallbacks={0: 2},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "a link to the second": Trap(
        layers=[Layer().file("a", b"first").file("a", b"second").hardlink("b", "a")],
        tree=linked("a b", file(b"second")),
        fallbacks={0: 1},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "a link to each": Trap(
        layers=[
            Layer().file("a", b"first").hardlink("b", "a").file("a", b"second").hardlink("c", "a"),
        ],
        tree={"b": file(b"first"), **linked("a c", file(b"second"))},
        written="b",
        fallbacks={0: 2},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "a link twice, to two files": Trap(
        layers=[Layer().file("x", b"x").file("y", b"y").hardlink("a", "x").hardlink("a", "y")],
        tree={"x": file(b"x"), **linked("a y", file(b"y"))},
        entries={0: "x y a"},
        fallbacks={0: 1},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "a link, then a file of its own": Trap(
        layers=[Layer().file("x", b"x").hardlink("a", "x").file("a", b"own")],
        tree={"x": file(b"x"), "a": file(b"own")},
        entries={0: "x a"},
        fallbacks={0: 1},
        warnings=_TWICE,
        seen_by=Seen.UMOCI,
    ),
    "written with another prefix": Trap(
        layers=[
            Layer().directory("d").file("./d//a", b"1").file("/d/a", b"2").file("d/./a", b"3"),
        ],
        tree={"d": directory(), "d/a": file(b"3")},
        fallbacks={0: 1},
        warnings={0: ("holds /d/a more than once",)},
        seen_by=Seen.UMOCI,
    ),
    "hidden by an upper layer: no matter": Trap(
        layers=[
            Layer().file("a", b"1").file("a", b"2").directory("d").file("d/x").file("d/x"),
            Layer().file("a", b"top").whiteout("d"),
        ],
        tree={"a": file(b"top")},
        kept=(0,),
        entries={0: "a"},
        seen_by=Seen.UMOCI,
    ),
    "a file, then a directory: what lower layers have there shows": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("d", b"file").directory("d", mode=0o700),
            Layer().file("top"),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(b"x"), "top": file()},
        kept=(0, 1),
        entries={0: "top d/ d/x", 1: "top d/"},
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a file, then a directory, below another layer's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("d", b"file").directory("d"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(b"x")},
        kept=(0, 1),
        entries={0: "d/ d/x", 1: "d/"},
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a hard link, then a directory, below another layer's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("k").hardlink("d", "k").directory("d").file("d/y"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(b"x"), "d/y": file(), "k": file()},
        kept=(0, 1),
        entries={0: "d/ k d/y d/x", 1: "d/ k d/y"},
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a symlink, then a directory, below another layer's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().directory("e").symlink("d", "e").directory("d").file("d/y"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(b"x"), "d/y": file(), "e": directory()},
        kept=(0, 1),
        entries={0: "d/ e/ d/y d/x", 1: "d/ e/ d/y"},
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a file, then a directory, below another layer's entries": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("d", b"file").directory("d", mode=0o700),
            Layer().file("d/y"),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(b"x"), "d/y": file()},
        kept=(0, 1),
        entries={0: "d/y d/ d/x", 1: "d/y d/"},
        fallbacks={0: 1, 1: 2},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a file, a directory, a file, below another layer's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("d", b"1").directory("d").file("d", b"2"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"d": directory(mode=0o700)},
        kept=(0, 1),
        entries={0: "d/", 1: "d/ d/.wh..wh..opq"},
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a directory with children, then a file, below another layer's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().directory("d").file("d/y").directory("d/e").file("d", b"file"),
            Layer().directory("d", mode=0o700).file("d/z"),
        ],
        tree={"d": directory(mode=0o700), "d/z": file()},
        kept=(0, 1),
        entries={0: "d/ d/z", 1: "d/ d/.wh..wh..opq d/z"},
        fallbacks={0: 1, 1: 2},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a file, a whiteout, a directory, below another layer's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("d", b"file").whiteout("d").directory("d"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"d": directory(mode=0o700)},
        kept=(0, 1),
        entries={0: "d/", 1: "d/ d/.wh..wh..opq"},
        fallbacks={1: 1},
        seen_by=Seen.NEITHER,
    ),
    "a file, then a directory, in two layers below another one's directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("d", b"file").directory("d"),
            Layer().symlink("d", "e").directory("d"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(b"x")},
        kept=(0, 1),
        entries={0: "d/ d/x", 1: "d/"},
        fallbacks={0: 2, 1: 1},
        warnings=dict.fromkeys(
            (0, 1), ("layer 2 holds /d more than", "layer 1 holds /d more than")
        ),
        seen_by=Seen.NEITHER,
    ),
    "in a middle layer, with a base": Trap(
        layers=[
            Layer().file("a", b"base").file("k"),
            Layer().file("a", b"1").file("a", b"2"),
            Layer().file("top"),
        ],
        tree={"a": file(b"2"), "k": file(), "top": file()},
        kept=(0, 1),
        entries={1: "top a"},
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /a more than once",)),
        seen_by=Seen.UMOCI,
    ),
    "in two layers: each is looked at once": Trap(
        layers=[
            Layer().file("a", b"1").file("a", b"2").file("b", b"3"),
            Layer().file("b", b"4").file("b", b"5").file("c", b"6").file("c", b"7"),
        ],
        tree={"a": file(b"2"), "b": file(b"5"), "c": file(b"7")},
        kept=(0,),
        fallbacks={0: 2},
        warnings={
            0: ("layer 1 holds /b more than once; the last one counts (and 1 more", "layer 0")
        },
        seen_by=Seen.UMOCI,
    ),
    "a symlink, a file behind it, then a directory": Trap(
        layers=[
            Layer().directory("t").directory("d").file("d/x", b"x"),
            Layer().symlink("d", "t").file("d/c", b"behind").directory("d").file("d/c", b"own"),
        ],
        tree={
            **dict.fromkeys(("d", "t"), directory()),
            "d/x": file(b"x"),
            "d/c": file(b"own"),
            "t/c": file(b"behind"),
        },
        written="t/c",
        kept=(0, 1),
        fallbacks={0: 1, 1: 1},
        warnings=dict.fromkeys((0, 1), ("layer 1 holds /d more than once",)),
        seen_by=Seen.NEITHER,
    ),
    "a symlink, a file behind it, then a file, below another layer's directory": Trap(
        layers=[
            Layer().directory("t").directory("d").file("d/x", b"x"),
            Layer().symlink("d", "t").file("d/c", b"behind").file("d", b"file"),
            Layer().directory("d", mode=0o700),
        ],
        tree={"t": directory(), "d": directory(mode=0o700), "t/c": file(b"behind")},
        written="t/c",
        kept=(0, 1),
        fallbacks={1: 1},
        seen_by=Seen.NEITHER,
    ),
    "a file by its own name and by that of a symlink": Trap(
        layers=[
            Layer().directory("t").symlink("d", "t").file("t/c", b"1").file("d/c", b"2"),
        ],
        tree={"t": directory(), "d": symlink("t"), "t/c": file(b"2")},
        written="t/c",
        entries={0: "t/ d t/c"},
        fallbacks={0: 1},
        warnings={0: ("holds /t/c more than once",)},
        seen_by=Seen.UMOCI,
    ),
    "a whiteout and an opaque marker twice: harmless": Trap(
        layers=[
            Layer().file("a").directory("d").file("d/x").file("k"),
            Layer().whiteout("a").whiteout("a").directory("d").opaque("d").opaque("d"),
        ],
        tree={"d": directory(), "k": file()},
        entries={0: "d/ k", 1: "d/ d/.wh..wh..opq .wh.a"},
        seen_by=Seen.NEITHER,
    ),
}
