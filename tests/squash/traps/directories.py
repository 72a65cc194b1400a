"""Directories, files in their place and back again, and directories without an entry."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import MADE, directory, file, linked, symlink
from tests.squash.trap import Seen, Trap

_REPLACED = "is no directory, but an upper layer has entries below it"

DIRECTORIES = {
    "the top directory's metadata wins, children merge": Trap(
        layers=[
            Layer().directory("d", mode=0o700, xattrs={"user.a": b"1"}).file("d/x"),
            Layer().directory("d", mode=0o1777, uid=5, gid=6, mtime=77).file("d/y"),
        ],
        tree={
            "d": directory(mode=0o1777, uid=5, gid=6, mtime=77),
            "d/x": file(),
            "d/y": file(),
        },
        entries={0: "d/ d/y d/x", 1: "d/ d/y"},
    ),
    "an empty directory stays": Trap(
        layers=[Layer().directory("d", mode=0o700), Layer().file("k")],
        tree={"d": directory(mode=0o700), "k": file()},
        entries={0: "k d/", 1: "k"},
    ),
    "the root's entry: the top one wins": Trap(
        layers=[
            Layer().directory("./", mode=0o700).file("a"),
            Layer().directory("./", mode=0o711, uid=3).file("b"),
        ],
        tree={"": directory(mode=0o711, uid=3), "a": file(), "b": file()},
        entries={0: "./ b a", 1: "./ b"},
    ),
    "the root's entry in a lower layer only": Trap(
        layers=[Layer().directory("./", mode=0o711).file("a"), Layer().file("b")],
        tree={"": directory(mode=0o711), "a": file(), "b": file()},
        seen_by=Seen.UMOCI,
        entries={0: "b ./ a", 1: "b"},
    ),
    "a file over a directory hides all below": Trap(
        layers=[
            Layer().directory("d").directory("d/e").file("d/e/x").file("k"),
            Layer().file("d", b"f"),
        ],
        tree={"d": file(b"f"), "k": file()},
        entries={0: "d k", 1: "d"},
    ),
    "a directory over a file": Trap(
        layers=[Layer().file("d", b"f"), Layer().directory("d").file("d/y")],
        tree={"d": directory(), "d/y": file()},
        entries={0: "d/ d/y"},
    ),
    "a directory over a symlink to a directory": Trap(
        layers=[
            Layer().directory("e").file("e/x").symlink("d", "e"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"d": directory(), "d/y": file(), "e": directory(), "e/x": file()},
        entries={0: "d/ d/y e/ e/x"},
    ),
    "a symlink over a directory": Trap(
        layers=[
            Layer().directory("d").file("d/x").directory("e").file("e/z"),
            Layer().symlink("d", "e"),
        ],
        tree={"d": symlink("e"), "e": directory(), "e/z": file()},
        entries={0: "d e/ e/z", 1: "d"},
    ),
    "directory, file, directory: the bottom's children stay away": Trap(
        layers=[
            Layer().directory("d", mode=0o700).file("d/x"),
            Layer().file("d", b"file"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"d": directory(), "d/y": file()},
        entries={0: "d/ d/y", 1: "d/ d/.wh..wh..opq d/y"},
        fallbacks={1: 1},
    ),
    "directory, symlink, directory": Trap(
        layers=[
            Layer().directory("d").file("d/x").directory("e"),
            Layer().symlink("d", "e"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"d": directory(), "d/y": file(), "e": directory()},
        entries={0: "d/ d/y e/"},
        fallbacks={1: 1},
    ),
    "directory, hard link, directory": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().file("a", b"a").hardlink("d", "a"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"a": file(b"a"), "d": directory(), "d/y": file()},
        entries={0: "d/ d/y a"},
        fallbacks={1: 1},
    ),
    "directory, fifo, directory": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().fifo("d"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"d": directory(), "d/y": file()},
        entries={0: "d/ d/y"},
        fallbacks={1: 1},
    ),
    "file, directory, file": Trap(
        layers=[
            Layer().file("d", b"old"),
            Layer().directory("d").file("d/x"),
            Layer().file("d", b"new"),
        ],
        tree={"d": file(b"new")},
        entries={0: "d", 1: "d", 2: "d"},
    ),
    "a file that is itself deleted still hides": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().file("d", b"file"),
            Layer().whiteout("d"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"d": directory(), "d/y": file()},
        entries={0: "d/ d/y", 1: "d/ d/.wh..wh..opq d/y"},
        fallbacks={1: 1, 2: 1},
    ),
    "a file deep below a directory, twice replaced": Trap(
        layers=[
            Layer().directory("p").directory("p/d").directory("p/d/e").file("p/d/e/x"),
            Layer().directory("p").file("p/d", b"file"),
            Layer().directory("p").directory("p/d").directory("p/d/e").file("p/d/e/y"),
        ],
        tree={
            "p": directory(),
            "p/d": directory(),
            "p/d/e": directory(),
            "p/d/e/y": file(),
        },
        entries={0: "p/ p/d/ p/d/e/ p/d/e/y"},
        fallbacks={1: 1},
    ),
    "an implied directory takes its metadata from below": Trap(
        layers=[
            Layer().directory("d", mode=0o700, uid=9, mtime=5).file("d/x"),
            Layer().file("d/y"),
        ],
        tree={"d": directory(mode=0o700, uid=9, mtime=5), "d/x": file(), "d/y": file()},
        entries={0: "d/y d/ d/x", 1: "d/y"},
        seen_by=Seen.UMOCI,
    ),
    "implied in the middle too, described at the bottom": Trap(
        layers=[
            Layer().directory("d", mode=0o700).directory("d/e", mode=0o710),
            Layer().file("d/e/x"),
            Layer().file("d/e/y"),
        ],
        tree={
            "d": directory(mode=0o700),
            "d/e": directory(mode=0o710),
            "d/e/x": file(),
            "d/e/y": file(),
        },
        seen_by=Seen.UMOCI,
    ),
    "an implied directory whose entry follows in its layer": Trap(
        layers=[Layer().file("d/x").directory("d", mode=0o700), Layer().file("k")],
        tree={"d": directory(mode=0o700), "d/x": file(), "k": file()},
        seen_by=Seen.BOTH,
    ),
    "no entry for a directory in any layer": Trap(
        layers=[Layer().file("d/x"), Layer().file("d/e/y")],
        tree={"d": MADE, "d/x": file(), "d/e": MADE, "d/e/y": file()},
        entries={0: "d/e/y d/x", 1: "d/e/y"},
        bare="d d/e",
        seen_by=Seen.NEITHER,
    ),
    "an implied directory that is emptied stays": Trap(
        layers=[Layer().file("d/x").file("k"), Layer().whiteout("d/x")],
        tree={"d": MADE, "k": file()},
        entries={0: "k d/", 1: "d/.wh.x"},
        written="d",
        bare="d",
        seen_by=Seen.NEITHER,
    ),
    "a described directory that is emptied stays": Trap(
        layers=[Layer().directory("d", mode=0o700).file("d/x"), Layer().whiteout("d/x")],
        tree={"d": directory(mode=0o700)},
        entries={0: "d/", 1: "d/.wh.x"},
        seen_by=Seen.UMOCI,
    ),
    "an implied directory over a file hides it": Trap(
        layers=[Layer().file("d", b"file").file("k"), Layer().file("d/y")],
        tree={"d": MADE, "d/y": file(), "k": file()},
        kept=(0,),
        entries={0: "d/y k"},
        warnings={0: (_REPLACED,)},
        bare="d",
        seen_by=Seen.NEITHER,
    ),
    "an implied directory over a file over a directory": Trap(
        layers=[
            Layer().directory("d", mode=0o700).file("d/x"),
            Layer().file("d", b"file"),
            Layer().file("d/y"),
        ],
        tree={"d": MADE, "d/y": file()},
        kept=(0, 1),
        warnings={0: (_REPLACED,), 1: (_REPLACED,)},
        written="d",
        bare="d",
        seen_by=Seen.NEITHER,
    ),
    "an implied directory over a hard link whose target lives on": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("d", "a").hardlink("e", "d"),
            Layer().file("d/y"),
        ],
        tree={
            **linked("a e", file(b"data")),
            "d": MADE,
            "d/y": file(),
        },
        kept=(0,),
        written="e",
        warnings={0: (_REPLACED,)},
        bare="d",
        seen_by=Seen.NEITHER,
    ),
    "a directory described by a lower layer, over a file of the base": Trap(
        layers=[
            Layer().file("d", b"file"),
            Layer().directory("d", mode=0o700).file("d/x"),
            Layer().file("d/y"),
        ],
        tree={"d": directory(mode=0o700), "d/x": file(), "d/y": file()},
        entries={1: "d/ d/y d/x"},
        written="d",
        fallbacks={1: 1},
        seen_by=Seen.UMOCI,
    ),
    "directories given after what is in them": Trap(
        layers=[
            Layer().file("d/e/x").directory("d/e", mode=0o700).directory("d", mode=0o710),
            Layer().file("d/e/y").directory("d/e", mode=0o701),
        ],
        tree={
            "d": directory(mode=0o710),
            "d/e": directory(mode=0o701),
            "d/e/x": file(),
            "d/e/y": file(),
        },
        seen_by=Seen.UMOCI,
    ),
}
