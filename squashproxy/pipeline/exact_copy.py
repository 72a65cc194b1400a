"""Copying an image unchanged, with its referrers, so that its signatures stay valid."""

from __future__ import annotations

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.oci.manifest import ImageIndex, RawManifest, check_depth, parse_manifest
from squashproxy.pipeline.blob_copy import BlobCopier, TransferCount
from squashproxy.pipeline.threads import CopyThreads
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink, ImageSource


class ExactCopier:
    """Copies manifests with everything below them from one source to one sink, each once."""

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
        self._done: dict[Digest, RawManifest] = {}

    def copy(self, digest: Digest, depth: int = 0) -> RawManifest:
        """Copy a manifest, children first: registries refuse a manifest whose children are absent.

        No tag moves. `depth` is the number of indexes around it. Raises SquashproxyError.
        """
        check_depth(depth, f"{self._source.name}: {digest}")
        if digest in self._done:
            return self._done[digest]
        raw = self._source.read_manifest(digest)
        self._done[digest] = raw
        parsed = parse_manifest(raw, f"the manifest {digest} of {self._source.name}")
        if isinstance(parsed, ImageIndex):
            for child in parsed.children:
                self.copy(child.descriptor.digest, depth + 1)
        else:
            with CopyThreads(self._jobs) as threads:
                self._blob_copier.bring([*parsed.layers, parsed.config], threads, TransferCount())
        self._sink.write_manifest(raw)
        return raw
