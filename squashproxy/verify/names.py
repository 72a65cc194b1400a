"""Names of tar entries as layers use them: one form, and what `.wh.` makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PREFIX = b".wh."
_AUFS_PREFIX = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_NOTHING = frozenset({b"", b".", b".."})


class BadName(Exception):
    """What is wrong with an entry's name: the rest of a sentence that begins with it."""


class Mark(Enum):
    """What a name in a layer stands for."""

    ENTRY = "entry"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    AUFS = "aufs"


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark, and the path that it is about."""

    mark: Mark
    path: bytes


def normalise(name: bytes) -> bytes:
    """`name` without leading `/` and `./`, without `//`; the root is empty. Raises BadName."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadName("leads out of the image with '..'")
    if b"\0" in name:
        raise BadName("holds a NUL byte")
    return b"/".join(parts)


def read_mark(path: bytes) -> Marked:
    """What a normalised `path` stands for; raise BadName for a whiteout of nothing."""
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
    """`path` for people, with its slash, whatever is not text escaped."""
    return "/" + path.decode("utf-8", "backslashreplace")
