"""The digests that may be pulled from a repository whose rule has `require_signature`.

Manifests:

1. squashed images whose source was checked, and the images that such an index lists;
2. originals that are signed, and what a signed index lists: its signer names that by digest;
3. what refers to one of these (`subject`), such as a signature, if no client runs it as an image;
4. under a tag such as `sha256-HEX.sig`: signatures of one of these, if they hold nothing but JSON.

Blobs: what an allowed manifest names. A store in a registry does not know that of a blob, and
another replica may have handed out the manifest, so there blobs are not refused: whoever asks for
one knows its digest from a manifest.

Everything else is refused, also if it is in the store since an earlier time.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, NotFound, SquashproxyError, Unsigned
from squashproxy.lru import LruCache
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, ImageManifest, RawManifest, parse_manifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.referrers import subject_in, subject_of
from squashproxy.server.auth.caller import Caller
from squashproxy.server.concurrency.shares import SharedThreads
from squashproxy.server.jobs.policy import SignaturePolicy
from squashproxy.server.jobs.rules import Recipe, Rules
from squashproxy.server.pull.sources import SignedSources, Source
from squashproxy.server.store.async_store import AsyncStore
from squashproxy.server.store.base import SquashKey
from squashproxy.server.upstream.clients import UpstreamClients

_MOST = 200_000
_DEEPEST = 3
_IMAGE_CONFIGS = mediatypes.CONFIGS | mediatypes.OLD_CONFIGS
_MOST_DOCUMENTS = 64
_MOST_DOCUMENT = 1 << 20
_DOCUMENTS = frozenset(
    {
        "application/vnd.dev.cosign.simplesigning.v1+json",
        "application/vnd.dsse.envelope.v1+json",
    }
)
"""Layers of cosign's signatures and attestations under a tag (cosign, SIGNATURE_SPEC.md)."""

ReadManifest = Callable[[Caller, Repository, Digest], Awaitable[RawManifest]]
"""Reads a manifest from the store or from upstream."""


class AllowedDigests:
    """Decides about digests. Raises Unsigned, and errors of upstream.

    `on_refusal` is called with an image and the reason, for each pull that is refused.
    """

    def __init__(
        self,
        rules: Rules,
        sources: SignedSources,
        async_store: AsyncStore,
        upstreams: UpstreamClients,
        threads: SharedThreads,
        *,
        knows_blobs: bool,
        on_refusal: Callable[[str, str], None],
    ) -> None:
        self._rules = rules
        self._sources = sources
        self._async_store = async_store
        self._upstreams = upstreams
        self._threads = threads
        self._knows_blobs = knows_blobs
        self._on_refusal = on_refusal
        self._manifests: LruCache[tuple[Repository, Digest], bool] = LruCache(_MOST)
        self._blobs: LruCache[tuple[Repository, Digest], bool] = LruCache(_MOST)

    def note(self, repository: Repository, raw: RawManifest) -> None:
        """Allow what an allowed manifest names."""
        if self._rules.policy(repository) is None:
            return
        self._manifests[repository, raw.digest] = True
        try:
            parsed = parse_manifest(raw, "a manifest")
        except FormatError:
            return
        if isinstance(parsed, ImageIndex):
            for child in parsed.children:
                self._manifests[repository, child.descriptor.digest] = True
            return
        for blob in (parsed.config, *parsed.layers):
            self._blobs[repository, blob.digest] = True

    def is_known_source(self, repository: Repository, source: Digest) -> bool:
        """Whether a source may be squashed, as far as is known without asking anybody."""
        if self._rules.policy(repository) is None:
            return True
        return self._sources.is_signed(Source(repository, source))

    async def check_source(
        self, caller: Caller, key: SquashKey, recipe: Recipe, image: str
    ) -> None:
        """Check that a source may be squashed; `image` is its name for people.

        A result whose source was checked says so, also after a restart while upstream is down.
        """
        repository = key.repository
        policy = self._rules.policy(repository)
        source = Source(repository, key.source)
        if policy is None or self._sources.is_signed(source):
            return
        result = await self._async_store.find_squashed(key)
        if result is not None and await self._async_store.is_checked(
            repository, policy.hash_for(repository), result
        ):
            self._sources.note_signed(source)
            return
        try:
            await self._sources.check(caller, source, recipe.options)
        except Unsigned as refusal:
            self._on_refusal(image, str(refusal))
            raise

    async def check_manifest(
        self, caller: Caller, repository: Repository, digest: Digest, read: ReadManifest
    ) -> None:
        """Check that a manifest may be pulled by its digest."""
        try:
            await self._check_manifest(caller, repository, digest, read)
        except Unsigned as refusal:
            self._on_refusal(f"{repository}@{digest}", str(refusal))
            raise

    async def check_blob(
        self, caller: Caller, repository: Repository, digest: Digest, read: ReadManifest
    ) -> None:
        """Check that a blob may be pulled."""
        policy = self._rules.policy(repository)
        if policy is None or not self._knows_blobs or self._blobs.find((repository, digest)):
            return
        if await self._async_store.is_checked(repository, policy.hash_for(repository), digest):
            return
        for parent in await self._async_store.parents(repository, digest):
            with suppress(Unsigned, NotFound):
                await self._check_manifest(caller, repository, parent, read)
                return
        refusal = Unsigned(
            f"{repository} hands out no blob {digest} here, since no image needs it that is known "
            "to be signed as required",
            advice="pull the image itself again",
        )
        self._on_refusal(f"{repository}@{digest}", str(refusal))
        raise refusal

    async def check_companion(
        self, caller: Caller, repository: Repository, tag: str, raw: RawManifest, read: ReadManifest
    ) -> None:
        """Check that what upstream has under a tag such as `sha256-HEX.sig` may be pulled."""
        if self._rules.policy(repository) is None:
            return
        subject = subject_in(tag)
        assert subject is not None, "the tag belongs to a manifest"
        with suppress(Unsigned):
            await self._check_manifest(caller, repository, raw.digest, read)
            return
        await self.check_manifest(caller, repository, subject, read)
        parsed = parse_manifest(raw, f"the tag {tag} of {repository}")
        if isinstance(parsed, ImageIndex):
            return  # a list of referrers, each of which is checked when it is pulled
        if _may_run(parsed) and not await self._holds_documents(caller, repository, parsed):
            refusal = Unsigned(
                f"{repository}:{tag} is not signed by a key that is required here, and it holds "
                "more than signatures",
                advice="pull the image that it belongs to",
            )
            self._on_refusal(f"{repository}:{tag}", str(refusal))
            raise refusal
        self.note(repository, raw)

    async def _check_manifest(
        self,
        caller: Caller,
        repository: Repository,
        digest: Digest,
        read: ReadManifest,
        depth: int = 0,
    ) -> None:
        policy = self._rules.policy(repository)
        if policy is None or self._manifests.find((repository, digest)):
            return
        if await self._async_store.is_checked(repository, policy.hash_for(repository), digest):
            self._manifests[repository, digest] = True
            return
        made_from = await self._find_key(repository, digest)
        if made_from is not None:
            await self._check_result(caller, made_from, policy)
            self._manifests[repository, digest] = True
            return
        source = Source(repository, digest, is_whole=True)
        try:
            raw = await self._sources.check(caller, source, policy.options)
        except (Unsigned, NotFound):  # upstream does not know what only the store has
            if await self._is_listed(caller, repository, digest):
                self._manifests[repository, digest] = True
            elif not await self._refers(caller, repository, digest, read, depth):
                raise
        else:
            self._manifests[repository, digest] = True
            if raw is not None:
                self.note(repository, raw)
                await self._share(repository, raw, policy)

    async def _share(
        self, repository: Repository, raw: RawManifest, policy: SignaturePolicy
    ) -> None:
        """Tell other servers of the store what a signed index lists: a client may ask them for it,
        and none of it need be signed by itself.
        """
        parsed = parse_manifest(raw, "a manifest")
        if isinstance(parsed, ImageIndex):
            listed = [child.descriptor.digest for child in parsed.children]
            await self._async_store.note_listed(repository, policy.hash_for(repository), listed)

    async def _find_key(self, repository: Repository, digest: Digest) -> SquashKey | None:
        """What a squashed image, or one that such an index lists, was made from.

        An image that squashing left as it is may carry any annotation of its maker's, so what an
        image says of itself counts only if the map of the store says so, too.
        """
        above = await self._async_store.find_above(repository, digest)
        if above is not None:
            return above[0]
        key = await self._async_store.find_key(repository, digest)
        if key is None or await self._async_store.find_squashed(key) != digest:
            return None
        return key

    async def _check_result(self, caller: Caller, key: SquashKey, policy: SignaturePolicy) -> None:
        """Check the source of an image that was squashed before the rule asked for signatures."""
        recipe = self._rules.find(key.repository)
        if recipe is not None and recipe.hash == key.options:
            await self._sources.check(caller, Source(key.repository, key.source), recipe.options)
        else:
            source = Source(key.repository, key.source, is_whole=True)
            await self._sources.check(caller, source, policy.options)

    async def _is_listed(self, caller: Caller, repository: Repository, digest: Digest) -> bool:
        """Whether a signed manifest in the store needs the digest."""
        policy = self._rules.policy(repository)
        assert policy is not None, "the repository has a policy"
        for parent in await self._async_store.parents(repository, digest):
            with suppress(Unsigned, NotFound):
                source = Source(repository, parent, is_whole=True)
                await self._sources.check(caller, source, policy.options)
                return True
        return False

    async def _refers(
        self,
        caller: Caller,
        repository: Repository,
        digest: Digest,
        read: ReadManifest,
        depth: int,
    ) -> bool:
        """Whether a manifest is no image, and refers to one that is allowed."""
        if depth >= _DEEPEST:
            return False
        try:
            raw = await read(caller, repository, digest)
            parsed = parse_manifest(raw, "a referrer")
            if isinstance(parsed, ImageIndex) or _may_run(parsed):
                return False
            subject = subject_of(raw)
        except (FormatError, NotFound):
            return False
        try:
            await self._check_manifest(caller, repository, subject, read, depth + 1)
        except (Unsigned, NotFound):
            return False
        self.note(repository, raw)
        return True

    async def _holds_documents(
        self, caller: Caller, repository: Repository, image: ImageManifest
    ) -> bool:
        """Whether all layers of an image are signatures or envelopes in JSON, as they should be."""
        layers = image.layers
        if len(layers) > _MOST_DOCUMENTS or any(map(_is_no_document, layers)):
            return False

        def are_json(client: RegistryClient) -> bool:
            remote = client.repository(repository)
            return all(_is_json(b"".join(remote.iter_blob(layer))) for layer in layers)

        threads = self._threads.of(repository.host)
        try:
            return await threads.run(self._upstreams.ask, caller, repository, are_json)
        except SquashproxyError as error:
            if error.temporary:
                raise
            return False


def _may_run(manifest: ImageManifest) -> bool:
    """Whether clients take a manifest for an image, which its config decides for all of them."""
    return manifest.config.media_type in _IMAGE_CONFIGS


def _is_no_document(layer: Descriptor) -> bool:
    return layer.media_type not in _DOCUMENTS or layer.size > _MOST_DOCUMENT


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
