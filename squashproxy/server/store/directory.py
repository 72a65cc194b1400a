"""A directory as the store: an OCI image layout, with a ledger beside it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from squashproxy.atomic_file import WholeFile, write_all
from squashproxy.digest import Chunk, Digest, digest_of
from squashproxy.errors import FormatError, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, encode_json, parse_manifest
from squashproxy.reference import Repository
from squashproxy.server.store.base import (
    KeptBlob,
    KnownTag,
    SquashKey,
    SquashRecord,
    UpstreamCheck,
    Usage,
)
from squashproxy.server.store.directory_sink import DirectorySink
from squashproxy.server.store.eviction import evict
from squashproxy.server.store.ledger import Entry, Ledger
from squashproxy.server.store.spools import append, write_error
from squashproxy.server.store.sweep import sweep
from squashproxy.transports.layout import (
    INDEX,
    LAYOUT,
    LAYOUT_DOCUMENT,
    REF_NAME,
    blob_path,
)
from squashproxy.transports.layout_index import empty_index
from squashproxy.transports.writable import check_folder

_LEDGER = "squashproxy.db"
_ALGORITHMS = ("sha256", "sha512")


class DirectoryStore:
    """Blobs under `blobs/`, squashed images by name in `index.json`, the rest in the ledger.

    `most` is its bound in bytes. Raises UsageError for a folder that holds something else, or that
    another process serves from; ArchiveError where it cannot be written.
    """

    def __init__(self, root: Path, most: int, *, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._most = most
        self._clock = clock
        self._held: Counter[Digest] = Counter()
        self._holding = threading.Lock()
        self._naming = threading.Lock()
        self._evictions = 0
        self.generation = 0
        check_folder(root)
        self._check_free()
        try:
            for algorithm in _ALGORITHMS:
                (root / "blobs" / algorithm).mkdir(parents=True, exist_ok=True)
            self._lock = self._lock_folder()
            self._ledger = self._open_ledger()
            self._put(root / LAYOUT, LAYOUT_DOCUMENT)
        except OSError as error:
            raise write_error(str(root), error) from error
        sweep(root, self._ledger, self._clock())
        self._write_index()

    def find_squashed(self, key: SquashKey) -> Digest | None:
        """The squashed image of a source; all of it is there, and the repository may see it."""
        result = self._ledger.find_result(key)
        if result is None or not self._is_whole(result):
            return None
        if self._ledger.find(key.repository, result) is None:
            self._ledger.link_tree(key.repository, result)
        return result

    def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """From what a squashed image was made, also where it was evicted since."""
        return self._ledger.find_key(repository, result)

    def find_source(self, repository: Repository) -> Digest | None:
        """The source in the repository that was squashed last."""
        return self._ledger.find_source(repository)

    def open_sink(self, key: SquashKey, image: str, is_upstream: UpstreamCheck) -> DirectorySink:
        """Where the job of `key` writes."""
        return DirectorySink(self, key, image, is_upstream)

    def name_image(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let `index.json` name a squashed image as HOST/REPO:TAG."""
        if self._ledger.name(f"{repository}:{tag}", result):
            self._write_index()

    def find_tag(self, repository: Repository, tag: str) -> KnownTag | None:
        """What a tag was last known to point to."""
        return self._ledger.find_tag(repository, tag)

    def keep_tag(self, repository: Repository, tag: str, known: KnownTag) -> None:
        """Remember what a tag points to."""
        self._ledger.keep_tag(repository, tag, known)

    def find_manifest(self, repository: Repository, digest: Digest) -> RawManifest | None:
        """A manifest of the repository; one whose file was changed is forgotten."""
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
        """Keep a manifest, and note what it needs."""
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
        """A blob of the repository; one whose file is gone or was cut is forgotten."""
        return self._kept(self._ledger.find(repository, digest))

    def iter_blob(self, repository: Repository, blob: KeptBlob) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's names
        """The bytes of a blob."""
        with self.path_of(blob.digest).open("rb") as file:
            while chunk := file.read(256 << 10):
                yield chunk

    def adopt_blob(
        self, repository: Repository, digest: Digest, is_upstream: UpstreamCheck
    ) -> KeptBlob | None:
        """Let the repository see what another one of the same host brought, if it has it, too."""
        found = self._kept(self._ledger.find_on_host(repository.host, digest))
        if found is None or not is_upstream(digest):
            return None
        self._ledger.link(repository, digest)
        return found

    def open_spool(self) -> _DirectorySpool:
        """A file in the folder that has no name yet."""
        return _DirectorySpool(self, self.new_file())

    def keep_file(self, file: WholeFile, repository: Repository, digest: Digest, size: int) -> None:
        """Let a file, whose bytes have that digest, be a blob of the repository."""
        self._publish(file, digest)
        with self._ledger.changes():
            self._ledger.add(Entry(digest, size, None), self._clock())
            self._ledger.link(repository, digest)

    def keep_result(self, key: SquashKey, record: SquashRecord) -> None:
        """Let the map name a squashed image, all of which is kept."""
        self._ledger.keep_result(key, record)

    def new_file(self) -> WholeFile:
        """A file in the folder that is forgotten unless it is published."""
        try:
            return WholeFile(self._root)
        except OSError as error:
            raise write_error(str(self._root), error) from error

    def path_of(self, digest: Digest) -> Path:
        """The file of a blob."""
        return self._root / blob_path(digest)

    def touch(self, uses: Sequence[tuple[Digest, float]]) -> None:
        """Note when manifests and blobs were last used."""
        self._ledger.touch(uses)

    def hold(self, digest: Digest) -> None:
        """Do not evict it for now."""
        with self._holding:
            self._held[digest] += 1

    def release(self, digest: Digest) -> None:
        """Let go of what was held."""
        with self._holding:
            self._held[digest] -= 1
            if not self._held[digest]:
                del self._held[digest]

    def trim(self) -> int:
        """Evict what was not used for long until the bound holds."""
        with self._holding:
            held = set(self._held)
        evicted = evict(self._ledger, self._most, held, self._clock(), self._unlink)
        if evicted:
            self._evictions += len(evicted)
            self.generation += 1
            self._write_index()
        return len(evicted)

    def usage(self) -> Usage:
        """How full it is."""
        used = self._ledger.used_bytes()
        return Usage("directory", str(self._root), used, self._most, self._evictions)

    def records(self, most: int) -> list[SquashRecord]:
        """The latest squashed images, the newest first."""
        return self._ledger.records(most)

    def check(self) -> None:
        """Raise an error where nothing can be written now."""
        with self.new_file() as file:
            append(file.stream, b"\0", str(self._root))

    def close(self) -> None:
        """Let go of the folder; once is enough."""
        self._ledger.close()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def _kept(self, entry: Entry | None) -> KeptBlob | None:
        if entry is None:
            return None
        path = self.path_of(entry.digest)
        try:
            is_there = path.stat().st_size == entry.size
        except OSError:
            is_there = False
        if not is_there:
            self._forget(entry.digest)
            return None
        return KeptBlob(entry.digest, entry.size, path)

    def _is_whole(self, result: Digest) -> bool:
        return self._ledger.is_whole(result) and all(
            self.path_of(digest).exists() for digest in self._ledger.tree(result)
        )

    def _forget(self, digest: Digest) -> None:
        """The file is not what it was: whoever wants the blob gets it again."""
        with self._ledger.changes():
            self._ledger.remove(digest)
        self._unlink(digest)
        self.generation += 1

    def _unlink(self, digest: Digest) -> None:
        with suppress(OSError):
            self.path_of(digest).unlink()

    def _publish(self, file: WholeFile, digest: Digest) -> None:
        try:
            with suppress(FileExistsError):
                file.publish_new(self.path_of(digest))
        except OSError as error:
            raise write_error(str(self._root), error) from error

    def _write_index(self) -> None:
        """Write `index.json` anew from the ledger."""
        with self._naming:
            index = empty_index()
            for name, descriptor in self._ledger.named():
                index["manifests"].append({**descriptor.to_json(), "annotations": {REF_NAME: name}})
            self._put(self._root / INDEX, encode_json(index))

    def _put(self, path: Path, data: bytes) -> None:
        try:
            with WholeFile(self._root) as file:
                write_all(file.stream, data)
                file.publish(path)
        except OSError as error:
            raise write_error(str(self._root), error) from error

    def _check_free(self) -> None:
        """Raise UsageError where the folder holds anything but a store: its files could be lost."""
        root = self._root
        if not root.exists() or not any(root.iterdir()) or (root / _LEDGER).exists():
            return
        if {entry.name for entry in root.iterdir()} <= {"blobs", LAYOUT}:
            return
        raise UsageError(
            f"{root} holds something else than a store of squashproxy's; name an empty folder"
        )

    def _lock_folder(self) -> int:
        lock = os.open(self._root / "blobs", os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise UsageError(
                f"{self._root} is in use by another `squashproxy serve`; give each its own "
                "directory, or let them share a registry as their store"
            ) from error
        return lock

    def _open_ledger(self) -> Ledger:
        """The ledger; one that is broken is put aside, so that the cache begins anew."""
        path = self._root / _LEDGER
        try:
            return Ledger(path)
        except sqlite3.DatabaseError:
            for end in ("-wal", "-shm"):
                Path(f"{path}{end}").unlink(missing_ok=True)
            path.replace(path.with_suffix(".broken"))
        return Ledger(path)


class _DirectorySpool:
    def __init__(self, store: DirectoryStore, file: WholeFile) -> None:
        self._store = store
        self._file = file

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.stream.fileno()

    def write(self, chunk: Chunk) -> None:
        """Append. Raises StoreFull or ArchiveError."""
        append(self._file.stream, chunk, "the store")

    def keep(self, repository: Repository, blob: Descriptor) -> None:
        """Let it be a blob of the repository."""
        self._store.keep_file(self._file, repository, blob.digest, blob.size)

    def close(self) -> None:
        """Forget it, unless it was kept."""
        self._file.abandon()


def _children(manifest: RawManifest) -> list[Digest]:
    """What a manifest names; nothing where it cannot be read, since it is kept all the same."""
    try:
        parsed = parse_manifest(manifest, "a manifest in the store")
    except FormatError:
        return []
    if isinstance(parsed, ImageIndex):
        return [child.descriptor.digest for child in parsed.children]
    return [parsed.config.digest, *(layer.digest for layer in parsed.layers)]
