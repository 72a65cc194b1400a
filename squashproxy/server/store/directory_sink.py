"""The sink of a squashing job whose store is a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Chunk, Digest, Hasher, check_written
from squashproxy.errors import ArchiveError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.server.store.attachments import Attachments
from squashproxy.server.store.base import SquashKey, SquashRecord, UpstreamCheck
from squashproxy.server.store.blob_folder import BlobFolder
from squashproxy.transports.base import Traits, WrittenBlob


class DirectorySink:
    """Writes into the folder for the repository of `key`.

    The blobs of a failed job stay: the next job finds them there, or they are evicted.
    `keep_result` enters the record of a finished job in the map of squashed images.
    """

    repository = None
    tag = None
    spooled_bytes = 0
    traits = Traits(docker=False)

    def __init__(
        self,
        folder: BlobFolder,
        attachments: Attachments,
        keep_result: Callable[[SquashKey, SquashRecord], None],
        key: SquashKey,
        image: str,
        *,
        is_upstream: UpstreamCheck,
        cancellation: Cancellation,
    ) -> None:
        self._folder = folder
        self._attachments = attachments
        self._keep_result = keep_result
        self._is_upstream = is_upstream
        self._cancellation = cancellation
        self._key = key
        self._held: set[Digest] = set()
        self.name = f"{image}, squashed"

    def find_manifest(self, tag: str | None = None) -> Digest | None:
        """What a tag beside the image points to. None for the image itself: a job runs only if it
        is not squashed yet.
        """
        if tag is None:
            return None
        raw = self._attachments.find_companion(self._key.repository, tag)
        return None if raw is None else raw.digest

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest that the job wrote. Raises ArchiveError."""
        found = self._folder.find_manifest(self._key.repository, digest)
        if found is None:
            raise ArchiveError(f"the store holds no manifest {digest} of {self._key.repository}")
        return found

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob that the job wrote."""
        return self._folder.iter_blob(blob.digest)

    def has_blob(self, blob: Descriptor, repository: Repository | None = None) -> bool:
        """Whether the repository's blob is kept; if so, it is held until the job is over."""
        if repository is not None:
            return False
        self._hold(blob.digest)
        repository = self._key.repository
        found = self._folder.find_blob(repository, blob.digest) or self._folder.adopt_blob(
            repository, blob.digest, self._is_upstream
        )
        if found is None or found.size != blob.size:
            return False
        return self._folder.is_sound(blob.digest, self._cancellation)

    def try_mount(self, blob: Descriptor, repository: Repository) -> bool:  # noqa: ARG002 - the protocol's names
        """False: blobs of other repositories are adopted by `has_blob` instead."""
        return False

    def write_blob(
        self,
        chunks: Iterable[Chunk],
        digest: Digest | None = None,
        size: int | None = None,  # noqa: ARG002 - files grow
    ) -> WrittenBlob:
        """Store a stream; the blob appears as a whole or not at all."""
        hasher = Hasher(digest)
        with self._folder.new_file() as file:
            for chunk in chunks:
                self._cancellation.check()
                hasher.update(chunk)
                file.append(chunk)
            check_written(hasher, digest, self.name)
            self._hold(hasher.digest)
            self._folder.keep_file(file.file, self._key.repository, hasher.digest, hasher.size)
        return WrittenBlob(hasher.digest, hasher.size)

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:  # noqa: ARG002 - the protocol's names
        """Store a manifest by its digest."""
        self._hold(manifest.digest)
        self._folder.keep_manifest(self._key.repository, manifest)

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest`."""
        return self._attachments.list_referrers(self._key.repository, digest)

    def write_referrer(self, manifest: RawManifest) -> None:
        """Store a manifest with a subject, and list it."""
        self._hold(manifest.digest)
        self._attachments.add_referrer(self._key.repository, manifest)

    def write_companion(self, manifest: RawManifest, tag: str) -> None:
        """Store a manifest under a tag beside the image."""
        self._hold(manifest.digest)
        self._attachments.put_companion(self._key.repository, manifest, tag)

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest; `record` makes it found."""
        self.write_manifest(manifest)

    def record(self, record: SquashRecord) -> None:
        """Enter the result in the map of squashed images."""
        self._keep_result(self._key, record)

    def close(self) -> None:
        """Release what was written, so that it can be evicted like anything else."""
        held, self._held = self._held, set()
        for digest in held:
            self._folder.release(digest)

    def _hold(self, digest: Digest) -> None:
        if digest not in self._held:
            self._held.add(digest)
            self._folder.hold(digest)
