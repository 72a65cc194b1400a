"""Extension headers and odd fields: they belong to one entry, and stay with it bit for bit."""

from __future__ import annotations

from squashproxy.testing import Header, TarFormat
from squashproxy.testing import LayerBuilder as Layer
from tests.squash.nodes import directory, file, symlink
from tests.squash.trap import Seen, Trap

_XATTRS = {
    "security.capability": b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12),
    "user.binary": b"\0first\nsecond=\xff\xfe",
    "user.number": b"27 mtime=1\n",
}

HEADERS = {
    "extended attributes with NUL, line feed and equals signs": Trap(
        layers=[
            Layer().file("a", b"old", xattrs={"user.old": b"1"}).file("k", b"k", xattrs=_XATTRS),
            Layer().file("a", b"new", xattrs=_XATTRS).directory("d", xattrs={"user.d": b"\n"}),
        ],
        tree={
            "a": file(b"new", xattrs=_XATTRS),
            "k": file(b"k", xattrs=_XATTRS),
            "d": directory(xattrs={"user.d": b"\n"}),
        },
    ),
    "an extended attribute without a value, which Go's tar reader leaves out": Trap(
        layers=[Layer().file("a", xattrs={"user.empty": b""}), Layer().file("k")],
        tree={"a": file(xattrs={"user.empty": b""}), "k": file()},
        shows=False,
    ),
    "extended attributes that the upper file does not have": Trap(
        layers=[
            Layer().file("a", b"old", xattrs=_XATTRS).directory("d", xattrs={"user.d": b"1"}),
            Layer().file("a", b"new").directory("d"),
        ],
        tree={"a": file(b"new"), "d": directory()},
    ),
    "extensions of a hidden entry go with it": Trap(
        layers=[
            Layer().file("x" * 150, b"1", xattrs=_XATTRS).file("k", b"k"),
            Layer(TarFormat.GNU).file("y" * 150, b"2").symlink("s", "t" * 150).file("l", b"l"),
            Layer().whiteout("x" * 150).whiteout("y" * 150).whiteout("s"),
        ],
        tree={"k": file(b"k"), "l": file(b"l")},
        entries={0: "l k"},
    ),
    "a global header acts on nothing and does not leak": Trap(
        layers=[
            Layer().file("low", b"low"),
            Layer()
            .global_pax_header({"comment": "an archive of git"})
            .file("a", b"a")
            .global_pax_header({"comment": "another"})
            .file("b", b"b"),
            Layer().file("top", b"top"),
        ],
        tree={name: file(name.encode()) for name in ("low", "a", "b", "top")},
        entries={0: "top a b low", 1: "top a b"},
    ),
    "a global header at the end, and nothing else": Trap(
        layers=[
            Layer().file("k"),
            Layer().global_pax_header({"comment": "nothing follows"}),
        ],
        tree={"k": file()},
        entries={0: "k", 1: ""},
        alone=True,
        seen_by=Seen.OVERLAY,
    ),
    "times with fractions and far ahead": Trap(
        layers=[
            Layer().file("a", mtime=1234567890.25).file("b", mtime=8_589_934_592.0),
            Layer(TarFormat.GNU).file("c", mtime=8_589_934_593.0),
        ],
        tree={
            "a": file(mtime=1234567890.25),
            "b": file(mtime=8_589_934_592.0),
            "c": file(mtime=8_589_934_593.0),
        },
    ),
    "a time before 1970, which containers/storage does not set": Trap(
        layers=[
            Layer(TarFormat.GNU).file("a", mtime=-1.0),
            Layer(TarFormat.PAX).file("b", mtime=-1.0),
        ],
        tree={"a": file(mtime=-1.0), "b": file(mtime=-1.0)},
        shows=False,
    ),
    "owners beyond eight octal digits, in both forms": Trap(
        layers=[
            Layer(TarFormat.GNU).file("a", uid=2_200_000, gid=3_000_000_000).file("k"),
            Layer(TarFormat.PAX).file("b", uid=2_200_000, gid=3_000_000_000),
        ],
        tree={
            "a": file(uid=2_200_000, gid=3_000_000_000),
            "b": file(uid=2_200_000, gid=3_000_000_000),
            "k": file(),
        },
    ),
    "set-id and sticky bits, and no bits at all": Trap(
        layers=[
            Layer().file("a", mode=0o6755).directory("d", mode=0o3777).file("b", mode=0o000),
            Layer().file("k"),
        ],
        tree={
            "a": file(mode=0o6755),
            "d": directory(mode=0o3777),
            "b": file(mode=0),
            "k": file(),
        },
    ),
    "regular files in the old way: a NUL as type, a slash for directories": Trap(
        layers=[
            Layer()
            .entry(Header(b"d/", b"\0", mode=0o755, mtime=1_700_000_000))
            .entry(Header(b"d/x", b"\0", size=4, mtime=1_700_000_000), b"data"),
            Layer().directory("d").file("d/y"),
        ],
        tree={"d": directory(), "d/x": file(b"data"), "d/y": file()},
    ),
    "a record size of 10,240 bytes, as GNU tar writes": Trap(
        layers=[
            Layer().file("a", b"1" * 700).raw(bytes(9216)),
            Layer().file("b", b"2" * 700).raw(bytes(9216)),
        ],
        tree={"a": file(b"1" * 700), "b": file(b"2" * 700)},
        entries={0: "b a"},
    ),
    "symlinks with odd targets": Trap(
        layers=[
            Layer()
            .symlink("dot", ".")
            .symlink("up", "../../..")
            .symlink("root", "/")
            .symlink("self", "self")
            .symlink("slashes", "//a//b/"),
            Layer().file("k"),
        ],
        tree={
            "dot": symlink("."),
            "up": symlink("../../.."),
            "root": symlink("/"),
            "self": symlink("self"),
            "slashes": symlink("//a//b/"),
            "k": file(),
        },
    ),
}
