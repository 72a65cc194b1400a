"""Hard links whose target is in their own layer: the target may be hidden, the links live on."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from squashproxy.testing import TarFormat
from tests.squash.nodes import block, character, directory, fifo, file, linked, symlink
from tests.squash.trap import Seen, Trap

_XATTRS = {"user.one": b"1", "user.binary": b"\0\n=\xff"}
_LONG = "n" * 90 + "/" + "m" * 90
_MANY = 1000


def _environment(count: int) -> Layer:
    """Packages and an environment that links into them, as conda makes them."""
    layer = Layer().directory("pkgs").directory("env")
    for number in range(count):
        layer.file(f"pkgs/{number}", b"%d" % number).hardlink(f"env/{number}", f"pkgs/{number}")
    return layer


HARD_LINKS = {
    "target and link stay: nothing to do": Trap(
        layers=[Layer().file("a", b"data").hardlink("b", "a")],
        tree=linked("a b", file(b"data")),
        entries={0: "a b"},
    ),
    "target deleted later: the link becomes the file, with all its metadata": Trap(
        layers=[
            Layer()
            .file("a", b"data", mode=0o4751, uid=7, gid=8, mtime=1234567.5, xattrs=_XATTRS)
            .hardlink("b", "a", mode=0o4751, uid=7, gid=8, mtime=1234567.5),
            Layer().whiteout("a"),
        ],
        tree={"b": file(b"data", mode=0o4751, uid=7, gid=8, mtime=1234567.5, xattrs=_XATTRS)},
        entries={0: "b", 1: ".wh.a"},
        written="b",
        fallbacks={0: 1},
    ),
    "target deleted later, with a link whose own header, on overlay, would change the file": Trap(
        layers=[
            Layer().file("a", b"data", mode=0o600, uid=7, gid=8, mtime=5).hardlink("b", "a"),
            Layer().whiteout("a"),
        ],
        tree={"b": file(b"data", mode=0o600, uid=7, gid=8, mtime=5)},
        written="b",
        fallbacks={0: 1},
        shows=False,
    ),
    "target overwritten later: the link keeps the old content": Trap(
        layers=[Layer().file("a", b"old").hardlink("b", "a"), Layer().file("a", b"new one")],
        tree={"a": file(b"new one"), "b": file(b"old")},
        entries={0: "a b", 1: "a"},
        written="b",
        fallbacks={0: 1},
    ),
    "target replaced by a directory": Trap(
        layers=[
            Layer().file("a", b"old").hardlink("b", "a"),
            Layer().directory("a").file("a/x", b"x"),
        ],
        tree={"a": directory(), "a/x": file(b"x"), "b": file(b"old")},
        written="b",
        fallbacks={0: 1},
    ),
    "target replaced by a symlink to the link": Trap(
        layers=[Layer().file("a", b"old").hardlink("b", "a"), Layer().symlink("a", "b")],
        tree={"a": symlink("b"), "b": file(b"old")},
        written="b",
        fallbacks={0: 1},
    ),
    "target in a directory that is deleted later": Trap(
        layers=[
            Layer().directory("d").directory("d/e").file("d/e/a", b"data").hardlink("b", "d/e/a"),
            Layer().whiteout("d"),
        ],
        tree={"b": file(b"data")},
        entries={0: "b", 1: ".wh.d"},
        written="b",
        fallbacks={0: 1},
    ),
    "target under an opaque directory": Trap(
        layers=[
            Layer().directory("d").file("d/a", b"data").hardlink("b", "d/a"),
            Layer().directory("d").opaque("d"),
        ],
        tree={"b": file(b"data"), "d": directory()},
        written="b",
        fallbacks={0: 1},
    ),
    "target in a directory that becomes a file": Trap(
        layers=[
            Layer().directory("d").file("d/a", b"data").hardlink("b", "d/a"),
            Layer().file("d", b"file"),
        ],
        tree={"b": file(b"data"), "d": file(b"file")},
        written="b",
        fallbacks={0: 1},
    ),
    "several links stay one group": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "a").hardlink("d", "a"),
            Layer().whiteout("a"),
        ],
        tree=linked("b c d", file(b"data")),
        entries={0: "b c d"},
        written="b c d",
        fallbacks={0: 1},
    ),
    "the first surviving link becomes the file": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "a").hardlink("d", "a"),
            Layer().whiteout("a").whiteout("b"),
        ],
        tree=linked("c d", file(b"data")),
        entries={0: "c d", 1: ".wh.a .wh.b"},
        written="c d",
        fallbacks={0: 1},
    ),
    "target and all links deleted: nothing to read again": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "a").file("k"),
            Layer().whiteout("a").whiteout("b"),
        ],
        tree={"k": file()},
        entries={0: "k"},
    ),
    "a link deleted, target stays": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "a"),
            Layer().whiteout("b"),
        ],
        tree=linked("a c", file(b"data")),
        entries={0: "a c"},
    ),
    "a link overwritten, target stays": Trap(
        layers=[Layer().file("a", b"data").hardlink("b", "a"), Layer().file("b", b"own")],
        tree={"a": file(b"data"), "b": file(b"own")},
        entries={0: "b a"},
    ),
    "a link to a link": Trap(
        layers=[Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "b")],
        tree=linked("a b c", file(b"data")),
        entries={0: "a b c"},
    ),
    "a link to a link that is hidden": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "b"),
            Layer().whiteout("b"),
        ],
        tree=linked("a c", file(b"data")),
        entries={0: "a c"},
        written="c",
    ),
    "a link to a link, target and link hidden": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "a").hardlink("c", "b").hardlink("d", "c"),
            Layer().whiteout("a").file("b", b"new"),
        ],
        tree={"b": file(b"new"), **linked("c d", file(b"data"))},
        written="c d",
        fallbacks={0: 1},
    ),
    "a link to a symlink": Trap(
        layers=[Layer().symlink("a", "where").hardlink("b", "a")],
        tree=linked("a b", symlink("where")),
        entries={0: "a b"},
    ),
    "a link to a symlink that is deleted": Trap(
        layers=[
            Layer().symlink("a", "where", uid=5).hardlink("b", "a", uid=5),
            Layer().whiteout("a"),
        ],
        tree={"b": symlink("where", uid=5)},
        written="b",
        fallbacks={0: 1},
    ),
    "links to a fifo and devices that are deleted": Trap(
        layers=[
            Layer()
            .fifo("f", mode=0o600)
            .device("c", 1, 3, mode=0o666)
            .device("b", 7, 1, block=True, gid=6)
            .hardlink("f2", "f", mode=0o600)
            .hardlink("c2", "c", mode=0o666)
            .hardlink("b2", "b", gid=6),
            Layer().whiteout("f").whiteout("c").whiteout("b"),
        ],
        tree={
            "f2": fifo(mode=0o600),
            "c2": character(1, 3, mode=0o666),
            "b2": block(7, 1, gid=6),
        },
        entries={0: "f2 c2 b2"},
        written="f2 c2 b2",
        fallbacks={0: 1},
    ),
    "links to an empty file that is deleted": Trap(
        layers=[Layer().file("a").hardlink("b", "a").hardlink("c", "b"), Layer().whiteout("a")],
        tree=linked("b c", file()),
        written="b c",
        fallbacks={0: 1},
    ),
    "each layer with a group of its own under the same names": Trap(
        layers=[
            Layer().file("a", b"1").hardlink("b", "a"),
            Layer().file("a", b"22").hardlink("c", "a"),
            Layer().file("a", b"333").hardlink("d", "a"),
        ],
        tree={"b": file(b"1"), "c": file(b"22"), **linked("a d", file(b"333"))},
        written="b c",
        fallbacks={0: 2, 1: 1},
    ),
    "target and link change places": Trap(
        layers=[
            Layer().file("a", b"old").hardlink("b", "a"),
            Layer().file("b", b"new").hardlink("a", "b"),
        ],
        tree=linked("a b", file(b"new")),
        entries={0: "b a", 1: "b a"},
    ),
    "a link replaces a directory": Trap(
        layers=[
            Layer().directory("d").file("d/x", b"x"),
            Layer().file("a", b"data").hardlink("d", "a"),
        ],
        tree=linked("a d", file(b"data")),
        entries={0: "a d", 1: "a d"},
    ),
    "the group of a middle layer, hidden from above, base below": Trap(
        layers=[
            Layer().file("a", b"base"),
            Layer().file("a", b"middle").hardlink("b", "a").hardlink("c", "b"),
            Layer().whiteout("a"),
        ],
        tree=linked("b c", file(b"middle")),
        entries={0: "b c", 1: "b c .wh.a"},
        written="b c",
        fallbacks={0: 1, 1: 1},
    ),
    "target with a long GNU name": Trap(
        layers=[
            Layer(TarFormat.GNU)
            .directory("n" * 90)
            .file(_LONG, b"data", uid=3_000_000)
            .hardlink("b", _LONG, uid=3_000_000)
            .hardlink("c" * 120, _LONG, uid=3_000_000),
            Layer().directory("n" * 90).whiteout(_LONG),
        ],
        tree={
            "n" * 90: directory(),
            **linked(f"b {'c' * 120}", file(b"data", uid=3_000_000)),
        },
        written=f"b {'c' * 120}",
        fallbacks={0: 1},
    ),
    "target with a long pax name": Trap(
        layers=[
            Layer()
            .directory("n" * 90)
            .file(_LONG, b"data", xattrs=_XATTRS)
            .hardlink("b", _LONG)
            .hardlink("c" * 120, _LONG),
            Layer().directory("n" * 90).whiteout(_LONG),
        ],
        tree={"n" * 90: directory(), **linked(f"b {'c' * 120}", file(b"data", xattrs=_XATTRS))},
        written=f"b {'c' * 120}",
        fallbacks={0: 1},
    ),
    "target with a ustar prefix, and a link with one": Trap(
        layers=[
            Layer()
            .directory("n" * 90)
            .raw(Layer(TarFormat.USTAR).file(_LONG, b"data").tar(end_blocks=0))
            .hardlink("b", _LONG),
            Layer(TarFormat.USTAR).file("c", b"more").hardlink("n" * 90 + "/" + "k" * 90, "c"),
            Layer().whiteout(_LONG).whiteout("c"),
        ],
        tree={
            "n" * 90: directory(),
            "n" * 90 + "/" + "k" * 90: file(b"more"),
            "b": file(b"data"),
        },
        written="n" * 90 + "/" + "k" * 90 + " b",
        fallbacks={0: 2, 1: 1},
        seen_by=Seen.UMOCI,
    ),
    "a short name becomes a long one, in each format": Trap(
        layers=[
            Layer(TarFormat.GNU).file("g", b"gnu").hardlink("G" * 101, "g"),
            Layer(TarFormat.PAX).file("p", b"pax").hardlink("P" * 101, "p"),
            Layer(TarFormat.PAX).file("q", b"pax", xattrs=_XATTRS).hardlink("Q" * 101, "q"),
            Layer().whiteout("g").whiteout("p").whiteout("q"),
        ],
        tree={
            "G" * 101: file(b"gnu"),
            "P" * 101: file(b"pax"),
            "Q" * 101: file(b"pax", xattrs=_XATTRS),
        },
        written=f"{'G' * 101} {'P' * 101} {'Q' * 101}",
        fallbacks={0: 3, 1: 2, 2: 1},
    ),
    "a thousand links whose targets are all deleted: read again once": Trap(
        layers=[_environment(_MANY), Layer().whiteout("pkgs")],
        tree={
            "env": directory(),
            **{f"env/{number}": file(b"%d" % number) for number in range(_MANY)},
        },
        entries={1: ".wh.pkgs"},
        written=" ".join(f"env/{number}" for number in range(_MANY)),
        fallbacks={0: 1},
    ),
    "a link before its target in the archive": Trap(
        layers=[Layer().hardlink("b", "a").file("a", b"data")],
        tree=linked("a b", file(b"data")),
        entries={0: "a b"},
        written="b",
        warnings={0: ("points to /a",)},
        seen_by=Seen.NEITHER,
    ),
}
