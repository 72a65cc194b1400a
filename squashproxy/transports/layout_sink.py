"""Writing images into OCI image layouts in folders."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from squashproxy.atomic_file import AtomicFile, clear_abandoned, is_partial, sync_folder, write_all
from squashproxy.cancellation import Cancelled
from squashproxy.digest import Chunk, Digest, Hasher, check_written
from squashproxy.errors import ArchiveError, SquashproxyError, advice_of, reason_of
from squashproxy.location import ArchiveReference
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.reference import Repository
from squashproxy.transports.base import Traits, WrittenBlob
from squashproxy.transports.file_place import FiledSink
from squashproxy.transports.files import Folder
from squashproxy.transports.layout import (
    INDEX,
    LAYOUT,
    LAYOUT_DOCUMENT,
    REF_NAME,
    Layout,
    blob_path,
)
from squashproxy.transports.layout_index import Companions, empty_index, with_image
from squashproxy.transports.writable import check_folder

_ALONE = Companions()


class LayoutSink(FiledSink):
    """A name in a layout to be written; the folder is made where it is missing.

    Several processes may write into one folder at once. Raises ArchiveError for a folder that is no
    layout.
    """

    traits = Traits(docker=False, publishes_all=True)
    spooled_bytes = 0

    def __init__(self, reference: ArchiveReference) -> None:
        super().__init__(reference)
        self._root = Path(reference.path)
        self._layout = Layout(Folder(self._root))
        self._new: list[Path] = []
        self._companions = Companions()
        self._lock: int | None = None
        self._changing = Lock()
        self._is_closed = False
        self._check()

    def find_manifest(self, tag: str | None = None) -> Digest | None:
        """What the name (by default the sink's own) points to now, None for nothing."""
        if not (self._root / INDEX).exists():
            return None
        found = self._layout_now.find_named(tag or self.tag)
        return None if found is None else found.digest

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest that the layout holds already."""
        return self._layout.read_manifest(digest)

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob that the layout holds already."""
        return self._layout.iter_blob(blob)

    def has_blob(self, blob: Descriptor, repository: Repository | None = None) -> bool:
        """Whether the layout holds the blob, whole by its size."""
        if repository is not None or not self._root.exists():
            return False
        with self._changes():
            self._hold()
        return self._layout.has_blob(blob)

    def write_blob(
        self,
        chunks: Iterable[Chunk],
        digest: Digest | None = None,
        size: int | None = None,  # noqa: ARG002 - files grow
    ) -> WrittenBlob:
        """Store a stream; a blob appears when it is whole, or not at all."""
        hasher = Hasher(digest)
        with self._new_file() as file:
            for chunk in chunks:
                hasher.update(chunk)
                self._write(file, chunk)
            check_written(hasher, digest, self.name)
            self._settle(file, self._root / blob_path(hasher.digest))
        return WrittenBlob(hasher.digest, hasher.size)

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:
        """Store a manifest, by its digest alone or under another name."""
        self.write_blob((manifest.data,), manifest.digest)
        if tag is not None:
            self._put(manifest, tag)

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest`."""
        if not (self._root / INDEX).exists():
            return ()
        return self._layout_now.list_referrers(digest)

    def write_referrer(self, manifest: RawManifest) -> None:
        """Store a manifest with a subject; it is listed when the image is published."""
        self.write_manifest(manifest)
        self._companions.referrers.append(manifest)

    def write_companion(self, manifest: RawManifest, tag: str) -> None:
        """Store a manifest; it gets its name when the image is published."""
        self.write_manifest(manifest)
        self._companions.tags[tag] = manifest

    def publish(self, manifest: RawManifest) -> None:
        """Store the image's own manifest under its name: the last step."""
        self.write_manifest(manifest)
        new, self._new = self._new, []
        try:
            self._put(manifest, self.tag, self._companions)
        except BaseException:
            if not self._is_published(manifest):
                self._new = new + self._new
            raise
        self._new.clear()

    def close(self) -> None:
        """Remove the files of an image that was not published.

        Nothing is removed while another process writes into the folder, which may rely on them.
        """
        with self._changing:
            self._is_closed = True
        if self._lock is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._new.clear()
        self._remove_new()
        os.close(self._lock)
        self._lock = None

    def _remove_new(self) -> None:
        """Remove what was made, the newest first; what stands around something else stays."""
        for path in reversed(self._new):
            try:
                path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            except OSError:
                return

    def _is_published(self, manifest: RawManifest) -> bool:
        """Whether the name points to the manifest; True if the index cannot be read, as it may."""
        try:
            return self.find_manifest() == manifest.digest
        except SquashproxyError:
            return True

    @property
    def _layout_now(self) -> Layout:
        """The layout with its current index, which other processes may have changed."""
        return Layout(Folder(self._root))

    def _check(self) -> None:
        """Raise ArchiveError if the folder holds anything but a layout."""
        root = self._root
        check_folder(root)
        if not root.exists():
            return
        is_layout = (root / INDEX).exists() or (root / LAYOUT).exists()
        if not is_layout and not all(map(is_partial, root.iterdir())):
            raise ArchiveError(
                f"{root} holds something else than an OCI layout", advice="name another folder"
            )

    @contextmanager
    def _changes(self) -> Iterator[None]:
        """A block that changes the folder: one at a time, and none once the sink was closed.

        Names are noted in it before they are made, as an interrupt may come right behind. Raises
        Cancelled.
        """
        with self._changing:
            if self._is_closed:
                raise Cancelled(f"writing {self._root} was given up")
            yield

    def _begin(self) -> None:
        """Make the folder, and the files of a layout except its index."""
        with self._changes():
            try:
                self._make(self._root)
                self._hold()
                clear_abandoned(self._root)
                self._put_layout_document()  # first, so that a killed process leaves a layout
                self._make(self._root / "blobs")
            except OSError as error:
                raise self._refused(error) from error

    def _put_layout_document(self) -> None:
        path = self._root / LAYOUT
        if path.exists():
            return
        with AtomicFile(self._root) as file:
            write_all(file.stream, LAYOUT_DOCUMENT)
            self._new.append(path)
            file.publish(path)

    def _hold(self) -> None:
        """Tell other processes that blobs are needed, once one was found or written."""
        if self._lock is None:
            self._lock = os.open(self._root, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            if not folder.parent.exists():
                self._make(folder.parent)
            self._new.append(folder)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)

    def _new_file(self) -> AtomicFile:
        """A file that is removed unless it is kept explicitly."""
        self._begin()
        try:
            return AtomicFile(self._root)
        except OSError as error:
            raise self._refused(error) from error

    def _write(self, file: AtomicFile, data: Chunk) -> None:
        try:
            write_all(file.stream, data)
        except OSError as error:
            raise self._refused(error) from error

    def _settle(self, file: AtomicFile, place: Path) -> None:
        with self._changes():
            is_new = not place.exists()
            try:
                self._make(place.parent)
                if is_new:
                    self._new.append(place)
                file.publish(place)
            except OSError as error:
                raise self._refused(error) from error

    def _put(
        self, manifest: RawManifest, name: str | None, companions: Companions = _ALONE
    ) -> None:
        """Add the manifest and its companions to the index; one writer at a time."""
        annotations = {} if name is None else {REF_NAME: name}
        with self._alone():
            index = empty_index()
            if (self._root / INDEX).exists():
                index = self._layout_now.index.document
            for tag, beside in companions.by_name(self.list_referrers).items():
                self.write_manifest(beside)
                index = with_image(index, beside, {REF_NAME: tag})
            data = encode_json(with_image(index, manifest, annotations))
            with self._new_file() as file:
                self._write(file, data)
                self._settle(file, self._root / INDEX)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._begin()
        lock = os.open(self._root / "blobs", os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _refused(self, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"{self._root} could not be written: {reason_of(error)}", advice=advice_of(error)
        )
