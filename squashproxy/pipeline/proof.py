"""The proof before the tag moves: the result unpacks to the same tree as the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import TreesDiffer
from squashproxy.limits import Limits
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, parse_manifest
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.pipeline.results import PlatformCopy
from squashproxy.progress import Observer, watched
from squashproxy.transports.base import ImageReader, ImageSink, ImageSource
from squashproxy.transports.documents import short
from squashproxy.verify.verification import verify_images


def prove(
    source: ImageSource,
    sink: ImageSink,
    final: RawManifest,
    platforms: Sequence[PlatformCopy],
    *,
    observer: Observer,
    cancellation: Cancellation,
    clock: Callable[[], float],
    limits: Limits,
) -> None:
    """Unpack source and result, image by image, with the code of `verify`, which the copy does not
    use.

    `final` is the manifest that the sink will publish. Of images that were not squashed, the
    target's blobs are read: a blob that it had before may be damaged. Raises TreesDiffer,
    IntegrityError, and what reading an image raises.
    """
    arrived = _Result(sink, final)
    for platform in platforms:
        if platform.digest == platform.source_digest:
            _check_blobs(arrived, Digest(platform.digest), observer, cancellation)
            continue
        before = _Pinned(source, Digest(platform.source_digest))
        after = _Pinned(arrived, Digest(platform.digest))
        result = verify_images(
            before,
            after,
            observer=observer,
            clock=clock,
            cancellation=cancellation,
            limits=limits,
        )
        if not result.identical:
            (compared,) = result.platforms
            first = compared.differences[0]
            raise TreesDiffer(
                f"{sink.name} was left as it is: for {platform.platform} the squashed image "
                f"would differ from {source.name} in {compared.differences_count} ways, the "
                f"first is {first.kind} of {first.path!r} ({first.a} became {first.b})",
                advice="this is a bug, report it",
            )


def _check_blobs(
    arrived: ImageReader, digest: Digest, observer: Observer, cancellation: Cancellation
) -> None:
    """Read every blob of an image, even one that cannot be unpacked, to check its digest."""
    raw = arrived.read_manifest(digest)
    parsed = parse_manifest(raw, f"the manifest {short(digest)} of {arrived.name}")
    if isinstance(parsed, ImageIndex):
        listed = [child.descriptor for child in parsed.children if not child.is_manifest]
        labelled = _numbered("blob", listed)
    else:
        layers = [layer for layer in parsed.layers if not is_foreign(layer.media_type)]
        labelled = [("config", parsed.config), *_numbered("layer", layers)]
    for label, blob in labelled:
        blobs = arrived.iter_blob(blob)
        for _ in watched(blobs, observer, cancellation, label, blob.size, outcome="read"):
            pass


def _numbered(noun: str, blobs: Sequence[Descriptor]) -> list[tuple[str, Descriptor]]:
    """The blobs with their labels, as in `layer 1/3`."""
    return [(f"{noun} {number}/{len(blobs)}", blob) for number, blob in enumerate(blobs, 1)]


class _Result:
    """The sink's content together with the manifest that it will publish."""

    def __init__(self, sink: ImageSink, final: RawManifest) -> None:
        self._sink = sink
        self._final = final

    @property
    def name(self) -> str:
        """The result, for people."""
        return f"{self._sink.name}, before it is published,"

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest to be published, or one that the sink has."""
        if digest in (None, self._final.digest):
            return self._final
        return self._sink.read_manifest(digest)

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob in the sink."""
        return self._sink.iter_blob(blob)


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A reader of the one image with a given digest."""

    place: ImageReader
    digest: Digest

    @property
    def name(self) -> str:
        """The place, for people."""
        return self.place.name

    def read_manifest(self, digest: Digest | None = None) -> RawManifest:
        """The manifest of the image."""
        return self.place.read_manifest(digest or self.digest)

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """A blob of the image."""
        return self.place.iter_blob(blob)
