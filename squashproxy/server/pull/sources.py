"""Whether sources are signed as a rule requires (`require_signature`).

1. What is checked is a digest, so a tag that moves meanwhile changes nothing.
2. A source that is signed stays so for as long as the server runs. That it is not, or could not be
   checked, is remembered for `serve.negative_ttl`: a signature may come later than its image.
3. One check serves all who ask for the same at once, and goes on when they leave.
4. Upstream is asked with the caller's login. A refusal is remembered for that login alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError, Unreachable, Unsigned, remembered
from squashproxy.lru import LruCache
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.upstream.clients import UpstreamClients
from squashproxy.transports.registry import RegistrySource

_MOST = 30_000


@dataclass(frozen=True, slots=True)
class Source:
    """A source to check; with `is_whole`, with all that it lists, since it is to be handed out as
    it is.
    """

    repository: Repository
    digest: Digest
    is_whole: bool = False

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


class SignedSources:
    """Checks sources; `threads` run calls to upstream.

    `patience` and `negative_ttl` are seconds.
    """

    def __init__(
        self,
        upstreams: UpstreamClients,
        threads: SharedThreads,
        patience: float,
        negative_ttl: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = upstreams
        self._threads = threads
        self._patience = patience
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._signed: LruCache[Source, bool] = LruCache(_MOST)
        self._failures: LruCache[_Question, tuple[float, SquashproxyError]] = LruCache(_MOST)
        self._single_flight: SingleFlight[_Question, RawManifest] = SingleFlight()

    def is_signed(self, source: Source) -> bool:
        """Whether a source is known to be signed; as a whole, it is for squashing, too."""
        whole = replace(source, is_whole=True)
        return any(self._signed.find(each) is not None for each in (source, whole))

    def note_signed(self, source: Source) -> None:
        """Note that a source is signed, as the store knows."""
        self._signed[source] = True

    async def check(
        self, caller: Caller, source: Source, options: CopyOptions
    ) -> RawManifest | None:
        """Check that a source is signed by one of the options' keys; its manifest, unless all that
        is known already.

        Raises Unsigned, Unreachable where that takes too long, and other errors of upstream.
        """
        if self.is_signed(source):
            return None
        question = _Question(caller.login, source)
        failed = self._failures.find(question)
        if failed is not None and failed[0] > self._clock():
            raise remembered(failed[1])
        try:
            async with asyncio.timeout(self._patience):
                return await self._single_flight.join(
                    question, lambda: self._ask(caller, question, options)
                )
        except TimeoutError:
            raise Unreachable(
                f"it was not found out in {self._patience:g} s who signed {source}",
                advice="try again later",
            ) from None

    async def close(self) -> None:
        """Cancel the checks that run."""
        await self._single_flight.close()

    async def _ask(self, caller: Caller, question: _Question, options: CopyOptions) -> RawManifest:
        source = question.source

        def check(client: RegistryClient) -> RawManifest:
            from squashproxy.pipeline.signatures.check import (  # noqa: PLC0415 - loads cryptography
                check_signed,
            )

            image = Reference(source.repository, None, source.digest)
            opened = RegistrySource(client, image)
            check_signed(opened, source.digest, options)
            return opened.read_manifest()

        threads = self._threads.of(source.repository.host)
        try:
            raw = await threads.run(self._upstreams.ask, caller, source.repository, check)
        except SquashproxyError as error:
            until = self._clock() + self._negative_ttl
            self._failures[question] = (until, remembered(for_clients(error, source)))
            raise for_clients(error, source) from error
        self._signed[source] = True
        return raw


@dataclass(frozen=True, slots=True)
class _Question:
    login: tuple[str, str] | None
    source: Source


def for_clients(error: SquashproxyError, source: Source) -> SquashproxyError:
    """An error of a check without the names of key files, which are nobody's business."""
    if not isinstance(error, Unsigned):
        return error
    return Unsigned(
        f"{source} is not signed by a key that is required here: {error.reason}",
        advice="sign it, and pull it again in a moment",
        reason=error.reason,
    )
