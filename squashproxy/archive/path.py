"""Paths of tar entries in one form: raw bytes, no leading `/` or `./`, no `//`, root is empty.

A `..` takes back the name before it, whatever that is: docker, containerd, podman and umoci clean
names in this way (Go's filepath.Clean) before they look at what is there.

No path is longer than Linux takes. PATH_MAX is 4,096 bytes with the NUL at its end
(linux/limits.h). That is for one call, but unpackers name what they make by its whole path.
"""

from __future__ import annotations

from squashproxy.errors import BadArchive

MOST_BYTES = 4095
"""The most bytes in a path, and in the target of a symlink (symlink(2), ENAMETOOLONG)."""

_MARKED = b"/.wh."
_MARKER = len(b"/.wh..wh..opq")
"""What a whiteout or an opaque marker adds to the path that it is about."""
_SHOWN = 200
"""The most bytes of a name that a message shows."""


class BadEntry(Exception):
    """A refused entry. Its text completes a sentence that begins with the entry's name."""

    def at(self, where: str, path: bytes) -> BadArchive:
        """The same error for people, with the entry's `path` and the stream's name `where`."""
        return BadArchive(
            f"{where}: the entry {shown(path)} {self}, which is refused",
            advice="build the image again",
        )


def normalise(name: bytes) -> bytes:
    """Return the normalised form of `name`.

    Raises BadEntry for a name that leads out of the image, and for NUL.
    """
    if name[:1] not in (b"/", b".", b"") and b"//" not in name and b"/." not in name:
        if b"\0" in name:
            raise BadEntry("holds a NUL byte")
        return name[:-1] if name[-1:] == b"/" else name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BadEntry("leads out of the image with '..'")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    if b"\0" in name:
        raise BadEntry("holds a NUL byte")
    return b"/".join(parts)


def check_length(path: bytes) -> None:
    """Raise BadEntry for a normalised path that no unpacker can make.

    A whiteout may be longer by its prefix, and an opaque marker by its name: what they are about
    is shorter.
    """
    if len(path) <= MOST_BYTES:
        return
    is_mark = path.startswith(_MARKED, path.rfind(b"/"))
    if len(path) > MOST_BYTES + _MARKER * is_mark:
        raise BadEntry(f"has a path of {len(path)} bytes, and Linux takes {MOST_BYTES}")


def check_target(target: bytes) -> None:
    """Raise BadEntry for the target of a symlink that no unpacker can make."""
    if len(target) > MOST_BYTES:
        raise BadEntry(
            f"is a symlink to a path of {len(target)} bytes, and Linux takes {MOST_BYTES}"
        )


def is_roundabout(name: bytes) -> bool:
    """Whether a `..` stands in `name`."""
    return b".." in name and b".." in name.split(b"/")


def parent_of(path: bytes) -> bytes:
    """The directory that holds `path`; the root's parent is the root."""
    return path.rpartition(b"/")[0]


def join(parent: bytes, name: bytes) -> bytes:
    """`name` in the directory `parent`."""
    return parent + b"/" + name if parent else name


def shown(path: bytes) -> str:
    """`path` for people: bytes that are no text are escaped, and a long path is cut."""
    if len(path) > _SHOWN:
        return f"/{path[:_SHOWN].decode('utf-8', 'backslashreplace')}..."
    return "/" + path.decode("utf-8", "backslashreplace")
