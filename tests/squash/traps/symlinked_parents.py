"""Entries below a path that is a symlink: overlay's way across layers, unpackers' within one."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.model.node import Node
from tests.squash.nodes import MADE, directory, file, linked, symlink
from tests.squash.trap import Seen, Trap

_REPLACED = ("/lib is no directory, but an upper layer has entries below it",)


def _usr_merged() -> Layer:
    return (
        Layer()
        .directory("usr")
        .directory("usr/lib")
        .file("usr/lib/z", b"z")
        .symlink("lib", "usr/lib")
    )


_USR: dict[str | bytes, Node] = {
    "usr": directory(),
    "usr/lib": directory(),
    "usr/lib/z": file(b"z"),
}

SYMLINKED_PARENTS = {
    "an entry below a lower layer's symlink: a new directory replaces it": Trap(
        layers=[_usr_merged(), Layer().file("lib/foo", b"foo")],
        tree={**_USR, "lib": MADE, "lib/foo": file(b"foo")},
        kept=(0,),
        entries={0: "lib/foo usr/ usr/lib/ usr/lib/z"},
        warnings={0: _REPLACED},
        bare="lib",
        seen_by=Seen.OVERLAY,
    ),
    "an entry and its directory over a lower layer's symlink": Trap(
        layers=[_usr_merged(), Layer().directory("lib", mode=0o700).file("lib/foo", b"foo")],
        tree={**_USR, "lib": directory(mode=0o700), "lib/foo": file(b"foo")},
        entries={0: "lib/ lib/foo usr/ usr/lib/ usr/lib/z", 1: "lib/ lib/foo"},
    ),
    "a whiteout below a lower layer's symlink: the symlink's target keeps all": Trap(
        layers=[_usr_merged(), Layer().whiteout("lib/z")],
        tree={**_USR, "lib": MADE},
        kept=(0,),
        entries={0: "usr/ usr/lib/ usr/lib/z lib/"},
        written="lib",
        warnings={0: _REPLACED},
        seen_by=Seen.OVERLAY,
    ),
    "an opaque marker below a lower layer's symlink": Trap(
        layers=[_usr_merged(), Layer().opaque("lib").file("k")],
        tree={**_USR, "lib": MADE, "k": file()},
        kept=(0,),
        written="lib",
        warnings={0: _REPLACED},
        seen_by=Seen.OVERLAY,
    ),
    "a symlink over a directory with entries: they are hidden": Trap(
        layers=[
            Layer().directory("lib").file("lib/old").directory("usr"),
            Layer().directory("usr").directory("usr/lib").symlink("lib", "usr/lib"),
        ],
        tree={"lib": symlink("usr/lib"), "usr": directory(), "usr/lib": directory()},
        entries={0: "usr/ usr/lib/ lib", 1: "usr/ usr/lib/ lib"},
    ),
    "an entry below a symlink of its own layer lands where it points": Trap(
        layers=[_usr_merged().file("lib/foo", b"foo")],
        tree={**_USR, "lib": symlink("usr/lib"), "usr/lib/foo": file(b"foo")},
        entries={0: "usr/ usr/lib/ usr/lib/z lib usr/lib/foo"},
        written="usr/lib/foo",
    ),
    "such an entry hides what lower layers have there": Trap(
        layers=[
            Layer().directory("usr").directory("usr/lib").file("usr/lib/foo", b"old"),
            _usr_merged().file("lib/foo", b"new"),
        ],
        tree={**_USR, "lib": symlink("usr/lib"), "usr/lib/foo": file(b"new")},
        written="usr/lib/foo",
    ),
    "such an entry is hidden by an upper layer's": Trap(
        layers=[
            _usr_merged().file("lib/foo", b"old").file("lib/bar", b"old"),
            Layer()
            .directory("usr")
            .directory("usr/lib")
            .file("usr/lib/foo", b"new")
            .whiteout("usr/lib/bar"),
        ],
        tree={**_USR, "lib": symlink("usr/lib"), "usr/lib/foo": file(b"new")},
        kept=(0,),
    ),
    "a directory below a symlink of its own layer": Trap(
        layers=[_usr_merged().directory("lib/d", mode=0o700).file("lib/d/x", b"x")],
        tree={
            **_USR,
            "lib": symlink("usr/lib"),
            "usr/lib/d": directory(mode=0o700),
            "usr/lib/d/x": file(b"x"),
        },
        written="usr/lib/d usr/lib/d/x",
    ),
    "a whiteout below a symlink of its own layer": Trap(
        layers=[
            Layer().directory("usr").directory("usr/lib").file("usr/lib/z").file("usr/lib/k"),
            Layer()
            .directory("usr")
            .directory("usr/lib")
            .symlink("lib", "usr/lib")
            .whiteout("lib/z"),
        ],
        tree={
            "usr": directory(),
            "usr/lib": directory(),
            "usr/lib/k": file(),
            "lib": symlink("usr/lib"),
        },
        entries={1: "usr/ usr/lib/ lib usr/lib/.wh.z"},
    ),
    "an opaque marker below a symlink of its own layer, no base": Trap(
        layers=[
            Layer().directory("usr").directory("usr/lib").file("usr/lib/z").file("k"),
            Layer().directory("usr").directory("usr/lib").symlink("lib", "usr/lib").opaque("lib"),
        ],
        tree={
            "usr": directory(),
            "usr/lib": directory(),
            "k": file(),
            "lib": symlink("usr/lib"),
        },
        kept=(0,),
        entries={0: "usr/ usr/lib/ lib k"},
        seen_by=Seen.NEITHER,
    ),
    "an opaque marker below a symlink of its own layer": Trap(
        layers=[
            Layer().directory("usr").directory("usr/lib").file("usr/lib/z").file("k"),
            Layer().directory("usr").directory("usr/lib").symlink("lib", "usr/lib").opaque("lib"),
        ],
        tree={
            "usr": directory(),
            "usr/lib": directory(),
            "k": file(),
            "lib": symlink("usr/lib"),
        },
        kept=(1,),
        entries={1: "usr/ usr/lib/ lib usr/lib/.wh..wh..opq"},
        seen_by=Seen.NEITHER,
    ),
    "hard links whose names and targets lead through a symlink": Trap(
        layers=[
            _usr_merged().hardlink("lib/y", "lib/z").hardlink("usr/lib/x", "lib/y"),
            Layer().file("k"),
        ],
        tree={
            "usr": directory(),
            "usr/lib": directory(),
            **linked("usr/lib/x usr/lib/y usr/lib/z", file(b"z")),
            "lib": symlink("usr/lib"),
            "k": file(),
        },
        kept=(0,),
        written="usr/lib/x usr/lib/y",
    ),
    "hard links through a symlink, target hidden": Trap(
        layers=[
            _usr_merged().hardlink("lib/y", "lib/z").hardlink("usr/lib/x", "lib/y"),
            Layer().directory("usr").directory("usr/lib").whiteout("usr/lib/z"),
        ],
        tree={
            "usr": directory(),
            "usr/lib": directory(),
            **linked("usr/lib/x usr/lib/y", file(b"z")),
            "lib": symlink("usr/lib"),
        },
        kept=(0,),
        written="usr/lib/x usr/lib/y",
        fallbacks={0: 1},
    ),
    "absolute, relative and chained symlinks": Trap(
        layers=[
            Layer()
            .directory("a")
            .directory("a/b")
            .symlink("absolute", "/a/b")
            .symlink("a/up", "../a/b")
            .symlink("chain", "absolute")
            .symlink("above", "../../../a")
            .file("absolute/1")
            .file("a/up/2")
            .file("chain/3")
            .file("above/4")
        ],
        tree={
            "a": directory(),
            "a/b": directory(),
            "absolute": symlink("/a/b"),
            "a/up": symlink("../a/b"),
            "chain": symlink("absolute"),
            "above": symlink("../../../a"),
            "a/b/1": file(),
            "a/b/2": file(),
            "a/b/3": file(),
            "a/4": file(),
        },
        written="a/b/1 a/b/2 a/b/3 a/4",
        alone=True,
    ),
    "a symlink that an upper layer hides still leads within its layer": Trap(
        layers=[
            _usr_merged().file("lib/foo", b"foo"),
            Layer().file("lib", b"file"),
        ],
        tree={**_USR, "usr/lib/foo": file(b"foo"), "lib": file(b"file")},
        kept=(0,),
        written="usr/lib/foo",
    ),
    "a symlink that a directory of its own layer replaces leads no more": Trap(
        layers=[
            Layer()
            .directory("usr")
            .symlink("lib", "usr")
            .directory("lib", mode=0o700)
            .file("lib/foo")
        ],
        tree={"usr": directory(), "lib": directory(mode=0o700), "lib/foo": file()},
        fallbacks={0: 1},
        warnings={0: ("holds /lib more than once",)},
        seen_by=Seen.UMOCI,
    ),
    "a symlink in the base, entries that go through it in the base": Trap(
        layers=[
            Layer().directory("usr").directory("usr/lib").symlink("lib", "usr/lib"),
            Layer().directory("usr").directory("usr/lib").file("usr/lib/foo", b"foo"),
            Layer().directory("usr").directory("usr/lib").whiteout("usr/lib/foo"),
        ],
        tree={"usr": directory(), "usr/lib": directory(), "lib": symlink("usr/lib")},
        fallbacks={1: 1},
    ),
}
