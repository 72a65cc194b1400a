"""What aufs left in layers of old builders: link stores and markers, never wanted in an image."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, linked
from tests.squash.trap import Seen, Trap


def _with_plnk() -> Layer:
    return (
        Layer()
        .file(".wh..wh.aufs")
        .directory(".wh..wh.orph")
        .file(".wh..wh.orph/lost", b"lost")
        .directory(".wh..wh.plnk")
        .file(".wh..wh.plnk/123.456", b"data", mode=0o640)
    )


LEFTOVERS = {
    "markers and stores go": Trap(
        layers=[_with_plnk().file("k"), Layer().file("top")],
        tree={"k": file(), "top": file()},
        kept=(0,),
        entries={0: "top k"},
        seen_by=Seen.NEITHER,
    ),
    "links into the store become files": Trap(
        layers=[_with_plnk().hardlink("b", ".wh..wh.plnk/123.456", mode=0o640)],
        tree={"b": file(b"data", mode=0o640)},
        entries={0: "b"},
        written="b",
        fallbacks={0: 1},
        seen_by=Seen.NEITHER,
    ),
    "links into the store stay one group": Trap(
        layers=[
            _with_plnk()
            .hardlink("a", ".wh..wh.plnk/123.456", mode=0o640)
            .hardlink("b", ".wh..wh.plnk/123.456", mode=0o640)
            .hardlink("c", "b", mode=0o640),
            Layer().file("a", b"new"),
        ],
        tree={"a": file(b"new"), **linked("b c", file(b"data", mode=0o640))},
        kept=(0,),
        written="b c",
        fallbacks={0: 1},
        seen_by=Seen.NEITHER,
    ),
    "above a base": Trap(
        layers=[
            Layer().file("a", b"base"),
            _with_plnk().hardlink("b", ".wh..wh.plnk/123.456", mode=0o640).whiteout("a"),
        ],
        tree={"b": file(b"data", mode=0o640)},
        entries={1: "b .wh.a"},
        written="b",
        fallbacks={0: 1, 1: 1},
        seen_by=Seen.NEITHER,
    ),
    "in a directory": Trap(
        layers=[
            Layer().directory("d").directory("d/.wh..wh.orph").file("d/.wh..wh.orph/x").file("d/k")
        ],
        tree={"d": directory(), "d/k": file()},
        entries={0: "d/ d/k"},
        seen_by=Seen.NEITHER,
    ),
    "nothing else in the layer": Trap(
        layers=[Layer().file("k"), _with_plnk()],
        tree={"k": file()},
        entries={0: "k", 1: ""},
        seen_by=Seen.NEITHER,
    ),
}
