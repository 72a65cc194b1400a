"""Paths of tar entries in one form: raw bytes, no leading `/` or `./`, no `//`, root is empty."""

from __future__ import annotations

from squashproxy.errors import BadArchive


class BadEntry(Exception):
    """What is wrong with an entry: the rest of a sentence that begins with its name."""

    def at(self, where: str, path: bytes) -> BadArchive:
        """The error for people: the entry `path` of the stream `where` is refused."""
        return BadArchive(
            f"{where}: the entry {shown(path)} {self}; squashproxy refuses such entries, so build "
            "the image again"
        )


def normalise(name: bytes) -> bytes:
    """Return the one form of `name`; raise BadEntry for `..` and NUL (ARCHITECTURE.md, The merge)."""
    if name[:1] not in (b"/", b".", b"") and b"//" not in name and b"/." not in name:
        if b"\0" in name:
            raise BadEntry("holds a NUL byte")
        return name[:-1] if name[-1:] == b"/" else name
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadEntry("leads out of the image with '..'")
    if b"\0" in name:
        raise BadEntry("holds a NUL byte")
    return b"/".join(parts)


def parent_of(path: bytes) -> bytes:
    """The directory that holds `path`; the root's parent is the root."""
    return path.rpartition(b"/")[0]


def join(parent: bytes, name: bytes) -> bytes:
    """`name` in the directory `parent`."""
    return parent + b"/" + name if parent else name


def shown(path: bytes) -> str:
    """`path` for people, with whatever is not text escaped."""
    return "/" + path.decode("utf-8", "backslashreplace")
