"""A directory as the store: an OCI image layout with a ledger beside it.

Blobs are in `blobs/`, `index.json` names the squashed images, and the ledger, a file of SQLite,
holds the rest: who may see what, what was squashed to what, and when it was used last.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from squashproxy.atomic_file import AtomicFile
from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.pipeline.stamp import OPTIONS, SOURCE
from squashproxy.reference import Repository
from squashproxy.server.store.attachments import Attachments
from squashproxy.server.store.base import (
    KeptBlob,
    KnownTag,
    SquashKey,
    SquashRecord,
    UpstreamCheck,
    Usage,
)
from squashproxy.server.store.blob_folder import DAMAGED, BlobFolder, DirectorySpool
from squashproxy.server.store.directory_sink import DirectorySink
from squashproxy.server.store.eviction import evict
from squashproxy.server.store.ledger import Ledger
from squashproxy.server.store.refill import refill
from squashproxy.server.store.room import Room
from squashproxy.server.store.spools import StoreFull, append, write_error
from squashproxy.server.store.sweep import sweep
from squashproxy.transports.layout import INDEX, LAYOUT, LAYOUT_DOCUMENT, REF_NAME
from squashproxy.transports.layout_index import empty_index
from squashproxy.transports.writable import check_folder

_LEDGER = "squashproxy.db"
_ALGORITHMS = ("sha256", "sha512")
_MARK = {"dev.squashproxy.store": "1"}
"""The annotation of the index by which a store is known that has lost its ledger."""
_OWN_NAMES = frozenset(
    {
        *("blobs", LAYOUT, INDEX, DAMAGED),
        *(f"squashproxy.{end}" for end in ("broken", "copy", "db-wal", "db-shm")),
    }
)
_HASHED_AT_ONCE = 256 << 20
"""Bytes that one call of `look_after` hashes."""
_WRITTEN_AT_ONCE = 100
"""Names in an index that is written with each change."""
_MOST_PARENTS = 16
_LOG = logging.getLogger("squashproxy.server")


class DirectoryStore:
    """The store in the folder `root`, of at most `max_bytes`; see Store.

    Raises UsageError for a folder that holds something else or is in use by another process, and
    ArchiveError where it cannot be written.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        *,
        clock: Callable[[], float] = time.time,
        on_warning: Callable[[str], None] = _LOG.warning,
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._clock = clock
        self._naming = threading.Lock()
        self._is_index_old = True
        self._evictions = 0
        check_folder(root)
        _check_free(root)
        with ExitStack() as opened:
            try:
                for algorithm in _ALGORITHMS:
                    (root / "blobs" / algorithm).mkdir(parents=True, exist_ok=True)
                opened.callback(os.close, _lock_folder(root))
                self._ledger = Ledger(root / _LEDGER, self._refill, on_warning)
            except OSError as error:
                raise write_error(str(root), error) from error
            opened.callback(self._ledger.close)
            room = Room("the store", self._free_bytes, self._evict)
            self._folder = BlobFolder(root, self._ledger, room, clock, on_warning)
            self._attachments = Attachments(self._folder, self._ledger, self._change_index)
            self._folder.put(root / LAYOUT, LAYOUT_DOCUMENT)
            is_new = not self._ledger.entries()
            sweep(root, self._ledger, clock())
            if is_new:
                refill(root, self._ledger, clock())
            with suppress(StoreFull):
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
        self._ledger.share_result(key, result, self._clock())
        return result

    def find_key(self, repository: Repository, result: Digest) -> SquashKey | None:
        """What a squashed image was made from, even if the image was evicted."""
        return self._ledger.find_key(repository, result)

    def find_source(self, repository: Repository) -> Digest | None:
        """The source in the repository that was squashed last."""
        return self._ledger.find_source(repository)

    def find_above(self, repository: Repository, digest: Digest) -> tuple[SquashKey, Digest] | None:
        """The squashed image of the repository that needs a blob which is gone, with its key."""
        return self._ledger.find_above(repository, digest)

    def open_sink(
        self, key: SquashKey, image: str, is_upstream: UpstreamCheck, cancellation: Cancellation
    ) -> DirectorySink:
        """The sink for the job of `key`."""
        return DirectorySink(
            self._folder,
            self._attachments,
            self._ledger.keep_result,
            key,
            image,
            is_upstream=is_upstream,
            cancellation=cancellation,
        )

    def name_image(self, repository: Repository, tag: str, result: Digest) -> None:
        """Let `index.json` name a squashed image as HOST/REPO:TAG, at once or with `look_after`."""
        if self._ledger.name(f"{repository}:{tag}", result):
            self._change_index()

    @property
    def knows_blobs(self) -> bool:
        """True: the ledger has all that a manifest needs."""
        return True

    def list_referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """What is kept about a squashed image."""
        return self._attachments.list_referrers(repository, digest)

    def find_companion(self, repository: Repository, tag: str) -> RawManifest | None:
        """What is kept under a tag that belongs to a squashed image."""
        return self._attachments.find_companion(repository, tag)

    def note_checked(self, repository: Repository, policy: str, result: Digest) -> None:
        """Note that the source of a squashed image was checked by a policy."""
        self._ledger.note_checked(repository, policy, result)

    def note_listed(self, repository: Repository, policy: str, listed: Sequence[Digest]) -> None:
        """Nothing: `parents` tells."""

    def is_checked(self, repository: Repository, policy: str, digest: Digest) -> bool:
        """Whether that was noted for a squashed image, or for one that needs the digest."""
        return self._ledger.is_checked(repository, policy, digest)

    def parents(self, repository: Repository, digest: Digest) -> list[Digest]:
        """Some kept manifests of the repository that need a digest, the last used first."""
        return self._ledger.parents(repository, digest, _MOST_PARENTS)

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

    def open_spool(self, size: int = 0) -> DirectorySpool:
        """A file in the folder that has no name yet."""
        return DirectorySpool(self._folder, size)

    def is_sound(self, digest: Digest, cancellation: Cancellation) -> bool:
        """Whether a blob has its digest; if not, it is not found any more."""
        return self._folder.is_sound(digest, cancellation)

    def look_after(self, cancellation: Cancellation) -> None:
        """Write the ledger again if its file is gone, and the index if it changed; hash blobs."""
        self._ledger.look_after()
        if self._is_index_old:
            self._write_index()
        self._folder.hash_some(_HASHED_AT_ONCE, cancellation)

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
        return self._evict(0)

    def _evict(self, free: int) -> int:
        """Evict until the bound leaves so many bytes free."""
        evicted = evict(
            self._ledger,
            self._max_bytes - free,
            self._folder.held,
            self._clock(),
            self._folder.remove_file,
        )
        if evicted:
            self._evictions += len(evicted)
            self._change_index()
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
        try:
            with AtomicFile(self._root) as file:
                append(file.stream, b"\0", str(self._root))
        except OSError as error:
            raise write_error(str(self._root), error) from error

    def stop(self) -> None:
        """Nothing: all of it is on this machine."""

    def close(self) -> None:
        """Close the ledger, then unlock the folder for another process; once is enough."""
        try:
            if self._is_index_old:
                with suppress(SquashproxyError):  # the next start writes it
                    self._write_index()
        finally:
            self._opened.close()

    def _free_bytes(self) -> int:
        return self._max_bytes - self._ledger.used_bytes()

    def _refill(self, ledger: Ledger) -> None:
        """Fill the ledger again, when it was damaged while it was in use."""
        sweep(self._root, ledger, self._clock())
        refill(self._root, ledger, self._clock())
        self._folder.generation += 1

    def _is_whole(self, result: Digest) -> bool:
        return self._ledger.is_whole(result) and all(
            self._folder.path_of(digest).exists() for digest in self._ledger.tree(result)
        )

    def _change_index(self) -> None:
        """Write a short index at once and a long one later, so that no name costs much."""
        self._is_index_old = True
        if self._ledger.has_names_at_most(_WRITTEN_AT_ONCE):
            self._write_index()

    def _write_index(self) -> None:
        """Write `index.json` anew from the ledger."""
        with self._naming:
            self._is_index_old = False
            index = {**empty_index(), "annotations": _MARK}
            for each in self._ledger.named():
                stated = {REF_NAME: each.name}
                if each.source is not None and each.options is not None:
                    stated |= {SOURCE: each.source, OPTIONS: each.options}
                index["manifests"].append({**each.descriptor.to_json(), "annotations": stated})
            try:
                self._folder.put(self._root / INDEX, encode_json(index))
            except SquashproxyError:
                self._is_index_old = True
                raise


def _check_free(root: Path) -> None:
    """Raise UsageError where the folder holds anything but a store: its files could be lost."""
    if not root.exists() or os.path.lexists(root / _LEDGER):
        return
    names = {entry.name for entry in root.iterdir()}
    if names <= {"blobs", LAYOUT} or (names <= _OWN_NAMES and _is_marked(root)):
        return
    raise UsageError(f"{root} holds other files than a store's", advice="name an empty folder")


def _is_marked(root: Path) -> bool:
    """Whether a store wrote the index of the layout."""
    try:
        stated = json.loads((root / INDEX).read_bytes()).get("annotations") or {}
        return all(stated.get(name) == value for name, value in _MARK.items())
    except (OSError, ValueError, AttributeError):
        return False


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
