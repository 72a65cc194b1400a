"""Images in registries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from squashproxy.digest import Chunk, Digest
from squashproxy.errors import ContentMissing, NotFound, RegistryError, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Reference, Repository, is_tag
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.referrers import COMPANION_SUFFIXES, fallback_tag
from squashproxy.streams import Repeatable
from squashproxy.transports.base import Traits, WrittenBlob


class _RegistryPlace:
    """The common part of sources and sinks in registries."""

    spooled_bytes = 0

    def __init__(self, client: RegistryClient, reference: Reference) -> None:
        self._reference = reference
        self._client = client
        self._remote = client.repository(reference.repository)

    @property
    def name(self) -> str:
        """The reference, for people."""
        return str(self._reference)

    @property
    def repository(self) -> Repository:
        """The repository of the image."""
        return self._reference.repository

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob that the repository holds; size and digest are checked at its end."""
        return self._remote.iter_blob(blob)

    def close(self) -> None:
        """Do nothing: the client holds the connections, and is closed by its owner."""


@dataclass(frozen=True, slots=True)
class RepositoryManifests:
    """The manifests of a repository, to be read by their digests."""

    remote: RemoteRepository

    @property
    def name(self) -> str:
        """The repository, for people."""
        return str(self.remote.name)

    def read_manifest(self, digest: Digest) -> RawManifest:
        """The manifest of `digest`; digest verified."""
        return self.remote.get_manifest(digest)


class RegistrySource(_RegistryPlace):
    """An image in a registry. `tags` are all tags of its repository, None where unknown."""

    chooses_compression = True
    keeps_digests = True

    def __init__(
        self, client: RegistryClient, reference: Reference, tags: Collection[str] | None = None
    ) -> None:
        super().__init__(client, reference)
        self._tags = tags
        self._lists_tags = True
        self._lists_referrers = True

    def find_digest(self) -> Digest:
        """What the reference points to now; costs a HEAD. Raises NotFound."""
        found = self._remote.find_manifest(self._reference.selector)
        if found is None:
            return self.read_manifest().digest
        return found.digest

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest of the reference, or the one of `digest` beside it; digest verified."""
        return self._remote.get_manifest(digest or self._reference.selector)

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...] | None:
        """The manifests whose subject is `digest`; None where the registry has no referrers API.

        Raises ReferrersUnknown.
        """
        listed = self._remote.list_referrers(digest) if self._lists_referrers else None
        self._lists_referrers = listed is not None
        return listed

    def companion_tags(self, digest: Digest) -> tuple[str, ...]:
        """The tags that begin as the manifest's list of referrers is called.

        All tags are listed, once. Where that is refused, those that cosign and clients use are
        asked for.
        """
        name = fallback_tag(digest)
        if self._tags is None and self._lists_tags:
            self._tags = self._try_list_tags()
            self._lists_tags = self._tags is not None
        if self._tags is None:
            find = self._remote.find_companion
            return tuple(name + each for each in COMPANION_SUFFIXES if find(digest, each))
        return tuple(sorted(tag for tag in self._tags if tag.startswith(name) and is_tag(tag)))

    def _try_list_tags(self) -> frozenset[str] | None:
        try:
            return frozenset(self._remote.iter_listed_names())
        except RegistryError as error:
            if error.temporary:
                raise
            return None

    def find_tag(self, tag: str) -> Digest | None:
        """What another tag of the repository points to; None for nothing."""
        found = self._remote.find_manifest(tag)
        return None if found is None else found.digest


class RegistrySink(_RegistryPlace):
    """A tag in a registry, to be written. `held` are manifests that were read already."""

    traits = Traits()

    def __init__(
        self,
        client: RegistryClient,
        reference: Reference,
        held: Mapping[Digest, RawManifest] = MappingProxyType({}),
    ) -> None:
        if reference.digest is not None or reference.tag is None:
            raise UsageError(
                f"{reference}: a digest cannot be a target, since the result decides it",
                advice="give a tag instead",
            )
        super().__init__(client, reference)
        self._tag = reference.tag
        self._held = held
        self._mounted: dict[Digest, tuple[Descriptor, Repository]] = {}

    @property
    def tag(self) -> str:
        """The tag that the image gets in the end."""
        return self._tag

    def find_manifest(self, tag: str | None = None) -> Digest | None:
        """What the tag (by default the sink's own) points to now, None for nothing."""
        found = self._remote.find_manifest(tag or self._tag)
        return None if found is None else found.digest

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest that the repository holds already."""
        return self._held.get(digest) or self._remote.get_manifest(digest)

    def has_blob(self, blob: Descriptor, repository: Repository | None = None) -> bool:
        """Whether the sink's repository, or another one of its registry, holds the blob."""
        if repository is None:
            return self._remote.find_blob(blob.digest) is not None
        if repository.host != self.repository.host:
            return False
        try:
            return self._client.repository(repository).find_blob(blob.digest) is not None
        except NotFound:
            return False

    def try_mount(self, blob: Descriptor, repository: Repository) -> bool:
        """Make a blob of another repository of this registry appear here without moving it."""
        if repository.host != self.repository.host or repository == self.repository:
            return False
        mounted = self._remote.try_mount(blob.digest, repository)
        if mounted:
            self._mounted[blob.digest] = blob, repository
        return mounted

    def write_blob(
        self,
        chunks: Iterable[Chunk],
        digest: Digest | None = None,
        size: int | None = None,  # noqa: ARG002 - registries want to know it at the end
    ) -> WrittenBlob:
        """Store a stream; the upload session is cancelled where `chunks` raises.

        Chunks that can be made again are sent anew where the registry loses the session.
        """
        return WrittenBlob(*self._remote.upload_blob(chunks, digest))

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:
        """Store a manifest, by its digest alone or under `tag`."""
        self._complete(lambda: self._remote.put_manifest(manifest, tag or manifest.digest))

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest`, by the registry's list or the one under a tag.

        Raises ReferrersUnknown.
        """
        listed = self._remote.list_referrers(digest)
        return self._remote.list_referrers_by_tag(digest) if listed is None else listed

    def write_companion(self, manifest: RawManifest, tag: str) -> None:
        """Store a manifest under a tag that belongs to the image."""
        self._complete(lambda: self._remote.put_manifest(manifest, tag))

    def write_referrer(self, manifest: RawManifest) -> None:
        """Store a manifest with a subject, so that the subject's list of referrers names it."""
        self._complete(lambda: self._remote.put_referrer(manifest))

    def iter_tags(self, repository: Repository) -> Iterator[str]:
        """The names that a repository of this registry lists as tags, valid or not."""
        if repository.host != self.repository.host:
            return
        try:
            yield from self._client.repository(repository).iter_listed_names()
        except NotFound:
            return

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest under the sink's tag: the last step."""
        self._complete(lambda: self._remote.put_manifest(manifest, self._tag))

    def _complete(self, put: Callable[[], None]) -> None:
        """Store a manifest. If mounted blobs turn out to be missing, upload them and try once more.

        Some registries say that they mounted a blob and do not hold it then (issue 26).
        """
        try:
            put()
        except ContentMissing as error:
            lost = self._lost_mounts(error.digests)
            if not lost:
                raise
            for blob, repository in lost:
                held = partial(self._client.repository(repository).iter_blob, blob)
                self._remote.upload_blob(Repeatable(held), blob.digest, blob.size)
            put()

    def _lost_mounts(self, missing: frozenset[str]) -> list[tuple[Descriptor, Repository]]:
        """The mounted blobs to upload, given what the registry misses, as far as it said so.

        It may have named the first of several.
        """
        if missing and missing.isdisjoint(self._mounted):
            return []
        lost = {
            digest
            for digest in self._mounted
            if digest in missing or self._remote.find_blob(digest) is None
        }
        return [self._mounted.pop(digest) for digest in lost or tuple(self._mounted)]
