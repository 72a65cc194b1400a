"""SymlinkMap: the symlinks of one layer, and where entries below them land.

All unpackers follow symlinks that the layer itself made (securejoin, fs.RootPath). They disagree
about symlinks of lower layers; those are treated as an overlay file system does.
"""

from __future__ import annotations

from squashproxy.archive.path import BadEntry, join, parent_of

_MAX_FOLLOWED = 40


class SymlinkMap:
    """Symlinks by path. Paths are normalised, targets are kept as written."""

    def __init__(self) -> None:
        self._targets: dict[bytes, bytes] = {}

    def note(self, path: bytes, target: bytes) -> None:
        """Add a symlink at `path`."""
        self._targets[path] = target

    def forget(self, path: bytes) -> bool:
        """Something else takes the place of what is at `path`; True if that was a symlink."""
        return self._targets.pop(path, None) is not None

    def lead(self, directory: bytes) -> bool:
        """Whether `directory` is one of the symlinks, or lies below one."""
        if not self._targets:
            return False
        while directory:
            if directory in self._targets:
                return True
            directory = parent_of(directory)
        return False

    def resolve(self, path: bytes) -> bytes:
        """The path at which an entry lands: symlinks above it are followed within the image's root.

        Raises BadEntry for a circle.
        """
        if not self.lead(parent_of(path)):
            return path
        parts = path.split(b"/")
        name = parts.pop()
        at = b""
        followed = 0
        while parts:
            part = parts.pop(0)
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = parent_of(at)
                continue
            here = join(at, part)
            target = self._targets.get(here)
            if target is None:
                at = here
                continue
            followed += 1
            if followed > _MAX_FOLLOWED:
                raise BadEntry("lies behind symlinks that lead in a circle")
            parts[:0] = target.split(b"/")
            if target.startswith(b"/"):
                at = b""
        return join(at, name)
