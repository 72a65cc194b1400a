"""Random tars: every kind of entry, in every format, written by our builder or by tarfile."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

from hypothesis import strategies as st

from squashproxy.testing import LayerBuilder, SparseForm, TarFormat

_TARFILE_FORMATS = {
    TarFormat.USTAR: tarfile.USTAR_FORMAT,
    TarFormat.GNU: tarfile.GNU_FORMAT,
    TarFormat.PAX: tarfile.PAX_FORMAT,
}
_KINDS = ("file", "directory", "symlink", "hard link", "fifo", "device", "sparse", "old file")
_LARGEST = 1 << 14


@dataclass(frozen=True, slots=True)
class Plan:
    """What one entry shall be."""

    kind: str
    name: str
    target: str
    data: bytes
    uid: int
    mtime: int
    xattr: bytes
    sparse: SparseForm
    segments: int


def _names(longest: int) -> st.SearchStrategy[str]:
    part = st.text("abc.é\udcff", min_size=1, max_size=longest).map(lambda text: f"n{text}")
    return st.lists(part, min_size=1, max_size=4).map("/".join)


def _plans() -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        kind=st.sampled_from(_KINDS),
        name=_names(8) | _names(60),
        target=_names(8) | _names(60),
        data=st.binary(max_size=1200),
        uid=st.sampled_from([0, 1000, 1 << 30]),
        mtime=st.sampled_from([0, 1_700_000_000, 1 << 34, -3]),
        xattr=st.sampled_from([b"", b"1\n2=3", b"x" * 1000]),
        sparse=st.sampled_from(SparseForm),
        segments=st.integers(0, 30),
    )


def _built(form: TarFormat, plans: list[Plan], end_blocks: int) -> bytes:
    layer = LayerBuilder(form)
    for number, plan in enumerate(plans):
        _add(layer, form, plan, f"{number}")
    return layer.tar(end_blocks=end_blocks)


def _add(layer: LayerBuilder, form: TarFormat, plan: Plan, unique: str) -> None:
    is_ustar = form is TarFormat.USTAR
    name, target = f"{plan.name}{unique}", plan.target
    uid, mtime = plan.uid, plan.mtime
    if is_ustar:
        name, target, uid, mtime = name.encode()[-99:].decode(), target[:40], 5, 6
    xattrs = {"user.x": plan.xattr} if plan.xattr else {}
    match plan.kind:
        case "directory":
            layer.directory(name, uid=uid, mtime=mtime, xattrs=xattrs)
        case "symlink":
            layer.symlink(name, target, uid=uid, mtime=mtime)
        case "hard link":
            layer.hardlink(name, target, uid=uid, mtime=mtime, xattrs=xattrs)
        case "fifo":
            layer.fifo(name, mode=0o600, uid=uid)
        case "device":
            layer.device(name, 1, 3, uid=uid)
        case "sparse":
            segments = [(at * 1024, b"%04d" % at) for at in range(plan.segments)]
            layer.sparse(name, segments, 40_000, plan.sparse, mode=0o640)
        case _:
            layer.file(name, plan.data, uid=uid, mtime=mtime, xattrs=xattrs)


def _written(form: TarFormat, plans: list[Plan]) -> bytes:
    """The same by tarfile, as far as it can write it."""
    buffer = io.BytesIO()
    types = {"directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "fifo": tarfile.FIFOTYPE}
    types |= {"hard link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "old file": tarfile.AREGTYPE}
    with tarfile.open(
        fileobj=buffer, mode="w", format=_TARFILE_FORMATS[form], encoding="utf-8"
    ) as archive:
        for number, plan in enumerate(plans):
            info = tarfile.TarInfo(f"{plan.name}{number}")
            info.type = types.get(plan.kind, tarfile.REGTYPE)
            info.linkname = plan.target if plan.kind in ("symlink", "hard link") else ""
            info.uid, info.mtime = plan.uid, plan.mtime
            if form is TarFormat.USTAR:
                info.name = info.name.encode()[-99:].decode()
                info.linkname, info.uid, info.mtime = info.linkname[:40], 5, 6
            if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                info.size = len(plan.data)
            archive.addfile(info, io.BytesIO(plan.data))
    return buffer.getvalue()


@st.composite
def tars(draw: st.DrawFn, form: TarFormat | None = None) -> bytes:
    """A tar with up to six entries; a well-formed one, with or without an end."""
    form = form or draw(st.sampled_from(TarFormat))
    plans = draw(st.lists(_plans(), max_size=6))
    if form is TarFormat.USTAR:
        plans = [plan for plan in plans if plan.name.isascii() and plan.target.isascii()]
    if draw(st.booleans()):
        return _written(form, plans)
    return _built(form, plans, draw(st.integers(0, 3)))


def cuts(tar: bytes) -> st.SearchStrategy[list[int]]:
    """Places to cut a tar into chunks."""
    return st.lists(st.integers(0, len(tar)), max_size=12)
