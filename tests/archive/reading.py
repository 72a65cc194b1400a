"""Reading for tests: tars as Python's tarfile, which shares no code with the scanner, sees them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from squashproxy.archive.path import normalise

END = bytes(1024)
_HEADER_ONLY = (b"1", b"2", b"3", b"4", b"5", b"6")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry; `start` and `stop` are its place in the tar, headers and padding included."""

    path: bytes
    kind: bytes
    link: bytes
    start: int
    stop: int
    content: bytes | None
    attributes: Mapping[str, object]


def read(tar: bytes) -> list[Member]:
    """All entries of a tar, whether it has an end or not."""
    with tarfile.open(
        fileobj=io.BytesIO(tar + END), mode="r:", errors="surrogateescape", encoding="utf-8"
    ) as archive:
        infos = archive.getmembers()
        starts = [info.offset for info in infos]
        stops = [*starts[1:], archive.offset][: len(starts)]
        return [
            Member(
                _path(info),
                b"0" if info.type in (tarfile.AREGTYPE, tarfile.CONTTYPE) else info.type,
                _link(info),
                start,
                stop,
                _content(archive, info),
                _attributes(info),
            )
            for info, start, stop in zip(infos, starts, stops, strict=True)
        ]


def names(tar: bytes) -> list[str]:
    """The names in a tar, as text."""
    return [member.path.decode() for member in read(tar)]


def _path(info: tarfile.TarInfo) -> bytes:
    return normalise(info.name.encode("utf-8", "surrogateescape"))


def _link(info: tarfile.TarInfo) -> bytes:
    link = info.linkname.encode("utf-8", "surrogateescape")
    if info.type == tarfile.LNKTYPE:
        return normalise(link)
    return link if info.type == tarfile.SYMTYPE else b""


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes | None:
    if info.type in _HEADER_ONLY:
        return None
    file = archive.extractfile(info)
    assert file is not None
    return file.read()


def _attributes(info: tarfile.TarInfo) -> dict[str, object]:
    """Everything but the name."""
    headers = cast(dict[str, str], info.pax_headers)
    renamed = ("path", "linkpath", "GNU.sparse.name")
    return {
        "mode": info.mode,
        "uid": info.uid,
        "gid": info.gid,
        "mtime": info.mtime,
        "uname": info.uname,
        "gname": info.gname,
        "device": (info.devmajor, info.devminor),
        "size": info.size,
        "map": getattr(info, "sparse", None),
        "records": {key: value for key, value in headers.items() if key not in renamed},
    }
