"""Names: prefixes, odd bytes, long ones, and those that only look like whiteouts."""

from __future__ import annotations

from squashproxy.testing import LayerBuilder as Layer
from squashproxy.testing import TarFormat
from tests.squash.nodes import directory, file, linked, symlink
from tests.squash.trap import Seen, Trap

_LONG = "d" * 100 + "/" + "f" * 120

NAMES = {
    "the same path with other prefixes in each layer": Trap(
        layers=[
            Layer().file("/a", b"old").file("./b", b"old").directory("d").file("d//c", b"old"),
            Layer().file("./a", b"new").file("/b", b"new").directory("./d").file("/./d/c", b"new"),
        ],
        tree={
            "a": file(b"new"),
            "b": file(b"new"),
            "d": directory(),
            "d/c": file(b"new"),
        },
        entries={0: "./a /b ./d/ /./d/c"},
    ),
    "whiteouts with other prefixes": Trap(
        layers=[
            Layer().file("/a").file("b").directory("./d/").file("./d/x").file("k"),
            Layer().whiteout("./a").whiteout("/b").directory("d").whiteout("d//x"),
        ],
        tree={"d": directory(), "k": file()},
        entries={0: "d/ k", 1: "d/ .wh.a .wh.b d/.wh.x"},
    ),
    "an opaque marker with another prefix": Trap(
        layers=[
            Layer().directory("/d").file("/d/x"),
            Layer().directory("d").opaque("./d").file(".//d/y"),
        ],
        tree={"d": directory(), "d/y": file()},
        entries={0: "d/ .//d/y"},
    ),
    "link targets with other prefixes": Trap(
        layers=[
            Layer().file("a", b"data").hardlink("b", "./a").hardlink("c", "/a"),
            Layer().file("k"),
        ],
        tree={**linked("a b c", file(b"data")), "k": file()},
    ),
    "link targets with other prefixes, target deleted": Trap(
        layers=[
            Layer().file("./a", b"data").hardlink("./b", "/a").hardlink("/c", "./a"),
            Layer().whiteout("a"),
        ],
        tree=linked("b c", file(b"data")),
        written="b c",
        fallbacks={0: 1},
    ),
    "`.wh.` in the middle of a name": Trap(
        layers=[
            Layer().file("foo.wh.bar", b"1").file("foo.wh..wh..opq").file("bar").file("opq"),
            Layer().file("x.wh.", b"2").directory("d.wh.d").file("d.wh.d/k"),
        ],
        tree={
            "foo.wh.bar": file(b"1"),
            "foo.wh..wh..opq": file(),
            "bar": file(),
            "opq": file(),
            "x.wh.": file(b"2"),
            "d.wh.d": directory(),
            "d.wh.d/k": file(),
        },
    ),
    "a whiteout of a name with `.wh.` in the middle": Trap(
        layers=[
            Layer().file("foo.wh.bar", b"1").file("bar"),
            Layer().whiteout("foo.wh.bar"),
        ],
        tree={"bar": file()},
        entries={0: "bar", 1: ".wh.foo.wh.bar"},
    ),
    "names that look like `.` and `..`": Trap(
        layers=[Layer().file("...").file("..a").file("a..").file(".a").file("a.").directory("d..")],
        tree={
            **dict.fromkeys(("...", "..a", "a..", ".a", "a."), file()),
            "d..": directory(),
        },
    ),
    "bytes that are not UTF-8": Trap(
        layers=[
            Layer().file(b"\xff\xfe", b"old").file(b"caf\xe9", b"latin").hardlink("l", b"caf\xe9"),
            Layer().file(b"\xff\xfe", b"new").whiteout(b"caf\xe9"),
        ],
        tree={b"\xff\xfe": file(b"new"), "l": file(b"latin")},
        written="l",
        fallbacks={0: 1},
        seen_by=Seen.BOTH,
    ),
    "composed and decomposed letters are two names": Trap(
        layers=[
            Layer().file("caf\u00e9", b"composed").file("cafe\u0301", b"decomposed"),
            Layer().whiteout("caf\u00e9"),
        ],
        tree={"cafe\u0301": file(b"decomposed")},
        entries={1: ".wh.caf\u00e9"},
    ),
    "spaces, line feeds, backslashes, stars": Trap(
        layers=[
            Layer().file("a b", b"1").file("a\nb", b"2").file("a\\b", b"3").file("*", b"4"),
            Layer().whiteout("a\nb").file("a\\b", b"5"),
        ],
        tree={"a b": file(b"1"), "a\\b": file(b"5"), "*": file(b"4")},
    ),
    "capitals are other names": Trap(
        layers=[Layer().file("A", b"1").file("a", b"2"), Layer().whiteout("A")],
        tree={"a": file(b"2")},
    ),
    **{
        f"long names in {form.value} headers, in the layer below in another form": Trap(
            layers=[
                Layer(other)
                .directory("d" * 100)
                .file(_LONG, b"old")
                .symlink("s", "t" * 150, mode=0o777)
                .file("d" * 100 + "/" + "g" * 120, b"kept")
                .hardlink("h", "d" * 100 + "/" + "g" * 120),
                Layer(form).directory("d" * 100).file(_LONG, b"new"),
            ],
            tree={
                "d" * 100: directory(),
                _LONG: file(b"new"),
                "s": symlink("t" * 150),
                **linked("h " + "d" * 100 + "/" + "g" * 120, file(b"kept")),
            },
            entries={1: f"{'d' * 100}/ {_LONG}"},
        )
        for form, other in (
            (TarFormat.GNU, TarFormat.PAX),
            (TarFormat.PAX, TarFormat.GNU),
        )
    },
    "a whiteout of a long name": Trap(
        layers=[
            Layer().directory("d" * 100).file(_LONG).file("k"),
            Layer(TarFormat.GNU).directory("d" * 100).whiteout(_LONG),
        ],
        tree={"d" * 100: directory(), "k": file()},
        entries={1: f"{'d' * 100}/ {'d' * 100}/.wh.{'f' * 120}"},
    ),
    "a name that just fits the header, and one that does not": Trap(
        layers=[
            Layer(TarFormat.GNU).file("a" * 100, b"1").file("b" * 101, b"2"),
            Layer(TarFormat.PAX).file("c" * 100, b"1").file("e" * 101, b"2"),
            Layer().whiteout("a" * 95).file("k"),
        ],
        tree={
            "a" * 100: file(b"1"),
            "b" * 101: file(b"2"),
            "c" * 100: file(b"1"),
            "e" * 101: file(b"2"),
            "k": file(),
        },
    ),
}
