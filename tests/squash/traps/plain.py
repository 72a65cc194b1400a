"""What is no trap at all, and layers with nothing in them."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, symlink
from tests.squash.trap import Trap

_EMPTY = Layer()

PLAIN = {
    "one layer comes out as it went in": Trap(
        layers=[Layer().directory("d").file("d/x", b"x").symlink("s", "d").file("a", b"a" * 3000)],
        tree={
            "d": directory(),
            "d/x": file(b"x"),
            "s": symlink("d"),
            "a": file(b"a" * 3000),
        },
        entries={0: "d/ d/x s a"},
    ),
    "layers with nothing in common": Trap(
        layers=[Layer().file("a", b"1"), Layer().file("b", b"2"), Layer().file("c", b"3")],
        tree={"a": file(b"1"), "b": file(b"2"), "c": file(b"3")},
        entries={0: "c b a", 1: "c b", 2: "c"},
    ),
    "a file changed by every layer": Trap(
        layers=[Layer().file("a", b"%d" % number) for number in range(5)],
        tree={"a": file(b"4")},
        entries=dict.fromkeys(range(5), "a"),
    ),
    "empty layers between": Trap(
        layers=[_EMPTY, Layer().file("a"), _EMPTY, _EMPTY, Layer().file("b"), _EMPTY],
        tree={"a": file(), "b": file()},
        entries={0: "b a", 1: "b a", 2: "b", 4: "b", 5: ""},
    ),
    "nothing but empty layers": Trap(
        layers=[_EMPTY, _EMPTY],
        tree={},
        entries={0: "", 1: ""},
    ),
    "everything deleted": Trap(
        layers=[
            Layer().file("a").directory("d").file("d/x"),
            Layer().whiteout("a").whiteout("d"),
        ],
        tree={},
        entries={0: "", 1: ".wh.a .wh.d"},
    ),
    "everything deleted by an opaque root": Trap(
        layers=[Layer().file("a").directory("d").file("d/x"), Layer().opaque("")],
        tree={},
        entries={0: "", 1: ".wh..wh..opq"},
    ),
    "files of every size around a block": Trap(
        layers=[
            Layer()
            .file("0")
            .file("1", b"1")
            .file("511", b"2" * 511)
            .file("512", b"3" * 512)
            .file("513", b"4" * 513)
            .file("5000", b"5" * 5000),
            Layer().whiteout("511").whiteout("513"),
        ],
        tree={
            "0": file(),
            "1": file(b"1"),
            "512": file(b"3" * 512),
            "5000": file(b"5" * 5000),
        },
        entries={0: "0 1 512 5000"},
    ),
    "a file whose content looks like a tar": Trap(
        layers=[
            Layer().file("a", Layer().file("inner").whiteout("k").tar()).file("k", b"k"),
            Layer().file("top"),
        ],
        tree={
            "a": file(Layer().file("inner").whiteout("k").tar()),
            "k": file(b"k"),
            "top": file(),
        },
    ),
}
