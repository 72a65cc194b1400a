"""Images in registries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from squashproxy.digest import Chunk, Digest
from squashproxy.errors import NotFound, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
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


class RegistrySource(_RegistryPlace):
    """An image in a registry."""

    chooses_compression = True

    def find_digest(self) -> Digest:
        """What the reference points to now; costs a HEAD. Raises NotFound."""
        found = self._remote.find_manifest(self._reference.selector)
        if found is None:
            return self.read_manifest().digest
        return found.digest

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest of the reference, or the one of `digest` beside it; digest verified."""
        return self._remote.get_manifest(digest or self._reference.selector)


class RegistrySink(_RegistryPlace):
    """A tag in a registry, to be written."""

    traits = Traits()

    def __init__(self, client: RegistryClient, reference: Reference) -> None:
        if reference.digest is not None or reference.tag is None:
            raise UsageError(
                f"{reference}: a digest cannot be a target, since the result decides it",
                advice="give a tag instead",
            )
        super().__init__(client, reference)
        self._tag = reference.tag

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
        return self._remote.get_manifest(digest)

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
        return self._remote.try_mount(blob.digest, repository)

    def write_blob(
        self,
        chunks: Iterable[Chunk],
        digest: Digest | None = None,
        size: int | None = None,  # noqa: ARG002 - registries want to know it at the end
    ) -> WrittenBlob:
        """Store a stream; the upload session is cancelled where `chunks` raises."""
        return WrittenBlob(*self._remote.upload_blob(chunks, digest))

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:
        """Store a manifest, by its digest alone or under `tag`."""
        self._remote.put_manifest(manifest, tag or manifest.digest)

    def write_referrer(self, manifest: RawManifest) -> None:
        """Store a manifest with a subject, so that the subject's list of referrers names it."""
        self._remote.put_referrer(manifest)

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest under the sink's tag: the last step."""
        self._remote.put_manifest(manifest, self._tag)
