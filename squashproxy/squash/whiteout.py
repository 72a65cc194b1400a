"""Names with a meaning in layers: whiteouts, opaque markers and aufs leftovers.

See the OCI image specification, layer.md, section Whiteouts.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from squashproxy.archive.path import BadEntry, join

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
_META_PREFIX = b".wh..wh."
_REFUSED = frozenset({b".wh.", b".wh..", b".wh..."})


class Mark(Enum):
    """The meaning of an entry's name."""

    ENTRY = "entry"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    AUFS = "aufs"


class Marked(NamedTuple):
    """A mark, and the path to which it applies."""

    mark: Mark
    path: bytes


def read_mark(path: bytes) -> Marked:
    """The meaning of `path`; raise BadEntry for the names `.wh.`, `.wh..` and `.wh...`.

    containerd refuses these as well (validateWhiteout). What stands in a directory with the name of
    a whiteout is refused, too: unpackers make that directory, but an entry of its own, which the
    output may need, would be the whiteout.
    """
    if PREFIX not in path:
        return Marked(Mark.ENTRY, path)
    parent, _, name = path.rpartition(b"/")
    is_meta = path.startswith(_META_PREFIX) or b"/" + _META_PREFIX in path
    is_opaque = is_meta and name == OPAQUE_NAME and _META_PREFIX not in parent
    if is_meta and not is_opaque:
        return Marked(Mark.AUFS, path)
    if parent.startswith(PREFIX) or b"/" + PREFIX in parent:
        raise BadEntry("stands below a whiteout")
    if is_opaque:
        return Marked(Mark.OPAQUE, parent)
    if not name.startswith(PREFIX):
        return Marked(Mark.ENTRY, path)
    if name in _REFUSED:
        raise BadEntry("is a whiteout of nothing")
    return Marked(Mark.WHITEOUT, join(parent, name.removeprefix(PREFIX)))


def whiteout_path(path: bytes) -> bytes:
    """The path of the whiteout that hides `path`."""
    parent, _, name = path.rpartition(b"/")
    return join(parent, PREFIX + name)


def opaque_path(directory: bytes) -> bytes:
    """The path of the marker that hides what lower layers hold in `directory`."""
    return join(directory, OPAQUE_NAME)
