"""A directory as the store: an OCI image layout with a ledger beside it.

Blobs are in `blobs/`, `index.json` names the squashed images, and the ledger, a file of SQLite,
holds the rest: who may see what, what was squashed to what, and when it was used last.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from squashproxy.digest import Digest
from squashproxy.errors import UsageError
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.reference import Repository
from squashproxy.server.store.base import (
    KeptBlob,
    KnownTag,
    SquashKey,
    SquashRecord,
    UpstreamCheck,
    Usage,
)
from squashproxy.server.store.blob_folder import BlobFolder, DirectorySpool
from squashproxy.server.store.directory_sink import DirectorySink
from squashproxy.server.store.eviction import evict
from squashproxy.server.store.ledger import Ledger
from squashproxy.server.store.spools import append, write_error
from squashproxy.server.store.sweep import sweep
from squashproxy.transports.layout import INDEX, LAYOUT, LAYOUT_DOCUMENT, REF_NAME
from squashproxy.transports.layout_index import empty_index
from squashproxy.transports.writable import check_folder

_LEDGER = "squashproxy.db"
_ALGORITHMS = ("sha256", "sha512")


class DirectoryStore:
    """The store in the folder `root`, of at most `max_bytes`; see Store.

    Raises UsageError for a folder that holds something else or is in use by another process, and
    ArchiveError where it cannot be written.
    """

    def __init__(
        self, root: Path, max_bytes: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._clock = clock
        self._naming = threading.Lock()
        self._evictions = 0
        check_folder(root)
        _check_free(root)
        with ExitStack() as opened:
            try:
                for algorithm in _ALGORITHMS:
                    (root / "blobs" / algorithm).mkdir(parents=True, exist_ok=True)
                opened.callback(os.close, _lock_folder(root))
                self._ledger = _open_ledger(root / _LEDGER)
            except OSError as error:
                raise write_error(str(root), error) from error
            opened.callback(self._ledger.close)
            self._folder = BlobFolder(root, self._ledger, clock)
            self._folder.put(root / LAYOUT, LAYOUT_DOCUMENT)
            sweep(root, self._ledger, clock())
            self._write_index()
            self._opened = opened.pop_all()

    @property
    def generation(self) -> int:
        """Goes up whenever something that was found before may be gone."""
        return self._folder.generation

    def find_squashed(self, key: SquashKey) -> Digest | None:
        """The squashed image of a source, if all of it is there; the repository may see it then."""
        result = self._ledger.find_result(key)
        if result is None or not self._is_whole(result):
            return None
        if self._ledger.find(key.repository, result) is None:
            self._ledger.link_tree(key.repository, result)
        return result

    def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """What a squashed image was made from, even if the image was evicted."""
        return self._ledger.find_key(repository, result)

    def find_source(self, repository: Repository) -> Digest | None:
        """The source in the repository that was squashed last."""
        return self._ledger.find_source(repository)

    def open_sink(self, key: SquashKey, image: str, is_upstream: UpstreamCheck) -> DirectorySink:
        """The sink for the job of `key`."""
        return DirectorySink(self._folder, self._ledger.keep_result, key, image, is_upstream)

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
        """A manifest of the repository, its digest verified."""
        return self._folder.find_manifest(repository, digest)

    def keep_manifest(self, repository: Repository, manifest: RawManifest) -> None:
        """Store a manifest, and note which blobs it needs."""
        self._folder.keep_manifest(repository, manifest)

    def find_blob(self, repository: Repository, digest: Digest) -> KeptBlob | None:
        """A blob of the repository."""
        return self._folder.find_blob(repository, digest)

    def iter_blob(self, repository: Repository, blob: KeptBlob) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's names
        """The bytes of a blob."""
        return self._folder.iter_blob(blob.digest)

    def adopt_blob(
        self, repository: Repository, digest: Digest, is_upstream: UpstreamCheck
    ) -> KeptBlob | None:
        """Let the repository see a blob of another one on its host, if it has it upstream, too."""
        return self._folder.adopt_blob(repository, digest, is_upstream)

    def open_spool(self) -> DirectorySpool:
        """A file in the folder that has no name yet."""
        return DirectorySpool(self._folder)

    def touch(self, uses: Sequence[tuple[Digest, float]]) -> None:
        """Note when manifests and blobs were last used."""
        self._ledger.touch(uses)

    def hold(self, digest: Digest) -> None:
        """Protect a blob from eviction while it is sent."""
        self._folder.hold(digest)

    def release(self, digest: Digest) -> None:
        """Undo one `hold`."""
        self._folder.release(digest)

    def trim(self) -> int:
        """Evict the images that were not used for longest until the bound holds."""
        evicted = evict(
            self._ledger,
            self._max_bytes,
            self._folder.held,
            self._clock(),
            self._folder.remove_file,
        )
        if evicted:
            self._evictions += len(evicted)
            self._write_index()
        return len(evicted)

    def usage(self) -> Usage:
        """How full it is."""
        used = self._ledger.used_bytes()
        return Usage("directory", str(self._root), used, self._max_bytes, self._evictions)

    def records(self, limit: int) -> list[SquashRecord]:
        """The latest squashed images, the newest first."""
        return self._ledger.records(limit)

    def check(self) -> None:
        """Raise an error where nothing can be written now."""
        with self._folder.new_file() as file:
            append(file.stream, b"\0", str(self._root))

    def close(self) -> None:
        """Close the ledger, then unlock the folder for another process; once is enough."""
        self._opened.close()

    def _is_whole(self, result: Digest) -> bool:
        return self._ledger.is_whole(result) and all(
            self._folder.path_of(digest).exists() for digest in self._ledger.tree(result)
        )

    def _write_index(self) -> None:
        """Write `index.json` anew from the ledger."""
        with self._naming:
            index = empty_index()
            for name, descriptor in self._ledger.named():
                index["manifests"].append({**descriptor.to_json(), "annotations": {REF_NAME: name}})
            self._folder.put(self._root / INDEX, encode_json(index))


def _check_free(root: Path) -> None:
    """Raise UsageError where the folder holds anything but a store: its files could be lost."""
    if not root.exists() or not any(root.iterdir()) or (root / _LEDGER).exists():
        return
    if {entry.name for entry in root.iterdir()} <= {"blobs", LAYOUT}:
        return
    raise UsageError(f"{root} holds other files than a store's", advice="name an empty folder")


def _lock_folder(root: Path) -> int:
    """The descriptor that keeps other servers out of the folder until it is closed."""
    lock = os.open(root / "blobs", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UsageError(
            f"{root} is in use by another `squashproxy serve`",
            advice="give each its own directory, or let them share a registry as their store",
        ) from error
    return lock


def _open_ledger(path: Path) -> Ledger:
    """The ledger; one that is broken is put aside, so that the cache begins anew."""
    try:
        return Ledger(path)
    except sqlite3.DatabaseError:
        for end in ("-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        path.replace(path.with_suffix(".broken"))
    return Ledger(path)
