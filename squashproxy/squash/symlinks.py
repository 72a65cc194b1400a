"""The symlinks of one layer, and where entries below them land.

Unpackers follow the symlinks that the layer itself made (securejoin, fs.RootPath); those of lower
layers they treat in different ways, of which squashproxy follows the overlay file system's.
"""

from __future__ import annotations

from squashproxy.archive.path import BadEntry, join, parent_of

_MAX_FOLLOWED = 40


class SymlinkMap:
    """Symlinks by path; paths are normalised, targets as they stand."""

    def __init__(self) -> None:
        self._targets: dict[bytes, bytes] = {}

    def note(self, path: bytes, target: bytes) -> None:
        """A symlink stands at `path`."""
        self._targets[path] = target

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
        """Where an entry `path` lands, the symlinks above it followed within the image's root.

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
