"""Names of tar entries in layers: their normalised form, and the meaning of `.wh.`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PREFIX = b".wh."
_AUFS_PREFIX = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_NOTHING = frozenset({b"", b".", b".."})
_SHOWN = 200
"""The most bytes of a name that a message shows."""

MOST_BYTES = 4095
"""The longest path that Linux takes: PATH_MAX without the NUL at its end."""


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


def check_length(path: bytes) -> None:
    """Raise BadName for a normalised path that nobody can make.

    What a marker is about is shorter than its own name.
    """
    name = path.rpartition(b"/")[2]
    marker = len(b"/" + _OPAQUE) if name.startswith(_PREFIX) and len(name) < len(path) else 0
    if len(path) > MOST_BYTES + marker:
        raise BadName(f"has a path of {len(path)} bytes, and Linux takes {MOST_BYTES}")


def check_target(target: bytes) -> None:
    """Raise BadName for the target of a symlink that nobody can make."""
    if len(target) > MOST_BYTES:
        raise BadName(
            f"is a symlink to a path of {len(target)} bytes, and Linux takes {MOST_BYTES}"
        )


def goes_back(name: bytes) -> bool:
    """Whether a `..` stands in `name`."""
    return b".." in name.split(b"/")


def read_mark(path: bytes) -> Marked:
    """The meaning of a normalised `path`.

    Raises BadName for a whiteout without a name, and for what stands below a whiteout: a layer
    cannot hold that directory by itself.
    """
    if b".wh." not in path:
        return Marked(Mark.ENTRY, path)
    parent, _, name = path.rpartition(b"/")
    above = parent.split(b"/")
    is_aufs = any(part.startswith(_AUFS_PREFIX) for part in above)
    if is_aufs or (name.startswith(_AUFS_PREFIX) and name != _OPAQUE):
        return Marked(Mark.AUFS, path)
    if any(part.startswith(_PREFIX) for part in above):
        raise BadName("stands below a whiteout")
    if name == _OPAQUE:
        return Marked(Mark.OPAQUE, parent)
    if not name.startswith(_PREFIX):
        return Marked(Mark.ENTRY, path)
    hidden = name.removeprefix(_PREFIX)
    if hidden in _NOTHING:
        raise BadName("is a whiteout of nothing")
    return Marked(Mark.WHITEOUT, parent + b"/" + hidden if parent else hidden)


def shown(path: bytes) -> str:
    """`path` for people, with a leading slash; bytes that are no text are escaped, and a long
    one is cut.
    """
    text = path[:_SHOWN].decode("utf-8", "backslashreplace")
    return f"/{text}..." if len(path) > _SHOWN else "/" + text
