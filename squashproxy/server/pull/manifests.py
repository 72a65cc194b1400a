"""Finding the manifest for a tag or a digest: the heart of squashing on pull.

By tag:

1. The tag is resolved to the digest of its source, from memory or by one HEAD request.
2. If no rule squashes the repository, the source is handed out, as if asked for by digest.
3. Where the rule requires signatures, the source is checked, or it is refused.
4. The squashed image of the source is looked for in memory and in the store. One of an earlier time
   is signed now if results are to be signed.
5. If there is none, a job is begun or joined, and waited for during `first_pull.wait`.
6. If the job fails, takes longer, or is refused, the source is handed out; with `then: error`,
   status 503 instead.

A tag that belongs to a manifest (`sha256-HEX.sig`) is the store's own, or else upstream's as it is.

By digest: if it may be pulled at all (`pull/allowed`), memory, then the store; then, if it is the
digest of an evicted squashed image, the image is made again; else upstream's manifest is passed
through and kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.config.serve import Fallback, FirstPull
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError, Unsigned, UsageError
from squashproxy.lru import LruCache
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Reference, Repository
from squashproxy.registry.referrers import is_companion
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.single_flight import SingleFlight
from squashproxy.server.http.accept import accepts
from squashproxy.server.http.errors import unavailable
from squashproxy.server.jobs.job import Job, SquashOrder
from squashproxy.server.jobs.jobs import TooManyJobs
from squashproxy.server.jobs.rules import Recipe
from squashproxy.server.pull.context import PullContext
from squashproxy.server.pull.outcome import FoundManifest, Origin
from squashproxy.server.pull.results import Results
from squashproxy.server.pull.sources import Source, for_clients
from squashproxy.server.store.base import KnownTag, SquashKey

_MOST_NAMED = 100_000


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """A request for a manifest; `accept` is its Accept header, None if there is none.

    With `head`, the descriptor is enough.
    """

    caller: Caller
    repository: Repository
    accept: str | None = None
    head: bool = False


class Manifests:
    """Finds manifests, and begins jobs for those that are not squashed yet.

    `on_warning` is called with an image and a sentence for the operator; for `on_signed` see
    Results.
    """

    def __init__(
        self,
        context: PullContext,
        first_pull: FirstPull,
        on_warning: Callable[[str, str], None],
        on_signed: Callable[[Digest, str], None],
    ) -> None:
        self._context = context
        self._first_pull = first_pull
        self._on_warning = on_warning
        self._results = Results(context, on_warning, on_signed)
        self._single_flight: SingleFlight[tuple[Caller, Repository, Digest], RawManifest] = (
            SingleFlight()
        )
        self._reading: SingleFlight[tuple[Repository, Digest], RawManifest | None] = SingleFlight()
        self._looking: SingleFlight[tuple[Repository, Digest], SquashKey | None] = SingleFlight()
        self._named: LruCache[tuple[Repository, str], Digest] = LruCache(_MOST_NAMED)

    def find_now(self, wanted: ManifestRequest, tag: str) -> FoundManifest | None:
        """The squashed image of a tag if it is in memory, without waiting for anything."""
        context = self._context
        recipe = context.rules.find(wanted.repository)
        known = context.tags.find_fresh(wanted.caller, wanted.repository, tag)
        if recipe is None or known is None or is_companion(tag):
            return None
        if not context.allowed.is_known_source(wanted.repository, known.source.digest):
            return None
        key = SquashKey(wanted.repository, known.source.digest, recipe.hash)
        result = context.memory.find_result(key)
        raw = None if result is None else context.memory.find_manifest(wanted.repository, result)
        if raw is None or not accepts(wanted.accept, raw.media_type):
            return None
        assert result is not None, "its manifest was found"
        descriptor = Descriptor(raw.media_type, result, len(raw.data))
        return FoundManifest(descriptor, Origin.CACHED, raw, known.source.digest)

    async def by_tag(self, wanted: ManifestRequest, tag: str) -> FoundManifest:
        """The squashed image that a tag means now, or the original after `first_pull.wait`.

        A failure to squash fails no pull: the original is handed out. With `then: error`, raises
        ApiError 503, so that clients try their next mirror. Raises SquashproxyError where upstream
        gives nothing.
        """
        deadline = time.monotonic() + self._first_pull.wait
        if is_companion(tag):
            return await self._companion(wanted, tag)
        known = await self._context.tags.resolve(wanted.caller, wanted.repository, tag)
        recipe = self._context.rules.find(wanted.repository)
        if recipe is None:
            return await self.by_digest(wanted, known.source.digest)
        key = SquashKey(wanted.repository, known.source.digest, recipe.hash)
        await self._context.allowed.check_source(
            wanted.caller, key, recipe, f"{wanted.repository}:{tag}"
        )
        found = await self._squashed(wanted, tag, known, recipe, deadline)
        if found is not None and accepts(wanted.accept, found.descriptor.media_type):
            return found
        if self._first_pull.then is Fallback.ERROR and found is None:
            raise unavailable(f"{wanted.repository}:{tag} is not squashed yet; try again later")
        return await self._original(wanted, tag, known.source.digest)

    async def by_digest(self, wanted: ManifestRequest, digest: Digest) -> FoundManifest:
        """The manifest with that digest: from the store, or passed through and kept.

        A squashed image that was evicted is made again: its digest is the same, since the same
        source and options give the same bytes. Raises Unsigned for a digest that may not be pulled.
        """
        allowed = self._context.allowed
        await allowed.check_manifest(wanted.caller, wanted.repository, digest, self.read)
        found = await self._unchecked(wanted, digest)
        if found.raw is not None:
            allowed.note(wanted.repository, found.raw)
        return found

    async def read(self, caller: Caller, repository: Repository, digest: Digest) -> RawManifest:
        """The manifest with that digest from the store or from upstream, whoever signed it; it is
        not kept.
        """
        return await self._kept(repository, digest) or await self._fetch(caller, repository, digest)

    async def _unchecked(self, wanted: ManifestRequest, digest: Digest) -> FoundManifest:
        kept = await self._kept(wanted.repository, digest)
        if kept is not None:
            await self._results.sign(wanted.repository, digest)
            return _found(kept, digest, Origin.CACHED)
        again = await self._made_again(wanted, digest)
        if again is not None:
            return again
        if wanted.head:
            return await self._described(wanted, digest)
        key = (wanted.caller, wanted.repository, digest)
        raw = await self._single_flight.join(key, lambda: self._pass_through(*key))
        return _found(raw, digest, Origin.ORIGINAL)

    async def _original(self, wanted: ManifestRequest, tag: str, source: Digest) -> FoundManifest:
        """The source in place of what is not squashed yet. Raises ApiError 503 where only some of
        its images are signed, which were checked, and not all that it lists.
        """
        try:
            return await self.by_digest(wanted, source)
        except Unsigned as error:
            raise unavailable(
                f"{wanted.repository}:{tag} is not squashed yet, or not in a form that this client "
                f"takes, and its original may not be pulled: {error.reason}; try again later"
            ) from error

    async def _companion(self, wanted: ManifestRequest, tag: str) -> FoundManifest:
        """What belongs to a manifest by its tag: kept here, or else upstream's."""
        context = self._context
        own = await context.async_store.find_companion(wanted.repository, tag)
        if own is not None:
            return _found(own, own.digest, Origin.CACHED)
        known = await context.tags.resolve(wanted.caller, wanted.repository, tag)
        digest = known.source.digest
        if context.rules.policy(wanted.repository) is not None:
            raw = await self.read(wanted.caller, wanted.repository, digest)
            await context.allowed.check_companion(
                wanted.caller, wanted.repository, tag, raw, self.read
            )
        return await self._unchecked(wanted, digest)

    async def begin(self, caller: Caller, image: Reference) -> Job | Digest | None:
        """The job that squashes an image, or the result's digest if it exists already.

        None if no rule squashes the image. Raises SquashproxyError.
        """
        source = await self._source_of(caller, image)
        recipe = self._context.rules.find(image.repository)
        if recipe is None:
            return None
        key = SquashKey(image.repository, source, recipe.hash)
        await self._context.allowed.check_source(caller, key, recipe, str(image))
        result = await self._results.find(key, recipe)
        return result or self._join(caller, key, recipe.options, str(image))

    async def key_of(self, caller: Caller, image: Reference) -> tuple[SquashKey, CopyOptions]:
        """The key and options for squashing an image; without a rule, with the default options."""
        source = await self._source_of(caller, image)
        recipe = self._context.rules.find(image.repository)
        if recipe is None:
            read = self.read
            await self._context.allowed.check_manifest(caller, image.repository, source, read)
        else:
            known = SquashKey(image.repository, source, recipe.hash)
            await self._context.allowed.check_source(caller, known, recipe, str(image))
        options = CopyOptions() if recipe is None else recipe.options
        return SquashKey(image.repository, source, ""), options

    async def _source_of(self, caller: Caller, image: Reference) -> Digest:
        """The digest that an image names beside its tag, if upstream has it; else the tag's own."""
        context, repository = self._context, image.repository
        if image.tag is None:
            raise UsageError(f"{image} names no tag, and digests are handed out as they are")
        if image.digest is None:
            return (await context.tags.resolve(caller, repository, image.tag)).source.digest
        found = await context.upstream_threads.of(repository.host).run(
            context.upstreams.find_manifest, caller, repository, image.digest
        )
        if found is None:
            raise NotFound(f"{repository} has no manifest {image.digest}", status=404)
        context.grants.grant(caller, repository)
        return image.digest

    async def remake(self, caller: Caller, repository: Repository, blob: Digest) -> bool:
        """Squash the image again that lost a blob; whether it was made in time.

        False if no squashed image of the repository needs the blob.
        """
        above = await self._context.async_store.find_above(repository, blob)
        if above is None:
            return False
        wanted = ManifestRequest(caller, repository)
        return await self._squashed_again(wanted, *above) is not None

    async def close(self) -> None:
        """Cancel the manifests that are being passed through, and the signing of results."""
        await self._single_flight.close()
        await self._reading.close()
        await self._looking.close()
        await self._results.close()

    async def _squashed(
        self, wanted: ManifestRequest, tag: str, known: KnownTag, recipe: Recipe, deadline: float
    ) -> FoundManifest | None:
        """The squashed image, or None if it is not ready in time."""
        key = SquashKey(wanted.repository, known.source.digest, recipe.hash)
        image = f"{wanted.repository}:{tag}"
        origin = Origin.CACHED
        is_own = True
        try:
            result = await self._results.find(key, recipe)
            if result is None:
                origin = Origin.SQUASHED
                job = self._join(wanted.caller, key, recipe.options, image)
                result = await job.wait(self._patience(job, deadline))
                is_own = job.is_own
        except TooManyJobs as error:
            self._on_warning(image, str(error))
            return None
        except Unsigned as error:
            raise for_clients(error, Source(key.repository, key.source)) from error
        except SquashproxyError:
            return None  # the job itself has reported it
        if result is None:
            return None
        self._context.memory.put_result(key, result)
        raw = await self._kept(wanted.repository, result)
        if raw is None:
            self._on_warning(image, f"the store does not have {result}, so the original is served")
            return None
        self._context.allowed.note(wanted.repository, raw)
        if is_own:  # else another server does it now, and this one sees to it with its next pull
            await self._name(wanted.repository, tag, result)
        return _found(raw, result, origin, known.source.digest)

    def _patience(self, job: Job, deadline: float) -> float:
        """Seconds to wait: counted from the job's submission, so that a client waits only once."""
        return min(job.waits_since + self._first_pull.wait, deadline) - time.monotonic()

    def _join(self, caller: Caller, key: SquashKey, options: CopyOptions, image: str) -> Job:
        return self._context.jobs.join(
            SquashOrder(key, image, caller, options),
            lambda sentence: self._on_warning(image, sentence),
        )

    async def _name(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let the tag name the result in the store, too; if that fails, the pull still succeeds.

        One of many pulls does it: registries read a manifest badly while it is being written.
        """
        if self._named.find((repository, tag)) != result:
            self._named[repository, tag] = result
            await self._context.async_store.name_image(repository, tag, result)

    async def _kept(self, repository: Repository, digest: Digest) -> RawManifest | None:
        found = self._context.memory.find_manifest(repository, digest)
        if found is not None:
            return found
        return await self._reading.join(
            (repository, digest), lambda: self._read(repository, digest)
        )

    async def _read(self, repository: Repository, digest: Digest) -> RawManifest | None:
        found = await self._context.async_store.find_manifest(repository, digest)
        if found is not None:
            self._context.memory.put_manifest(repository, digest, found)
        return found

    async def _made_again(self, wanted: ManifestRequest, digest: Digest) -> FoundManifest | None:
        """Squash an evicted image again, if the rules still give the same digest."""
        place = (wanted.repository, digest)
        key = await self._looking.join(place, lambda: self._context.async_store.find_key(*place))
        return None if key is None else await self._squashed_again(wanted, key, digest)

    async def _squashed_again(
        self, wanted: ManifestRequest, key: SquashKey, digest: Digest
    ) -> FoundManifest | None:
        recipe = self._context.rules.find(wanted.repository)
        if recipe is None or key.options != recipe.hash:
            return None
        try:
            job = self._join(wanted.caller, key, recipe.options, f"{wanted.repository}@{digest}")
            result = await job.wait(self._first_pull.wait)
        except SquashproxyError as error:
            self._on_warning(f"{wanted.repository}@{digest}", f"could not be made again: {error}")
            return None
        raw = await self._kept(wanted.repository, digest) if result == digest else None
        return None if raw is None else _found(raw, digest, Origin.SQUASHED, key.source)

    async def _described(self, wanted: ManifestRequest, digest: Digest) -> FoundManifest:
        context = self._context
        descriptor = await context.upstream_threads.of(wanted.repository.host).run(
            context.upstreams.find_manifest, wanted.caller, wanted.repository, digest
        )
        if descriptor is None:
            raise NotFound(f"{wanted.repository} has no manifest {digest}", status=404)
        context.grants.grant(wanted.caller, wanted.repository)
        return FoundManifest(descriptor, Origin.ORIGINAL)

    async def _pass_through(
        self, caller: Caller, repository: Repository, digest: Digest
    ) -> RawManifest:
        raw = await self._fetch(caller, repository, digest)
        self._context.memory.put_manifest(repository, digest, raw)
        await self._context.async_store.keep_manifest(repository, raw)
        return raw

    async def _fetch(self, caller: Caller, repository: Repository, digest: Digest) -> RawManifest:
        context = self._context
        raw = await context.upstream_threads.of(repository.host).run(
            context.upstreams.get_manifest, caller, repository, digest
        )
        context.grants.grant(caller, repository)
        return raw


def _found(
    raw: RawManifest, digest: Digest, origin: Origin, made_from: Digest | None = None
) -> FoundManifest:
    kind = raw.media_type or mediatypes.OCI_MANIFEST
    return FoundManifest(Descriptor(kind, digest, len(raw.data)), origin, raw, made_from)
