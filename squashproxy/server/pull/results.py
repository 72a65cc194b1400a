"""Squashed images that were made before: in memory, or in the store."""

from __future__ import annotations

from collections.abc import Callable

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.jobs.rules import Recipe
from squashproxy.server.pull.context import PullContext
from squashproxy.server.store.base import SquashKey


class Results:
    """Finds results, and completes those that were made before the configuration asked for it.

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
        self._single_flight: SingleFlight[SquashKey, None] = SingleFlight()
        self._finding: SingleFlight[SquashKey, Digest | None] = SingleFlight()

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
        if recipe.options.signing is not None or recipe.options.required_keys:
            await self._single_flight.join(key, lambda: self._complete(key, recipe, kept))
        return kept

    async def close(self) -> None:
        """Stop waiting for what is being signed or looked for."""
        await self._single_flight.close()
        await self._finding.close()

    async def _complete(self, key: SquashKey, recipe: Recipe, result: Digest) -> None:
        context = self._context
        try:
            fingerprint = await context.async_store.threads.run(
                context.squasher.complete, key, recipe.options, result
            )
        except SquashproxyError as error:
            self._on_warning(f"{key.repository}@{result}", f"could not be signed: {error}")
            raise
        if fingerprint is not None:
            self._on_signed(result, fingerprint)
