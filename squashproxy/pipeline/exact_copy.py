"""Copying an image exactly as it is, with what refers to it: signatures stay valid so."""

from __future__ import annotations

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.oci.manifest import ImageIndex, RawManifest, check_depth, parse_manifest
from squashproxy.pipeline.blob_copy import Delivery, Tally
from squashproxy.pipeline.threads import Crew
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink, ImageSource


class ExactCopier:
    """Copies manifests of one source into one sink, with all that they hold; each once."""

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
        self._delivery = Delivery(source, sink, observer, cancellation, own)
        self._done: dict[Digest, RawManifest] = {}

    def copy(self, digest: Digest, depth: int = 0) -> RawManifest:
        """Bring a manifest, children first, since registries refuse what names what is absent.

        No tag moves. `depth` says in how many indexes it stands. Raises SquashproxyError.
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
            with Crew(self._jobs) as crew:
                self._delivery.bring([*parsed.layers, parsed.config], crew, Tally())
        self._sink.write_manifest(raw)
        return raw
