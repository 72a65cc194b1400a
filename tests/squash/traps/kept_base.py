"""With a base kept: the whiteouts that it needs, once each, and none that show on a file system."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, linked
from tests.squash.trap import Trap

KEPT_BASE = {
    "nothing left above the base: no layer at all": Trap(
        layers=[Layer().file("k"), Layer().file("a"), Layer().whiteout("a")],
        tree={"k": file()},
        entries={0: "k", 2: ".wh.a"},
    ),
    "a directory made and removed above the base": Trap(
        layers=[
            Layer().file("k"),
            Layer().directory("d").directory("d/e").file("d/e/x"),
            Layer().directory("d").directory("d/e").whiteout("d/e/x"),
            Layer().whiteout("d"),
        ],
        tree={"k": file()},
    ),
    "a file made and removed in a directory that the base lacks: no whiteout": Trap(
        layers=[
            Layer().file("k"),
            Layer().directory("d").file("d/x").file("d/y"),
            Layer().directory("d").whiteout("d/x"),
        ],
        tree={"d": directory(), "d/y": file(), "k": file()},
        entries={0: "d/ d/y k", 1: "d/ d/y", 2: "d/ d/.wh.x"},
        fallbacks={1: 1},
    ),
    "a file changed and removed in a directory that the base has: a whiteout": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"base").file("d/k"),
            Layer().directory("d").file("d/x", b"above"),
            Layer().directory("d").whiteout("d/x"),
        ],
        tree={"d": directory(), "d/k": file()},
        entries={1: "d/ d/.wh.x", 2: "d/ d/.wh.x"},
        fallbacks={1: 1},
    ),
    "one whiteout that the base needs shows that its directory is there": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("d/y").file("d/k"),
            Layer().directory("d").file("d/x"),
            Layer().directory("d").whiteout("d/x").whiteout("d/y"),
        ],
        tree={"d": directory(), "d/k": file()},
        entries={1: "d/ d/.wh.x d/.wh.y"},
    ),
    "no whiteouts of what a whiteout above them hides": Trap(
        layers=[
            Layer().directory("d").directory("d/e").file("d/e/x").file("k"),
            Layer().directory("d").directory("d/e").whiteout("d/e/x"),
            Layer().directory("d").whiteout("d/e"),
            Layer().whiteout("d"),
        ],
        tree={"k": file()},
        entries={1: ".wh.d", 2: ".wh.d", 3: ".wh.d"},
    ),
    "no whiteouts under an opaque directory": Trap(
        layers=[
            Layer().directory("d").file("d/x").directory("d/e").file("d/e/y"),
            Layer().directory("d").whiteout("d/x").directory("d/e").whiteout("d/e/y"),
            Layer().directory("d").opaque("d").file("d/z"),
        ],
        tree={"d": directory(), "d/z": file()},
        entries={1: "d/ d/.wh..wh..opq d/z", 2: "d/ d/.wh..wh..opq d/z"},
    ),
    "no whiteouts under a file": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().directory("d").whiteout("d/x"),
            Layer().file("d", b"file"),
        ],
        tree={"d": file(b"file")},
        entries={1: "d", 2: "d"},
    ),
    "no whiteouts in a directory that replaces the base's": Trap(
        layers=[
            Layer().directory("d").directory("d/e").file("d/e/x"),
            Layer().whiteout("d"),
            Layer().directory("d").directory("d/e").file("d/e/y"),
            Layer().directory("d").directory("d/e").whiteout("d/e/y").file("d/e/z"),
        ],
        tree={"d": directory(), "d/e": directory(), "d/e/z": file()},
        entries={1: "d/ d/.wh..wh..opq d/e/ d/e/z", 2: "d/ d/e/ d/e/z"},
        fallbacks={1: 1, 2: 1},
    ),
    "a directory that replaces the base's is opaque, not whited out": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("d/y", b"old"),
            Layer().whiteout("d"),
            Layer().directory("d", mode=0o700).file("d/y", b"new"),
        ],
        tree={"d": directory(mode=0o700), "d/y": file(b"new")},
        entries={1: "d/ d/.wh..wh..opq d/y"},
        fallbacks={1: 1},
    ),
    "a file of the base replaced by a file needs no whiteout": Trap(
        layers=[
            Layer().file("a", b"old"),
            Layer().whiteout("a"),
            Layer().file("a", b"new"),
        ],
        tree={"a": file(b"new")},
        entries={1: "a", 2: "a"},
    ),
    "a hard link whose target the base hides with its own file": Trap(
        layers=[
            Layer().file("a", b"base").file("b", b"base"),
            Layer().file("a", b"data").hardlink("b", "a"),
            Layer().file("top"),
        ],
        tree={**linked("a b", file(b"data")), "top": file()},
        entries={1: "top a b", 2: "top"},
    ),
    "deep whiteouts in directories that only the base describes": Trap(
        layers=[
            Layer()
            .directory("a")
            .directory("a/b")
            .directory("a/b/c", mode=0o700)
            .file("a/b/c/x")
            .file("a/b/c/y"),
            Layer()
            .directory("a")
            .directory("a/b")
            .directory("a/b/c", mode=0o700)
            .whiteout("a/b/c/x"),
            Layer().file("k"),
        ],
        tree={
            "a": directory(),
            "a/b": directory(),
            "a/b/c": directory(mode=0o700),
            "a/b/c/y": file(),
            "k": file(),
        },
        entries={1: "k a/ a/b/ a/b/c/ a/b/c/.wh.x", 2: "k"},
    ),
    "whiteouts come once, however many layers hold them": Trap(
        layers=[
            Layer().file("a").file("b").directory("d").file("d/x"),
            *(Layer().whiteout("a").whiteout("b").directory("d").opaque("d") for _ in range(3)),
            Layer().file("k"),
        ],
        tree={"d": directory(), "k": file()},
        entries={1: "k d/ d/.wh..wh..opq .wh.a .wh.b"},
    ),
    "every layer hides some of the one below": Trap(
        layers=[
            Layer().file("a", b"0").file("b", b"0").file("c", b"0").file("e", b"0"),
            Layer().file("b", b"1").whiteout("a"),
            Layer().file("c", b"2").whiteout("b"),
            Layer().file("a", b"3").whiteout("c"),
        ],
        tree={"a": file(b"3"), "e": file(b"0")},
        entries={0: "a e", 1: "a .wh.b .wh.c", 2: "a .wh.b .wh.c", 3: "a .wh.c"},
    ),
}
