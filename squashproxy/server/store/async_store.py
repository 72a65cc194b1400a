"""The store for the event loop: calls run in threads, and their errors fail no pull."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.store.base import KeptBlob, KnownTag, SquashKey, Store, UpstreamCheck

P = ParamSpec("P")
T = TypeVar("T")


class AsyncStore:
    """If the store fails, its answer is None, and `on_problem` is called with the reason.

    `threads` may be used for other short work that blocks.
    """

    def __init__(self, store: Store, on_problem: Callable[[str], None]) -> None:
        self._store = store
        self.threads = Threads(16, "squashproxy-store")
        self._on_problem = on_problem

    async def find_manifest(self, repository: Repository, digest: Digest) -> RawManifest | None:
        """A manifest of the repository."""
        return await self._ask(self._store.find_manifest, repository, digest)

    async def find_blob(self, repository: Repository, digest: Digest) -> KeptBlob | None:
        """A blob of the repository."""
        return await self._ask(self._store.find_blob, repository, digest)

    async def adopt_blob(
        self, repository: Repository, digest: Digest, is_upstream: UpstreamCheck
    ) -> KeptBlob | None:
        """A blob that the store has from another repository of the same host."""
        return await self._ask(self._store.adopt_blob, repository, digest, is_upstream)

    async def find_tag(self, repository: Repository, tag: str) -> KnownTag | None:
        """What a tag was last known to point to."""
        return await self._ask(self._store.find_tag, repository, tag)

    async def keep_tag(self, repository: Repository, tag: str, known: KnownTag) -> None:
        """Remember what a tag points to."""
        await self._ask(self._store.keep_tag, repository, tag, known)

    async def find_squashed(self, key: SquashKey) -> Digest | None:
        """The squashed image of a source."""
        return await self._ask(self._store.find_squashed, key)

    async def find_companion(self, repository: Repository, tag: str) -> RawManifest | None:
        """What is kept under a tag that belongs to a squashed image."""
        return await self._ask(self._store.find_companion, repository, tag)

    async def is_checked(self, repository: Repository, policy: str, digest: Digest) -> bool:
        """Whether a digest is a squashed image, or a part of one, whose source was checked."""
        return bool(await self._ask(self._store.is_checked, repository, policy, digest))

    async def note_listed(
        self, repository: Repository, policy: str, listed: Sequence[Digest]
    ) -> None:
        """Note which manifests a signed index of upstream's lists."""
        await self._ask(self._store.note_listed, repository, policy, listed)

    async def parents(self, repository: Repository, digest: Digest) -> list[Digest]:
        """Some kept manifests that need a digest."""
        return await self._ask(self._store.parents, repository, digest) or []

    async def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """What a squashed image was made from."""
        return await self._ask(self._store.find_key, repository, result)

    async def find_above(
        self, repository: Repository, digest: Digest
    ) -> tuple[SquashKey, Digest] | None:
        """The squashed image that needs a blob which is gone, with its key."""
        return await self._ask(self._store.find_above, repository, digest)

    async def find_source(self, repository: Repository) -> Digest | None:
        """A source in the repository that was squashed."""
        return await self._ask(self._store.find_source, repository)

    async def keep_manifest(self, repository: Repository, raw: RawManifest) -> None:
        """Store a manifest from upstream."""
        await self._ask(self._store.keep_manifest, repository, raw)

    async def name_image(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let a tag name a squashed image in the store."""
        await self._ask(self._store.name_image, repository, tag, result)

    def tell(self, error: SquashproxyError) -> None:
        """Report an error of the store that failed no pull."""
        self._on_problem(str(error))

    async def close(self, seconds: float) -> None:
        """Wait at most `seconds` for the calls that run; the store itself stays open."""
        await self.threads.close(seconds)

    async def _ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return await self.threads.run(question, *args, **kwargs)
        except SquashproxyError as error:
            self.tell(error)
            return None
