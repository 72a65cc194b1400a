"""Whiteouts and opaque markers: they act on lower layers only, wherever they stand."""

from __future__ import annotations

from itertools import permutations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, symlink
from tests.squash.trap import Seen, Trap


def _ordered(order: tuple[str, ...]) -> Layer:
    layer = Layer()
    for name in order:
        if name == "opaque":
            layer.opaque("d")
        elif name == "whiteout":
            layer.whiteout("d")
        elif name == "d/":
            layer.directory("d", mode=0o750)
        else:
            layer.file(name, b"new")
    return layer


_AGREED: dict[tuple[str, ...], Seen] = {("whiteout", "d/", "d/y"): Seen.UMOCI}

WHITEOUTS = {
    "of a file": Trap(
        layers=[Layer().file("a", b"a").file("b", b"b"), Layer().whiteout("a")],
        tree={"b": file(b"b")},
        entries={0: "b", 1: ".wh.a"},
    ),
    "of an empty directory": Trap(
        layers=[Layer().directory("d").file("b"), Layer().whiteout("d")],
        tree={"b": file()},
        entries={0: "b", 1: ".wh.d"},
    ),
    "of a directory with everything in it": Trap(
        layers=[
            Layer().directory("d").directory("d/e").file("d/e/x").file("d/y").file("b"),
            Layer().whiteout("d"),
        ],
        tree={"b": file()},
        entries={0: "b", 1: ".wh.d"},
    ),
    "of a file in a directory": Trap(
        layers=[
            Layer().directory("d", mode=0o711).file("d/x").file("d/y"),
            Layer().directory("d", mode=0o711).whiteout("d/x"),
        ],
        tree={"d": directory(mode=0o711), "d/y": file()},
        entries={0: "d/ d/y", 1: "d/ d/.wh.x"},
    ),
    "of a symlink leaves what it points to": Trap(
        layers=[
            Layer().directory("d").file("d/x").symlink("s", "d").symlink("broken", "nowhere"),
            Layer().whiteout("s").whiteout("broken"),
        ],
        tree={"d": directory(), "d/x": file()},
        entries={0: "d/ d/x", 1: ".wh.broken .wh.s"},
    ),
    "of what begins like another name": Trap(
        layers=[
            Layer().file("a").file("ab").directory("d").file("d/x").directory("dd").file("dd/x"),
            Layer().whiteout("a").whiteout("d"),
        ],
        tree={"ab": file(), "dd": directory(), "dd/x": file()},
        entries={0: "ab dd/ dd/x", 1: ".wh.a .wh.d"},
    ),
    "of what no layer has": Trap(
        layers=[Layer().file("b"), Layer().whiteout("a").file("c")],
        tree={"b": file(), "c": file()},
        entries={0: "c b", 1: "c .wh.a"},
    ),
    "twice, in two layers: once in the result": Trap(
        layers=[Layer().file("a").file("k"), Layer().whiteout("a"), Layer().whiteout("a")],
        tree={"k": file()},
        entries={0: "k", 1: ".wh.a", 2: ".wh.a"},
    ),
    "with content of its own": Trap(
        layers=[Layer().file("a").file("k"), Layer().file(".wh.a", b"x" * 1000).file("z")],
        tree={"k": file(), "z": file()},
        entries={0: "z k", 1: "z .wh.a"},
    ),
    "made again in the next layer": Trap(
        layers=[
            Layer().file("a", b"old"),
            Layer().whiteout("a"),
            Layer().file("a", b"new", mode=0o600),
        ],
        tree={"a": file(b"new", mode=0o600)},
        entries={0: "a", 1: "a", 2: "a"},
    ),
    "a directory deleted and made again in the next layer": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().whiteout("d"),
            Layer().directory("d", mode=0o700).file("d/y"),
        ],
        tree={"d": directory(mode=0o700), "d/y": file()},
        entries={0: "d/ d/y", 1: "d/ d/.wh..wh..opq d/y", 2: "d/ d/y"},
        fallbacks={1: 1},
    ),
    "modified, then removed": Trap(
        layers=[Layer().file("a", b"1").file("k"), Layer().file("a", b"2"), Layer().whiteout("a")],
        tree={"k": file()},
        entries={0: "k", 1: ".wh.a", 2: ".wh.a"},
        fallbacks={},
    ),
    "removed, then modified many times": Trap(
        layers=[
            Layer().file("a", b"1"),
            Layer().whiteout("a"),
            Layer().file("a", b"2"),
            Layer().whiteout("a"),
            Layer().file("a", b"3"),
            Layer().file("a", b"4"),
        ],
        tree={"a": file(b"4")},
        entries={0: "a", 1: "a", 3: "a"},
    ),
    "in a directory that an upper layer deletes": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("d/y").file("k"),
            Layer().directory("d").whiteout("d/x"),
            Layer().whiteout("d"),
        ],
        tree={"k": file()},
        entries={0: "k", 1: ".wh.d", 2: ".wh.d"},
    ),
    "removal of directories, level by level": Trap(
        layers=[
            Layer().directory("d").directory("d/e").directory("d/e/f").file("d/e/f/x"),
            Layer().directory("d").directory("d/e").directory("d/e/f").whiteout("d/e/f/x"),
            Layer().directory("d").directory("d/e").whiteout("d/e/f"),
            Layer().directory("d").whiteout("d/e"),
        ],
        tree={"d": directory()},
        fallbacks={1: 1, 2: 1},
        entries={0: "d/", 1: "d/ d/.wh.e", 2: "d/ d/.wh.e", 3: "d/ d/.wh.e"},
    ),
    "an opaque marker without an entry for its directory": Trap(
        layers=[
            Layer().directory("d", mode=0o700, uid=3).file("d/x"),
            Layer().opaque("d").file("d/y"),
        ],
        tree={"d": directory(mode=0o700, uid=3), "d/y": file()},
        entries={0: "d/y d/", 1: "d/.wh..wh..opq d/y"},
        seen_by=Seen.UMOCI,
    ),
    "an opaque marker of a directory that no layer describes": Trap(
        layers=[Layer().file("k"), Layer().opaque("d").file("d/y")],
        tree={"k": file(), "d": directory(mtime=0), "d/y": file()},
        bare="d",
        seen_by=Seen.NEITHER,
    ),
    "opaque in two layers": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().directory("d").opaque("d").file("d/y"),
            Layer().directory("d").opaque("d").file("d/z"),
        ],
        tree={"d": directory(), "d/z": file()},
        entries={0: "d/ d/z", 1: "d/ d/.wh..wh..opq d/z", 2: "d/ d/.wh..wh..opq d/z"},
    ),
    "opaque in the middle, more on top": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("d/k", b"old"),
            Layer().directory("d").opaque("d").file("d/y"),
            Layer().directory("d").file("d/z").file("d/k", b"new"),
        ],
        tree={"d": directory(), "d/y": file(), "d/z": file(), "d/k": file(b"new")},
        entries={0: "d/ d/z d/k d/y", 1: "d/ d/.wh..wh..opq d/z d/k d/y"},
        fallbacks={1: 1},
    ),
    "opaque below opaque": Trap(
        layers=[
            Layer().directory("d").directory("d/e").file("d/e/x").file("d/x"),
            Layer().directory("d").directory("d/e").opaque("d/e").file("d/e/y"),
            Layer().directory("d").opaque("d").directory("d/e").file("d/e/z"),
        ],
        tree={"d": directory(), "d/e": directory(), "d/e/z": file()},
        entries={1: "d/ d/.wh..wh..opq d/e/ d/e/z", 2: "d/ d/.wh..wh..opq d/e/ d/e/z"},
    ),
    "opaque and a whiteout in one directory of one layer": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("d/y"),
            Layer().directory("d").opaque("d").whiteout("d/x").file("d/z"),
        ],
        tree={"d": directory(), "d/z": file()},
        entries={0: "d/ d/z", 1: "d/ d/.wh..wh..opq d/z"},
        seen_by=Seen.UMOCI,
    ),
    "opaque of a directory that is hidden": Trap(
        layers=[
            Layer().directory("d").file("d/x").file("k"),
            Layer().directory("d").opaque("d").file("d/y"),
            Layer().whiteout("d"),
        ],
        tree={"k": file()},
        entries={0: "k", 1: ".wh.d", 2: ".wh.d"},
    ),
    "opaque of what became a file": Trap(
        layers=[
            Layer().directory("d").file("d/x"),
            Layer().directory("d").opaque("d").file("d/y"),
            Layer().file("d", b"file"),
        ],
        tree={"d": file(b"file")},
        entries={0: "d", 1: "d", 2: "d"},
    ),
    "opaque root": Trap(
        layers=[
            Layer().directory("./").file("a").directory("d").file("d/x"),
            Layer().directory("./").opaque("./").file("b"),
        ],
        tree={"": directory(), "b": file()},
        entries={1: "./ ./.wh..wh..opq b"},
    ),
    "opaque root without an entry": Trap(
        layers=[Layer().file("a").directory("d").file("d/x"), Layer().opaque("").file("b")],
        tree={"b": file()},
        entries={0: "b", 1: ".wh..wh..opq b"},
    ),
    "explicit whiteouts of all children, then new ones": Trap(
        layers=[
            Layer().directory("d").file("d/x").directory("d/e").file("d/e/x"),
            Layer().directory("d").whiteout("d/x").whiteout("d/e").file("d/n"),
        ],
        tree={"d": directory(), "d/n": file()},
        entries={0: "d/ d/n", 1: "d/ d/n d/.wh.e d/.wh.x"},
    ),
    **{
        f"opaque marker, order {' '.join(order)}": Trap(
            layers=[
                Layer().directory("d").file("d/x").file("d/z", b"old"),
                _ordered(order),
            ],
            tree={"d": directory(mode=0o750), "d/y": file(b"new"), "d/z": file(b"new")},
        )
        for order in permutations(("opaque", "d/y", "d/z"))
        for order in (("d/", *order),)
    },
    **{
        f"whiteout and directory in one layer, order {' '.join(order)}": Trap(
            layers=[Layer().directory("d").file("d/x").file("k"), _ordered(order)],
            tree={"d": directory(mode=0o750), "d/y": file(b"new"), "k": file()},
            seen_by=_AGREED.get(order, Seen.NEITHER),
        )
        for order in permutations(("whiteout", "d/", "d/y"))
    },
    "a whiteout and a file of the same name in one layer": Trap(
        layers=[Layer().file("a", b"old"), Layer().whiteout("a").file("a", b"new")],
        tree={"a": file(b"new")},
        entries={0: "a", 1: "a"},
        seen_by=Seen.UMOCI,
    ),
    "a file and its whiteout in one layer": Trap(
        layers=[Layer().file("a", b"old"), Layer().file("a", b"new").whiteout("a")],
        tree={"a": file(b"new")},
        entries={0: "a", 1: "a"},
        seen_by=Seen.NEITHER,
    ),
    "a whiteout and a symlink in place of a directory": Trap(
        layers=[
            Layer().directory("d").file("d/x").directory("e"),
            Layer().whiteout("d").symlink("d", "e"),
        ],
        tree={"d": symlink("e"), "e": directory()},
        entries={0: "d e/", 1: "d"},
        seen_by=Seen.UMOCI,
    ),
}
