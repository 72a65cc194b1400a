"""Which manifest is handed out for a tag or a digest: the heart of squashing on pull."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.config.serve import Fallback, FirstPull
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Repository
from squashproxy.server.auth.caller import Asker
from squashproxy.server.concurrency.lru import Bounded
from squashproxy.server.concurrency.single_flight import Flights
from squashproxy.server.http.accept import accepts
from squashproxy.server.http.errors import unavailable
from squashproxy.server.jobs.jobs import Job, TooManyJobs
from squashproxy.server.jobs.rules import Recipe
from squashproxy.server.pull.context import Tools
from squashproxy.server.pull.outcome import Found, Origin
from squashproxy.server.store.base import KnownTag, SquashKey

_MOST_NAMED = 100_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A manifest that somebody asks for: `accept` is their Accept header, None for a missing one.

    With `head`, its descriptor is enough.
    """

    asker: Asker
    repository: Repository
    accept: str | None = None
    head: bool = False


class Manifests:
    """Squashes by tag, passes through by digest.

    `on_warning` hears of what an operator should know: image and sentence.
    """

    def __init__(
        self, tools: Tools, first_pull: FirstPull, on_warning: Callable[[str, str], None]
    ) -> None:
        self._tools = tools
        self._first_pull = first_pull
        self._on_warning = on_warning
        self._flights: Flights[tuple[Asker, Repository, Digest], RawManifest] = Flights()
        self._named: Bounded[tuple[Repository, str], Digest] = Bounded(_MOST_NAMED)

    def find_now(self, wanted: Wanted, tag: str) -> Found | None:
        """The squashed image of a tag where all is known, without waiting for anything."""
        tools = self._tools
        recipe = tools.rules.find(wanted.repository)
        known = tools.tags.find_fresh(wanted.asker, wanted.repository, tag)
        if recipe is None or known is None:
            return None
        key = SquashKey(wanted.repository, known.source.digest, recipe.hash)
        result = tools.shelf.find_result(key)
        raw = None if result is None else tools.shelf.find_manifest(wanted.repository, result)
        if raw is None or not accepts(wanted.accept, raw.media_type):
            return None
        assert result is not None, "its manifest was found"
        descriptor = Descriptor(raw.media_type, result, len(raw.data))
        return Found(descriptor, Origin.CACHED, raw, known.source.digest)

    async def by_tag(self, wanted: Wanted, tag: str) -> Found:
        """The squashed image that a tag means now, or the original after `first_pull.wait`.

        Squashing fails no pull: whatever goes wrong with it, the original is handed out, or, with
        `then: error`, a 503 that lets clients go to the next mirror. Raises Refusal for that, and
        SquashproxyError where upstream gives nothing.
        """
        deadline = time.monotonic() + self._first_pull.wait
        known = await self._tools.tags.resolve(wanted.asker, wanted.repository, tag)
        recipe = self._tools.rules.find(wanted.repository)
        if recipe is None:
            return await self.by_digest(wanted, known.source.digest)
        found = await self._squashed(wanted, tag, known, recipe, deadline)
        if found is not None and accepts(wanted.accept, found.descriptor.media_type):
            return found
        if self._first_pull.then is Fallback.ERROR and found is None:
            raise unavailable(f"{wanted.repository}:{tag} is not squashed yet; try again later")
        return await self.by_digest(wanted, known.source.digest)

    async def by_digest(self, wanted: Wanted, digest: Digest) -> Found:
        """What has that digest: from the store, or passed through and kept.

        A squashed image that was evicted is made again: its digest is the same, since the same
        source and options give the same bytes.
        """
        kept = await self._kept(wanted.repository, digest)
        if kept is not None:
            return _found(kept, digest, Origin.CACHED)
        again = await self._made_again(wanted, digest)
        if again is not None:
            return again
        if wanted.head:
            return await self._described(wanted, digest)
        key = (wanted.asker, wanted.repository, digest)
        raw = await self._flights.join(key, lambda: self._pass_through(*key))
        return _found(raw, digest, Origin.ORIGINAL)

    async def begin(self, asker: Asker, repository: Repository, tag: str) -> Job | Digest | None:
        """Begin to squash what a tag means now; the digest where that was done before.

        None where no rule squashes it. Raises SquashproxyError.
        """
        known = await self._tools.tags.resolve(asker, repository, tag)
        recipe = self._tools.rules.find(repository)
        if recipe is None:
            return None
        key = SquashKey(repository, known.source.digest, recipe.hash)
        result = await self._find_result(key)
        return result or self._join(asker, key, recipe.options, f"{repository}:{tag}")

    async def key_of(
        self, asker: Asker, repository: Repository, tag: str
    ) -> tuple[SquashKey, CopyOptions]:
        """What a tag would be squashed from, and how; without a rule, with the usual options."""
        known = await self._tools.tags.resolve(asker, repository, tag)
        recipe = self._tools.rules.find(repository)
        options = CopyOptions() if recipe is None else recipe.options
        return SquashKey(repository, known.source.digest, ""), options

    async def _squashed(
        self, wanted: Wanted, tag: str, known: KnownTag, recipe: Recipe, deadline: float
    ) -> Found | None:
        """The squashed image, None where it cannot be had in time."""
        key = SquashKey(wanted.repository, known.source.digest, recipe.hash)
        image = f"{wanted.repository}:{tag}"
        origin = Origin.CACHED
        try:
            result = await self._find_result(key)
            if result is None:
                origin = Origin.SQUASHED
                job = self._join(wanted.asker, key, recipe.options, image)
                result = await job.wait(self._patience(job, deadline))
        except TooManyJobs as error:
            self._on_warning(image, str(error))
            return None
        except SquashproxyError:
            return None  # the job has told of it, once
        if result is None:
            return None
        self._tools.shelf.put_result(key, result)
        raw = await self._kept(wanted.repository, result)
        if raw is None:
            self._on_warning(image, f"the store does not give {result}, so the original is served")
            return None
        await self._name(wanted.repository, tag, result)
        return _found(raw, result, origin, known.source.digest)

    def _patience(self, job: Job, deadline: float) -> float:
        """How long to wait, in seconds: each client waits once, however often it asks."""
        by_job = job.submitted + self._first_pull.wait - time.time()
        return min(by_job, deadline - time.monotonic())

    async def _find_result(self, key: SquashKey) -> Digest | None:
        """The result as the shelf or the store know it; a job may end while the store is asked."""
        shelf, keeper = self._tools.shelf, self._tools.keeper
        return shelf.find_result(key) or await keeper.find_squashed(key) or shelf.find_result(key)

    def _join(self, asker: Asker, key: SquashKey, options: CopyOptions, image: str) -> Job:
        squasher = self._tools.squasher
        return self._tools.jobs.join(
            key,
            image,
            lambda observer, cancellation: squasher.squash(
                asker, key, options, image, observer=observer, cancellation=cancellation
            ),
            lambda sentence: self._on_warning(image, sentence),
        )

    async def _name(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let the store's own names follow the tag; that this fails, spoils no pull."""
        if self._named.find((repository, tag)) != result:
            await self._tools.keeper.name_image(repository, tag, result)
            self._named[repository, tag] = result

    async def _kept(self, repository: Repository, digest: Digest) -> RawManifest | None:
        shelf = self._tools.shelf
        found = shelf.find_manifest(repository, digest)
        if found is None:
            found = await self._tools.keeper.find_manifest(repository, digest)
            if found is not None:
                shelf.put_manifest(repository, digest, found)
        return found

    async def _made_again(self, wanted: Wanted, digest: Digest) -> Found | None:
        """A squashed image that is known but not kept."""
        recipe = self._tools.rules.find(wanted.repository)
        key = await self._tools.keeper.find_key(wanted.repository, digest)
        if recipe is None or key is None or key.options != recipe.hash:
            return None
        try:
            job = self._join(wanted.asker, key, recipe.options, f"{wanted.repository}@{digest}")
            result = await job.wait(self._first_pull.wait)
        except SquashproxyError as error:
            self._on_warning(f"{wanted.repository}@{digest}", f"could not be made again: {error}")
            return None
        raw = await self._kept(wanted.repository, digest) if result == digest else None
        return None if raw is None else _found(raw, digest, Origin.SQUASHED, key.source)

    async def _described(self, wanted: Wanted, digest: Digest) -> Found:
        tools = self._tools
        descriptor = await tools.asked.run(
            tools.upstreams.find_manifest, wanted.asker, wanted.repository, digest
        )
        if descriptor is None:
            raise NotFound(f"{wanted.repository} has no manifest {digest}", status=404)
        tools.rights.grant(wanted.asker, wanted.repository)
        return Found(descriptor, Origin.ORIGINAL)

    async def _pass_through(
        self, asker: Asker, repository: Repository, digest: Digest
    ) -> RawManifest:
        tools = self._tools
        raw = await tools.asked.run(tools.upstreams.get_manifest, asker, repository, digest)
        tools.rights.grant(asker, repository)
        tools.shelf.put_manifest(repository, digest, raw)
        await tools.keeper.keep_manifest(repository, raw)
        return raw


def _found(
    raw: RawManifest, digest: Digest, origin: Origin, made_from: Digest | None = None
) -> Found:
    kind = raw.media_type or mediatypes.OCI_MANIFEST
    return Found(Descriptor(kind, digest, len(raw.data)), origin, raw, made_from)
