"""Names of tar entries in layers: their normalised form, and the meaning of `.wh.`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PREFIX = b".wh."
_AUFS_PREFIX = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_NOTHING = frozenset({b"", b".", b".."})


class BadName(Exception):
    """A refused name. Its text completes a sentence that begins with the name."""


class Mark(Enum):
    """The meaning of a name in a layer."""

    ENTRY = "entry"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    AUFS = "aufs"


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark, and the path that it applies to."""

    mark: Mark
    path: bytes


def normalise(name: bytes) -> bytes:
    """`name` without leading `/` and `./`, without `//`; the root is empty.

    A `..` takes back the name before it, as docker, podman and umoci read it, without looking at
    what is there. Raises BadName for a name that leads out of the image.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BadName("leads out of the image with '..'")
            del parts[-1]
        elif part not in (b"", b"."):
            parts.append(part)
    if b"\0" in name:
        raise BadName("holds a NUL byte")
    return b"/".join(parts)


def goes_back(name: bytes) -> bool:
    """Whether a `..` stands in `name`."""
    return b".." in name.split(b"/")


def read_mark(path: bytes) -> Marked:
    """The meaning of a normalised `path`. Raises BadName for a whiteout without a name."""
    if b".wh." not in path:
        return Marked(Mark.ENTRY, path)
    parent, _, name = path.rpartition(b"/")
    if any(part.startswith(_AUFS_PREFIX) for part in parent.split(b"/")):
        return Marked(Mark.AUFS, path)
    if name == _OPAQUE:
        return Marked(Mark.OPAQUE, parent)
    if name.startswith(_AUFS_PREFIX):
        return Marked(Mark.AUFS, path)
    if not name.startswith(_PREFIX):
        return Marked(Mark.ENTRY, path)
    hidden = name.removeprefix(_PREFIX)
    if hidden in _NOTHING:
        raise BadName("is a whiteout of nothing")
    return Marked(Mark.WHITEOUT, parent + b"/" + hidden if parent else hidden)


def shown(path: bytes) -> str:
    """`path` for people, with a leading slash; bytes that are no text are escaped."""
    return "/" + path.decode("utf-8", "backslashreplace")
