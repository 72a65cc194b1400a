"""A folder of blobs and manifests, each with an entry in the ledger.

The ledger says which repositories may see a file. A file whose size or digest differs from the
ledger was changed from outside: it is removed, and the next pull fetches or squashes it again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from squashproxy.atomic_file import AtomicFile, write_all
from squashproxy.cancellation import Cancellation
from squashproxy.digest import Chunk, Digest, digest_of
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.reference import Repository
from squashproxy.server.store.base import KeptBlob, UpstreamCheck
from squashproxy.server.store.ledger import Entry, Ledger
from squashproxy.server.store.spools import append, write_error
from squashproxy.streams import CHUNK
from squashproxy.transports.layout import blob_path


class BlobFolder:
    """The files below `root`; usable from several threads.

    `generation` goes up whenever a file that was there may be gone. Raises StoreFull where the disk
    is full and ArchiveError where it cannot be written.
    """

    def __init__(self, root: Path, ledger: Ledger, clock: Callable[[], float]) -> None:
        self.generation = 0
        self._root = root
        self._ledger = ledger
        self._clock = clock
        self._held: Counter[Digest] = Counter()
        self._lock = threading.Lock()

    def find_manifest(self, repository: Repository, digest: Digest) -> RawManifest | None:
        """A manifest that the repository may see, its digest verified."""
        entry = self._ledger.find(repository, digest)
        if entry is None or entry.media_type is None:
            return None
        try:
            data = self.path_of(digest).read_bytes()
        except OSError:
            data = b""
        if len(data) != entry.size or digest_of(data) != digest:
            self._forget(digest)
            return None
        return RawManifest(data, entry.media_type)

    def keep_manifest(self, repository: Repository, manifest: RawManifest) -> None:
        """Store a manifest, and note which blobs it needs."""
        digest = manifest.digest
        with self.new_file() as file:
            append(file.stream, manifest.data, str(self._root))
            self._publish(file, digest)
        with self._ledger.changes():
            entry = Entry(digest, len(manifest.data), manifest.media_type)
            self._ledger.add(entry, self._clock())
            self._ledger.link(repository, digest)
            self._ledger.need(digest, _children(manifest))

    def find_blob(self, repository: Repository, digest: Digest) -> KeptBlob | None:
        """A blob that the repository may see."""
        return self._kept(self._ledger.find(repository, digest))

    def iter_blob(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob in chunks of 256 KiB."""
        with self.path_of(digest).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def adopt_blob(
        self, repository: Repository, digest: Digest, is_upstream: UpstreamCheck
    ) -> KeptBlob | None:
        """Let the repository see a blob of another one on its host, if upstream has it in both."""
        found = self._kept(self._ledger.find_on_host(repository.host, digest))
        if found is None or not is_upstream(digest):
            return None
        self._ledger.link(repository, digest)
        return found

    def keep_file(
        self, file: AtomicFile, repository: Repository, digest: Digest, size: int
    ) -> None:
        """Turn a file, whose bytes have that digest, into a blob of the repository."""
        self._publish(file, digest)
        with self._ledger.changes():
            self._ledger.add(Entry(digest, size, None), self._clock())
            self._ledger.link(repository, digest)

    def new_file(self) -> AtomicFile:
        """A file in the folder that vanishes unless it is kept."""
        try:
            return AtomicFile(self._root)
        except OSError as error:
            raise write_error(str(self._root), error) from error

    def put(self, path: Path, data: bytes) -> None:
        """Write a file that is not a blob, in place of one that is there."""
        try:
            with AtomicFile(self._root) as file:
                write_all(file.stream, data)
                file.publish(path)
        except OSError as error:
            raise write_error(str(self._root), error) from error

    def path_of(self, digest: Digest) -> Path:
        """The file of a blob."""
        return self._root / blob_path(digest)

    def remove_file(self, digest: Digest) -> None:
        """Remove the file of an entry that the ledger has forgotten."""
        with suppress(OSError):
            self.path_of(digest).unlink()
        self.generation += 1

    def hold(self, digest: Digest) -> None:
        """Protect a blob from eviction; to be released as often as it is held."""
        with self._lock:
            self._held[digest] += 1

    def release(self, digest: Digest) -> None:
        """Undo one `hold`."""
        with self._lock:
            self._held[digest] -= 1
            if not self._held[digest]:
                del self._held[digest]

    @property
    def held(self) -> set[Digest]:
        """The blobs that must not be evicted now."""
        with self._lock:
            return set(self._held)

    def _kept(self, entry: Entry | None) -> KeptBlob | None:
        if entry is None:
            return None
        path = self.path_of(entry.digest)
        try:
            is_whole = path.stat().st_size == entry.size
        except OSError:
            is_whole = False
        if not is_whole:
            self._forget(entry.digest)
            return None
        return KeptBlob(entry.digest, entry.size, path)

    def _forget(self, digest: Digest) -> None:
        with self._ledger.changes():
            self._ledger.remove(digest)
        self.remove_file(digest)

    def _publish(self, file: AtomicFile, digest: Digest) -> None:
        try:
            with suppress(FileExistsError):
                file.publish_new(self.path_of(digest))
        except OSError as error:
            raise write_error(str(self._root), error) from error


class DirectorySpool:
    """A blob on its way into the folder; see Spool."""

    def __init__(self, folder: BlobFolder) -> None:
        self._folder = folder
        self._file = folder.new_file()

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.stream.fileno()

    def write(self, chunk: Chunk) -> None:
        """Append. Raises StoreFull or ArchiveError."""
        append(self._file.stream, chunk, "the store")

    def keep(self, repository: Repository, blob: Descriptor, cancellation: Cancellation) -> None:  # noqa: ARG002 - it takes no time
        """Let it be a blob of the repository."""
        self._folder.keep_file(self._file, repository, blob.digest, blob.size)

    def close(self) -> None:
        """Forget it, unless it was kept."""
        self._file.abandon()


def _children(manifest: RawManifest) -> list[Digest]:
    """The digests that a manifest names; none if it is unreadable, as it is kept all the same."""
    try:
        parsed = parse_manifest(manifest, "a manifest in the store")
    except FormatError:
        return []
    if isinstance(parsed, ImageIndex):
        return [child.descriptor.digest for child in parsed.children]
    return [parsed.config.digest, *(layer.digest for layer in parsed.layers)]
