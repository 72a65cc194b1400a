"""A folder of blobs and manifests, each with an entry in the ledger.

The ledger says which repositories may see a file. A file whose size or digest differs from the
ledger was changed from outside, or by its disk: it is put aside, and the next pull fetches or
squashes it again. Blobs are hashed before they are handed out for the first time after a start, and
once a day.
"""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from squashproxy.atomic_file import AtomicFile, write_all
from squashproxy.cancellation import Cancellation
from squashproxy.digest import Chunk, Digest, Hasher, digest_of
from squashproxy.errors import ArchiveError, FormatError, reason_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.reference import Repository
from squashproxy.server.store.base import KeptBlob, UpstreamCheck
from squashproxy.server.store.growing_file import GrowingFile
from squashproxy.server.store.ledger import Entry, Ledger
from squashproxy.server.store.room import Room
from squashproxy.server.store.spools import write_error
from squashproxy.streams import CHUNK
from squashproxy.transports.layout import blob_path

DAMAGED = "damaged"
"""The folder of files that were put aside."""

_MOST_DAMAGED = 3
_DAY = 24 * 3600.0
_LOST = frozenset({errno.ENOENT, errno.EIO})
"""Errors of a file that is gone, or that its disk cannot read any more."""


class BlobFolder:
    """The files below `root`; usable from several threads.

    `generation` goes up whenever a file that was there may be gone. Raises StoreFull where the disk
    is full and ArchiveError where it cannot be written.
    """

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        room: Room,
        clock: Callable[[], float],
        on_warning: Callable[[str], None],
    ) -> None:
        self.generation = 0
        self._root = root
        self._ledger = ledger
        self._room = room
        self._clock = clock
        self._on_warning = on_warning
        self._held: Counter[Digest] = Counter()
        self._lock = threading.Lock()
        self._sound: set[Digest] = set()
        self._to_hash: list[Entry] = []
        self._next_round = 0.0

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
            self._forget_damaged(digest)
            return None
        return RawManifest(data, entry.media_type)

    def keep_manifest(self, repository: Repository, manifest: RawManifest) -> None:
        """Store a manifest, and note which blobs it needs."""
        digest = manifest.digest
        with self.new_file(len(manifest.data)) as file:
            file.append(manifest.data)
            self._publish(file.file, digest)
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
        self._sound.add(digest)
        with self._ledger.changes():
            self._ledger.add(Entry(digest, size, None), self._clock())
            self._ledger.link(repository, digest)

    def is_sound(self, digest: Digest, cancellation: Cancellation) -> bool:
        """Whether a blob's file has that digest; it is hashed unless that was done since the start.

        A damaged file is put aside and forgotten. Raises Cancelled.
        """
        return digest in self._sound or self._hash(digest, cancellation)

    def hash_some(self, most: int, cancellation: Cancellation) -> None:
        """Hash the next blobs, about `most` bytes of them; once all were hashed, rest for a day.

        Raises Cancelled.
        """
        if not self._to_hash:
            if self._clock() < self._next_round:
                return
            self._next_round = self._clock() + _DAY
            self._to_hash = [entry for entry in self._ledger.entries() if entry.media_type is None]
        while self._to_hash and most > 0:
            entry = self._to_hash.pop()
            most -= entry.size
            self._hash(entry.digest, cancellation)

    def new_file(self, expected: int = 0) -> GrowingFile:
        """A file in the folder that vanishes unless it is kept; `expected` is its size in bytes."""
        try:
            file = AtomicFile(self._root)
        except OSError as error:
            raise write_error(str(self._root), error) from error
        return GrowingFile(file, self._room, "the store", expected)

    def put(self, path: Path, data: bytes) -> None:
        """Write a file that is not a blob, unless it holds that already."""
        try:
            with suppress(FileNotFoundError):
                if path.read_bytes() == data:
                    return
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
        self._sound.discard(digest)
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
            self._forget_damaged(entry.digest)
            return None
        return KeptBlob(entry.digest, entry.size, path, is_hashed=entry.digest in self._sound)

    def _hash(self, digest: Digest, cancellation: Cancellation) -> bool:
        hasher = Hasher(digest)
        try:
            with self.path_of(digest).open("rb") as file:
                while chunk := file.read(CHUNK):
                    cancellation.check()
                    hasher.update(chunk)
        except OSError as error:
            if error.errno not in _LOST:
                raise ArchiveError(f"{digest} cannot be read: {reason_of(error)}") from error
        if hasher.digest == digest:
            self._sound.add(digest)
            return True
        self._forget_damaged(digest)
        return False

    def _forget_damaged(self, digest: Digest) -> None:
        """Put the file aside, if there is one, and forget its entry."""
        path, folder = self.path_of(digest), self._root / DAMAGED
        try:
            folder.mkdir(exist_ok=True)
            path.replace(folder / path.name)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise write_error(str(self._root), error) from error
        else:
            self._on_warning(
                f"{digest} was damaged on its disk; it is in {folder.name} now, and is brought "
                "again when it is wanted"
            )
            _keep_newest(folder)
        with self._ledger.changes():
            self._ledger.remove(digest)
        self.remove_file(digest)

    def _publish(self, file: AtomicFile, digest: Digest) -> None:
        """Let the file be the blob's, also in place of one whose bytes may be damaged."""
        try:
            file.publish(self.path_of(digest))
        except OSError as error:
            raise write_error(str(self._root), error) from error


class DirectorySpool:
    """A blob on its way into the folder; see Spool."""

    def __init__(self, folder: BlobFolder, expected: int) -> None:
        self._folder = folder
        self._file = folder.new_file(expected)

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def write(self, chunk: Chunk) -> None:
        """Append. Raises StoreFull or ArchiveError."""
        self._file.append(chunk)

    def keep(self, repository: Repository, blob: Descriptor, cancellation: Cancellation) -> None:  # noqa: ARG002 - it takes no time
        """Let it be a blob of the repository."""
        self._folder.keep_file(self._file.file, repository, blob.digest, blob.size)

    def close(self) -> None:
        """Forget it, unless it was kept."""
        self._file.close()


def _keep_newest(folder: Path) -> None:
    """Remove damaged files above _MOST_DAMAGED, the oldest first."""
    with suppress(OSError):
        files = sorted(folder.iterdir(), key=lambda path: path.stat().st_ctime)
        for path in files[:-_MOST_DAMAGED]:
            path.unlink()


def _children(manifest: RawManifest) -> list[Digest]:
    """The digests that a manifest names; none if it is unreadable, as it is kept all the same."""
    try:
        parsed = parse_manifest(manifest, "a manifest in the store")
    except FormatError:
        return []
    if isinstance(parsed, ImageIndex):
        return [child.descriptor.digest for child in parsed.children]
    return [parsed.config.digest, *(layer.digest for layer in parsed.layers)]
