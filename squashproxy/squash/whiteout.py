"""Names that mean something to layers: whiteouts, opaque markers, and what aufs left behind."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from squashproxy.archive.path import BadEntry, join

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
_META_PREFIX = b".wh..wh."
_REFUSED = frozenset({b".wh.", b".wh..", b".wh..."})


class Mark(Enum):
    """What a path stands for."""

    ENTRY = "entry"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    AUFS = "aufs"


class Marked(NamedTuple):
    """A mark, and the path that it is about."""

    mark: Mark
    path: bytes


def read_mark(path: bytes) -> Marked:
    """What `path` stands for; raise BadEntry for `.wh.` with nothing, `.` or `..` behind it.

    containerd refuses these names as well (validateWhiteout).
    """
    parent, _, name = path.rpartition(b"/")
    if path.startswith(_META_PREFIX) or b"/" + _META_PREFIX in path:
        opaque = name == OPAQUE_NAME and _META_PREFIX not in parent
        return Marked(Mark.OPAQUE, parent) if opaque else Marked(Mark.AUFS, path)
    if not name.startswith(PREFIX):
        return Marked(Mark.ENTRY, path)
    if name in _REFUSED:
        raise BadEntry("is a whiteout of nothing")
    return Marked(Mark.WHITEOUT, join(parent, name.removeprefix(PREFIX)))


def whiteout_path(path: bytes) -> bytes:
    """The entry that hides `path`."""
    parent, _, name = path.rpartition(b"/")
    return join(parent, PREFIX + name)


def opaque_path(directory: bytes) -> bytes:
    """The entry that hides what lower layers hold in `directory`."""
    return join(directory, OPAQUE_NAME)
