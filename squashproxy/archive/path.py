"""Paths of tar entries in one form: raw bytes, no leading `/` or `./`, no `//`, root is empty.

A `..` takes back the name before it, whatever that is: docker, containerd, podman and umoci clean
names in this way (Go's filepath.Clean) before they look at what is there.
"""

from __future__ import annotations

from squashproxy.errors import BadArchive


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
    """`path` for people: bytes that are no text are escaped."""
    return "/" + path.decode("utf-8", "backslashreplace")
