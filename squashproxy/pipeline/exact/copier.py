"""Copying an image unchanged, byte for byte, so that its digests and signatures stay valid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    IndexChild,
    RawManifest,
    check_depth,
    parse_manifest,
)
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.copy_figures import Subject, finished
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import PlatformCopy
from squashproxy.pipeline.second_reading import SecondReading
from squashproxy.pipeline.transfer.blob_copy import BlobCopier, TransferCount
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import read_config
from squashproxy.transports.index_images import read_child

_UNKNOWN = "unknown"


class ExactCopier:
    """Copies manifests with everything below them from one source to one sink, each once.

    `copies` has the figures of each image and artifact, in the order of the copy.
    """

    def __init__(
        self,
        source: ImageSource,
        sink: ImageSink,
        observer: Observer,
        cancellation: Cancellation,
        jobs: int,
    ) -> None:
        own = [] if source.repository is None else [source.repository]
        self._source = source
        self._sink = sink
        self._jobs = jobs
        self._blob_copier = BlobCopier(source, sink, observer, cancellation, own)
        self._second_reading = SecondReading(observer)
        self._done: dict[Digest, RawManifest] = {}
        self.copies: list[PlatformCopy] = []

    def copy(self, digest: Digest) -> RawManifest:
        """Copy a manifest with all below it. No tag moves. Raises SquashproxyError."""
        return self._copy(digest, 0, _UNKNOWN)

    def bring(self, digest: Digest, stated: Platform | None = None) -> RawManifest:
        """Copy all that a manifest needs, but not the manifest itself, which is published later.

        The figures tell the platforms: of an image `stated`, or else that of its config. Raises
        SquashproxyError.
        """
        return self._copy(digest, 0, None if stated is None else str(stated), writes=False)

    def _copy(
        self,
        digest: Digest,
        depth: int,
        platform: str | None,
        *,
        child: IndexChild | None = None,
        writes: bool = True,
    ) -> RawManifest:
        """Copy children first: registries refuse a manifest whose children are absent.

        `depth` is the number of indexes around it, `child` its entry in the innermost; a `platform`
        of None is looked up in the config.
        """
        source = self._source
        check_depth(depth, f"{source.name}: {digest}")
        if digest in self._done:
            return self._done[digest]
        read = source.read_manifest(digest) if child is None else read_child(source, child)
        parsed = parse_manifest(read, f"the manifest {digest} of {source.name}")
        raw = self._done[digest] = parsed.raw
        _check_algorithm(raw, digest, source.name)
        if isinstance(parsed, ImageIndex):
            self._copy_children(parsed, depth, platform)
        else:
            self._bring_image(parsed, platform)
        if writes:
            self._sink.write_manifest(raw)
        return raw

    def _copy_children(self, index: ImageIndex, depth: int, platform: str | None) -> None:
        """Copy what an index lists: manifests, or blobs, as in the cache of BuildKit."""
        for child in index.children:
            if child.is_manifest:
                stated = None if child.platform is None else str(child.platform)
                digest = child.descriptor.digest
                self._copy(digest, depth + 1, stated or platform, child=child)
        blobs = [child.descriptor for child in index.children if not child.is_manifest]
        if blobs:
            self._bring_blobs(index.raw, blobs, blobs, _UNKNOWN)

    def _bring_image(self, manifest: ImageManifest, platform: str | None) -> None:
        if platform is None:
            platform = self._platform_of(manifest)
        blobs = [*manifest.layers, manifest.config]
        self._bring_blobs(manifest.raw, blobs, manifest.layers, platform)

    def _bring_blobs(
        self,
        raw: RawManifest,
        blobs: Sequence[Descriptor],
        layers: Sequence[Descriptor],
        platform: str,
    ) -> None:
        """Bring the blobs of a manifest; the figures are about those that are its layers."""
        transfer = TransferCount()

        def bring() -> None:
            with CopyThreads(self._jobs) as threads:
                self._blob_copier.bring(blobs, threads, transfer)

        with self._blob_copier.advising(transfer):
            self._second_reading.run(bring, partial(self._blob_copier.begin_again, transfer))
        subject = Subject(layers, raw.digest, platform, 0, Mode.COPY)
        self.copies.append(finished(raw, subject.unchanged((), layers), transfer).copy)

    def _platform_of(self, manifest: ImageManifest) -> str:
        """The platform that the config states; an artifact may have a config that states none."""
        if not manifest.is_image:
            return _UNKNOWN
        try:
            return str(read_config(self._source, manifest).platform)
        except FormatError:
            return _UNKNOWN


def _check_algorithm(raw: RawManifest, digest: Digest, name: str) -> None:
    """Raise FormatError for a manifest that is named by another algorithm than sha256, since it
    would be stored under another name.
    """
    if raw.digest != digest:
        raise FormatError(
            f"the manifest {digest} of {name} is named by {digest.partition(':')[0]}, and a copy "
            "can only keep names of sha256",
            advice="squash it, or push it again with an index that names it by sha256",
        )
