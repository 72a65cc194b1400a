"""Answers of the store that are kept in memory, so that the event loop need not ask a thread."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.lru import LruCache
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.server.store.base import SquashKey, Store

_MOST_BYTES = 32 << 20
_MOST_RESULTS = 100_000


class MemoryStore:
    """Manifests and the map of squashed images; emptied when the store's generation changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation = store.generation
        self._manifests: LruCache[tuple[Repository, Digest], RawManifest] = LruCache(
            _MOST_BYTES, lambda raw: len(raw.data)
        )
        self._results: LruCache[SquashKey, Digest] = LruCache(_MOST_RESULTS)

    def find_manifest(self, repository: Repository, digest: Digest) -> RawManifest | None:
        """A manifest that was remembered."""
        self._catch_up()
        return self._manifests.find((repository, digest))

    def put_manifest(self, repository: Repository, digest: Digest, raw: RawManifest) -> None:
        """Remember a manifest."""
        self._manifests[repository, digest] = raw

    def find_result(self, key: SquashKey) -> Digest | None:
        """The squashed image of a source."""
        self._catch_up()
        return self._results.find(key)

    def put_result(self, key: SquashKey, result: Digest) -> None:
        """Remember the squashed image of a source."""
        self._results[key] = result

    def _catch_up(self) -> None:
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._manifests.clear()
            self._results.clear()
