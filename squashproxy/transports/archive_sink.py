"""Writing an image as an archive: an OCI layout in a tar, with docker's documents beside it if
wanted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Lock

from squashproxy.digest import Chunk, Digest, Verified
from squashproxy.errors import ArchiveError, FormatError, SquashproxyError
from squashproxy.location import ArchiveReference, Transport
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import ImageManifest, RawManifest, encode_json, parse_manifest
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.reference import Repository, parse_reference
from squashproxy.registry.referrers import is_companion
from squashproxy.transports.archive_source import ArchiveSource, open_archive_source
from squashproxy.transports.base import Traits, WrittenBlob
from squashproxy.transports.docker_archive import familiar_name, normal_name
from squashproxy.transports.file_place import FiledSink
from squashproxy.transports.layout import (
    CONTAINERD_NAME,
    INDEX,
    LAYOUT,
    LAYOUT_DOCUMENT,
    NO_NAME,
    REF_NAME,
    blob_path,
)
from squashproxy.transports.layout_index import Companions, empty_index, with_image
from squashproxy.transports.layout_source import LayoutSource
from squashproxy.transports.saved import MANIFEST
from squashproxy.transports.tar_writer import TarWriter, Written
from squashproxy.transports.writable import check_file

_FOLDERS = ("blobs/", "blobs/sha256/")


class ArchiveSink(FiledSink):
    """Writes one image as an archive; the file appears when the image is published.

    A docker archive holds an OCI layout and docker's `manifest.json`, as docker 25 and BuildKit
    write it. An existing archive that holds other images is not replaced: raises ArchiveError.
    """

    def __init__(self, reference: ArchiveReference) -> None:
        super().__init__(reference)
        self._is_docker = reference.transport is Transport.DOCKER_ARCHIVE
        path = Path(reference.path)
        if not reference.is_stream:
            check_file(path)
        self._is_file = not reference.is_stream and (path.is_file() or not path.exists())
        self._seen = self._look()
        self._old = _open_old(reference) if self._is_file else None
        self._writer: TarWriter | None = None
        self._beginning = Lock()
        self._written: dict[Digest, Written] = {}
        self._companions = Companions()

    @property
    def traits(self) -> Traits:
        """A docker archive holds one platform, and takes layers compressed or not."""
        return Traits(
            indexes=not self._is_docker,
            docker=False,
            compressed=not self._is_docker,
            readable=self._is_file,
            keeps_others=False,
            keeps_digests=not self._is_docker,
            publishes_all=True,
            wants_name=self._is_docker,
        )

    @property
    def spooled_bytes(self) -> int:
        """The bytes that went through a temporary file on their way to a pipe."""
        return 0 if self._writer is None else self._writer.spooled_bytes

    def find_manifest(self, tag: str | None = None) -> Digest | None:
        """What the file holds now: the image, and tags that belong to it."""
        if self._old is None:
            return None
        if tag in (None, self.tag):
            return self._old.find_digest()
        if isinstance(self._old, LayoutSource) and is_companion(tag):
            return self._old.find_tag(tag)
        return None

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest that was written, or that the old file holds. Raises ArchiveError."""
        written = self._written.get(digest)
        if written is None or self._writer is None:
            return self._old_image.read_manifest(digest)
        data = b"".join(self._writer.iter_written(written))
        return parse_manifest(RawManifest(data, ""), f"a manifest of {self.name}").raw

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob that was written, or that the old file holds."""
        written = self._written.get(blob.digest)
        if written is None or self._writer is None:
            return self._old_image.iter_blob(blob)
        what = f"blob {blob.digest[:19]} of {self.name}"
        return iter(Verified(self._writer.iter_written(written), blob.digest, blob.size, what))

    def has_blob(self, blob: Descriptor, repository: Repository | None = None) -> bool:
        """Whether the blob was written to the new archive."""
        return repository is None and blob.digest in self._written

    def write_blob(
        self, chunks: Iterable[Chunk], digest: Digest | None = None, size: int | None = None
    ) -> WrittenBlob:
        """Append a stream. Where `chunks` raises, the file is as it was before."""
        written = self._open_writer().add(chunks, blob_path, digest, size)
        self._written[written.digest] = written
        return WrittenBlob(written.digest, written.size)

    def write_manifest(self, manifest: RawManifest, tag: str | None = None) -> None:
        """Append a manifest. Raises ArchiveError for a second tag: an archive holds one image."""
        if tag is not None:
            raise ArchiveError(f"{self.name} holds one image, so {tag!r} cannot stand beside it")
        if manifest.digest not in self._written:
            self.write_blob((manifest.data,), manifest.digest, len(manifest.data))

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest` in the file that is to be replaced."""
        return self._old.list_referrers(digest) if isinstance(self._old, LayoutSource) else ()

    def write_referrer(self, manifest: RawManifest) -> None:
        """Append a manifest with a subject; it is listed when the image is published."""
        self.write_manifest(manifest)
        self._companions.referrers.append(manifest)

    def write_companion(self, manifest: RawManifest, tag: str) -> None:
        """Append a manifest; it gets its tag when the image is published."""
        self.write_manifest(manifest)
        self._companions.tags[tag] = manifest

    def publish(self, manifest: RawManifest) -> None:
        """Append the image's manifest and the archive's documents; the file appears."""
        parsed = parse_manifest(manifest, f"the manifest for {self.name}")
        index = empty_index()
        for tag, beside in self._companions.by_name(lambda _subject: ()).items():
            self.write_manifest(beside)
            index = with_image(index, beside, {REF_NAME: tag})
        documents = {INDEX: encode_json(with_image(index, manifest, self._annotations))}
        if self._is_docker:
            assert isinstance(parsed, ImageManifest), "its traits say that it holds no index"
            documents[MANIFEST] = self._docker_manifest(parsed)
        documents[LAYOUT] = LAYOUT_DOCUMENT
        self.write_manifest(manifest)
        writer = self._open_writer()
        for path, data in documents.items():
            writer.add_document(path, data)
        writer.finish(self._may_replace)

    def close(self) -> None:
        """Remove an archive that was not published."""
        if self._writer is not None:
            self._writer.abandon()
        if self._old is not None:
            self._old.close()

    def _look(self) -> tuple[int, ...] | None:
        """A fingerprint of the file at the path, which changes with it; None if there is none."""
        try:
            found = Path(self._reference.path).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _may_replace(self) -> bool:
        """Whether there is a file now that is to be replaced.

        Raises ArchiveError if it holds another image by now.
        """
        found = self._look()
        if found is not None and found != self._seen:
            old = _open_old(self._reference)
            if old is not None:
                old.close()
        return found is not None

    @property
    def _old_image(self) -> ArchiveSource:
        if self._old is None:
            raise ArchiveError(f"{self.name} is not written yet, so it holds nothing")
        return self._old

    @property
    def _annotations(self) -> dict[str, str]:
        name = self.tag
        if name is None:
            return {}
        if not self._is_docker:
            return {REF_NAME: name}
        reference = parse_reference(name)
        return {CONTAINERD_NAME: str(reference), REF_NAME: str(reference.tag)}

    def _docker_manifest(self, manifest: ImageManifest) -> bytes:
        if any(is_foreign(layer.media_type) for layer in manifest.layers):
            raise FormatError(
                f"{self.name}: the image has foreign layers, which a docker archive cannot leave "
                "out",
                advice="copy it to an OCI layout or a registry",
            )
        name = self.tag
        entry: Json = {
            "Config": blob_path(manifest.config.digest),
            "RepoTags": None if name is None else [familiar_name(parse_reference(name))],
            "Layers": [blob_path(layer.digest) for layer in manifest.layers],
        }
        return json.dumps([entry], separators=(",", ":")).encode()

    def _open_writer(self) -> TarWriter:
        with self._beginning:
            if self._writer is None:
                self._writer = TarWriter(self._reference.path)
                for path in _FOLDERS:
                    self._writer.add_folder(path)
            return self._writer


def _open_old(reference: ArchiveReference) -> ArchiveSource | None:
    """The image in the file, which is to be replaced; None if there is not a file.

    Raises ArchiveError for a file that holds anything else.
    """
    path = Path(reference.path)
    if not path.exists() or not path.stat().st_size:
        return None
    with ExitStack() as opened:
        try:
            old = opened.enter_context(closing(open_archive_source(reference)))
            names = old.names
        except SquashproxyError as error:
            raise ArchiveError(
                f"{path} is there and will not be replaced, since {error.fact}",
                advice="remove it, or name another file",
            ) from error
        others = Counter(names) - Counter([_own_name(reference)])
        if others:
            raise ArchiveError(
                f"{path} holds {_listed(others)}, which would be lost",
                advice="write to another file, or remove this one",
            )
        if names:
            opened.pop_all()
            return old
    return None


def _listed(names: Counter[str]) -> str:
    return ", ".join(
        name if count == 1 else f"{count} times {name}" for name, count in sorted(names.items())
    )


def _own_name(reference: ArchiveReference) -> str:
    """The image's name in the form of the archive's `names`."""
    name = reference.name or NO_NAME
    return normal_name(name) if reference.transport is Transport.DOCKER_ARCHIVE else name
