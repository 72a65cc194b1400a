"""Deleting a tag without its manifest, in whatever way the registry supports."""

from __future__ import annotations

from squashproxy.registry.client import RemoteRepository
from squashproxy.registry.deletions import Deletion


class Untagger:
    """Deletes tags in one repository, and remembers what its registry supports."""

    def __init__(self, remote: RemoteRepository) -> None:
        self._remote = remote
        self._by_tag: bool | None = None
        self._is_harbor = False

    def untag(self, tag: str) -> bool:
        """Delete a tag and leave what it points to; False where the registry cannot do that."""
        if self._by_tag is None:
            done = self._remote.delete_manifest(tag) is not Deletion.NOT_OFFERED
            self._is_harbor = not done and self._remote.is_harbor()
            self._by_tag = done or self._is_harbor
            if done:
                return True
        if self._is_harbor:
            self._remote.delete_harbor_tag(tag)
            return True
        if self._by_tag:
            self._remote.delete_manifest(tag)
        return self._by_tag
