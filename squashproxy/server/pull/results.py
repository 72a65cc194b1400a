"""Squashed images that were made before: in memory, or in the store."""

from __future__ import annotations

from collections.abc import Callable

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.lru import LruCache
from squashproxy.reference import Repository
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.jobs.rules import Recipe
from squashproxy.server.pull.context import PullContext
from squashproxy.server.store.base import SquashKey

_MOST_SIGNED = 100_000


class Results:
    """Finds results, and signs those that were made before the configuration asked for it.

    A result in memory is complete. `on_warning` is called with an image and a sentence for the
    operator, `on_signed` with a result and the fingerprint of the key that has signed it.
    """

    def __init__(
        self,
        context: PullContext,
        on_warning: Callable[[str, str], None],
        on_signed: Callable[[Digest, str], None],
    ) -> None:
        self._context = context
        self._on_warning = on_warning
        self._on_signed = on_signed
        self._signing: SingleFlight[tuple[SquashKey, Digest], None] = SingleFlight()
        self._finding: SingleFlight[SquashKey, Digest | None] = SingleFlight()
        self._signed: LruCache[tuple[Repository, Digest], bool] = LruCache(_MOST_SIGNED)

    async def find(self, key: SquashKey, recipe: Recipe) -> Digest | None:
        """The result for a source that may be squashed; memory is asked again, since a job may end
        meanwhile.

        One of the store is signed, if results are, before it is handed out. Raises SquashproxyError
        where that fails.
        """
        memory, async_store = self._context.memory, self._context.async_store
        known = memory.find_result(key)
        if known is not None:
            return known
        kept = await self._finding.join(key, lambda: async_store.find_squashed(key))
        if kept is None:
            return memory.find_result(key)
        options, complete = recipe.options, self._context.squasher.complete
        if options.signing is not None or options.required_keys:
            await self._run(key, kept, lambda: complete(key, options, kept))
        if options.signing is not None:
            self._on_signed(kept, options.signing.key.public.fingerprint)
        return kept

    async def sign(self, repository: Repository, digest: Digest) -> None:
        """Sign the result that a digest belongs to, once, if results are signed: it may be of an
        earlier time, and is asked for by its digest. Failing that, it is handed out all the same.
        """
        recipe = self._context.rules.find(repository)
        signing = None if recipe is None else recipe.options.signing
        if signing is None or self._signed.find((repository, digest)):
            return
        async_store, sign = self._context.async_store, self._context.squasher.sign
        above = await async_store.find_above(repository, digest)
        if above is None:
            key, result = await async_store.find_key(repository, digest), digest
        else:
            key, result = above
        try:
            if key is not None:
                own = key
                await self._run(own, result, lambda: sign(own, signing, result))
                self._on_signed(result, signing.key.public.fingerprint)
        except SquashproxyError:
            return  # told already
        self._signed[repository, digest] = True

    async def close(self) -> None:
        """Stop waiting for what is being signed or looked for."""
        await self._signing.close()
        await self._finding.close()

    async def _run(self, key: SquashKey, result: Digest, work: Callable[[], None]) -> None:
        """Run a call that signs, once for all who wait for the same."""
        threads = self._context.async_store.threads
        try:
            await self._signing.join((key, result), lambda: threads.run(work))
        except SquashproxyError as error:
            self._on_warning(f"{key.repository}@{result}", f"could not be signed: {error}")
            raise
