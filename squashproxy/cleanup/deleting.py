"""Taking tags and manifests away, in the way that a registry can."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import RegistryError
from squashproxy.registry.client import RemoteRepository
from squashproxy.registry.deletions import Deletion


class Deleter:
    """Of one repository; remembers what its registry can."""

    def __init__(self, remote: RemoteRepository) -> None:
        self._remote = remote
        self._by_tag: bool | None = None
        self._is_harbor = False

    def untag(self, tag: str) -> bool:
        """Take a tag away and leave what it points to; False where the registry cannot."""
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

    def delete(self, digest: Digest, tags: tuple[str, ...]) -> None:
        """Take a manifest away with all its tags.

        Where the registry keeps digests that have tags, these go first. Raises RegistryError.
        """
        try:
            self._remote.delete_manifest(digest)
        except RegistryError as error:
            if not tags or error.status not in (400, 403, 409, 412):
                raise
            if not all(self.untag(tag) for tag in tags):
                raise
            self._remote.delete_manifest(digest)
        for tag in tags:
            self._untag_rest(tag, digest)

    def _untag_rest(self, tag: str, digest: Digest) -> None:
        """Some registries keep a tag whose manifest went by its digest."""
        found = self._remote.find_manifest(tag)
        if found is not None and found.digest == digest:
            self.untag(tag)
