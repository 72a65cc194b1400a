"""Manifests that stay although the plan deletes them, since a tag was just pointed to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from squashproxy.cleanup.graph import Node, subject_of_tag
from squashproxy.digest import Digest
from squashproxy.errors import NotFound


class Guard:
    """Protects manifests with everything they need; `read` raises NotFound for an absent manifest.

    The referrers of a protected manifest are protected with it.
    """

    def __init__(self, read: Callable[[Digest], Node]) -> None:
        self._read = read
        self._protected: set[Digest] = set()

    def protect(self, digest: Digest) -> list[Digest]:
        """Protect a manifest, everything below it, and the subjects of all these; return them.

        Children come before parents in the result. Raises RegistryError and FormatError if a
        manifest cannot be read, since it may need anything.
        """
        found: dict[Digest, None] = {}
        waiting = [digest]
        while waiting:
            each = waiting.pop()
            if each in found:
                continue
            found[each] = None
            node = self._find(each)
            if node is not None:
                waiting += node.children
                waiting += [] if node.subject is None else [node.subject]
        self._protected.update(found)
        return list(reversed(found))

    def holds(self, digest: Digest, tags: Iterable[str]) -> bool:
        """Whether a manifest with these tags is protected, or refers to one that is."""
        if not self._protected:
            return False
        if digest in self._protected or not self._protected.isdisjoint(map(subject_of_tag, tags)):
            return True
        node = self._find(digest)
        return node is not None and node.subject in self._protected

    def _find(self, digest: Digest) -> Node | None:
        """The node of a manifest; None if it is absent, as children of a sparse index may be."""
        try:
            return self._read(digest)
        except NotFound:
            return None
