"""Referrers of a manifest: its signatures, statements and the like.

Of a squashed image, the store has what was made here; of an original, upstream has it. An image
that squashing leaves as it is has both. Upstream is asked with the caller's login, by its list or
by the one under a tag. Its answers are remembered: a list for `serve.tag_ttl`, an empty one for
`serve.negative_ttl`, since a signature comes after its image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.lru import LruCache
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import encode_json
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.pull.context import PullContext

_MOST_BYTES = 32 << 20
_LEAST_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Known:
    """A list, and until when it is used, in unix seconds; `size` is about that of its JSON."""

    until: float
    listed: tuple[Descriptor, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Question:
    login: tuple[str, str] | None
    repository: Repository
    digest: Digest


class Referrers:
    """Lists referrers; `tag_ttl` and `negative_ttl` are seconds."""

    def __init__(
        self,
        context: PullContext,
        tag_ttl: float,
        negative_ttl: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._tag_ttl = tag_ttl
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._known: LruCache[_Question, _Known] = LruCache(_MOST_BYTES, lambda each: each.size)
        self._single_flight: SingleFlight[_Question, tuple[Descriptor, ...]] = SingleFlight()

    async def find(
        self, caller: Caller, repository: Repository, digest: Digest
    ) -> tuple[Descriptor, ...]:
        """The referrers of a manifest; none for one that does not exist.

        While upstream is down, its last answer counts, and of an image that was made here what is
        kept. Raises SquashproxyError where it is not known what there is.
        """
        context = self._context
        own = await context.async_store.threads.run(
            context.store.list_referrers, repository, digest
        )
        try:
            others = await self._upstream(caller, repository, digest)
        except SquashproxyError:
            if not own:
                raise
            others = ()
        return tuple({each.digest: each for each in (*own, *others)}.values())

    async def close(self) -> None:
        """Cancel the questions to upstream."""
        await self._single_flight.close()

    async def _upstream(
        self, caller: Caller, repository: Repository, digest: Digest
    ) -> tuple[Descriptor, ...]:
        question = _Question(caller.login, repository, digest)
        known = self._known.find(question)
        if known is not None and known.until > self._clock():
            return known.listed
        try:
            return await self._single_flight.join(question, lambda: self._ask(caller, question))
        except SquashproxyError as error:
            if known is None or not error.temporary:
                raise
            return known.listed

    async def _ask(self, caller: Caller, question: _Question) -> tuple[Descriptor, ...]:
        context, repository, digest = self._context, question.repository, question.digest

        def ask(client: RegistryClient) -> tuple[Descriptor, ...]:
            remote = client.repository(repository)
            try:
                listed = remote.list_referrers(digest)
                return remote.list_referrers_by_tag(digest) if listed is None else listed
            except NotFound:
                return ()

        listed = await context.upstream_threads.of(repository.host).run(
            context.upstreams.ask, caller, repository, ask
        )
        seconds = self._tag_ttl if listed else self._negative_ttl
        size = _LEAST_BYTES + sum(len(encode_json(each.to_json())) for each in listed)
        self._known[question] = _Known(self._clock() + seconds, listed, size)
        return listed
