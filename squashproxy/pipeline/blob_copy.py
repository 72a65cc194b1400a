"""Getting blobs into the target: found there, mounted, or copied as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from squashproxy.cancellation import Cancellation
from squashproxy.codec.compression import iter_packed
from squashproxy.codec.rechunk import iter_even
from squashproxy.digest import Chunk, Digest, digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, family_of_layer, is_foreign, layer_type
from squashproxy.pipeline.threads import Crew
from squashproxy.progress import Observer, watched
from squashproxy.reference import Repository
from squashproxy.transports.base import ImageSink, ImageSource, WrittenBlob
from squashproxy.transports.documents import in_place_of


@dataclass(slots=True)
class Tally:
    """What one image cost; sizes in bytes."""

    uploaded_bytes: int = 0
    reused_bytes: int = 0
    mounted_blobs: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add_uploaded(self, count: int) -> None:
        """Another `count` bytes went to the target. Called from any thread."""
        with self._lock:
            self.uploaded_bytes += count


class Delivery:
    """Brings blobs of one source into one sink, each once however many images share it."""

    def __init__(
        self,
        source: ImageSource,
        sink: ImageSink,
        observer: Observer,
        cancellation: Cancellation,
        mounts: Sequence[Repository],
    ) -> None:
        self._source = source
        self._sink = sink
        self._observer = observer
        self._cancellation = cancellation
        self._mounts = mounts
        self._present: set[Digest] = set()
        self._packed: dict[Digest, PackedLayer] = {}

    def bring(
        self,
        blobs: Iterable[Descriptor],
        crew: Crew,
        tally: Tally,
        mounts: Sequence[Repository] = (),
        source: ImageSource | None = None,
    ) -> None:
        """Have all `blobs` in the sink when the crew's work ends.

        Finding and mounting happen at once, before anything is read; the crew copies the rest.
        `mounts` are repositories to try beside those given in the beginning, `source` is where the
        blobs are if not in the source.
        """
        for blob in blobs:
            if is_foreign(blob.media_type):
                continue
            if self._is_there(blob, [*mounts, *self._mounts], tally):
                tally.reused_bytes += blob.size
            else:
                self._present.add(blob.digest)
                crew.start(partial(self._copy, source or self._source, blob, crew, tally))

    def write(self, label: str, chunks: Iterable[Chunk], tally: Tally) -> WrittenBlob:
        """Store new bytes."""
        told = watched(iter(chunks), self._observer, self._cancellation, label, None)
        written = self._sink.write_blob(told)
        tally.add_uploaded(written.size)
        self._present.add(written.digest)
        return written

    def write_document(self, media_type: str, data: bytes, tally: Tally) -> Descriptor:
        """Store a small document unless the sink has it already."""
        descriptor = Descriptor(media_type, digest_of(data), len(data))
        if self._is_there(descriptor, (), tally):
            tally.reused_bytes += descriptor.size
        else:
            self._sink.write_blob((data,), descriptor.digest, descriptor.size)
            self._present.add(descriptor.digest)
            tally.add_uploaded(descriptor.size)
        return descriptor

    def _is_there(self, blob: Descriptor, mounts: Sequence[Repository], tally: Tally) -> bool:
        if blob.digest in self._present:
            return True
        if self._sink.has_blob(blob):
            self._present.add(blob.digest)
            return True
        for repository in dict.fromkeys(mounts):
            if self._sink.try_mount(blob, repository):
                self._present.add(blob.digest)
                tally.mounted_blobs += 1
                return True
        return False

    def pack(self, layer: Descriptor, crew: Crew, tally: Tally) -> PackedLayer:
        """Have a plain layer in the sink, packed with gzip, when the crew's work ends."""
        packed = self._packed.get(layer.digest)
        if packed is None:
            packed = self._packed[layer.digest] = PackedLayer(layer)
            crew.start(partial(self._pack, packed, crew, tally))
        elif packed.written is not None:
            tally.reused_bytes += packed.written.size
        return packed

    def _copy(self, source: ImageSource, blob: Descriptor, crew: Crew, tally: Tally) -> None:
        name = blob.digest[7:19]
        fetched = iter(crew.ahead(source.iter_blob(blob), len, f"fetch {name}"))
        chunks = watched(fetched, self._observer, self._cancellation, f"blob {name}", blob.size)
        self._sink.write_blob(chunks, blob.digest, blob.size)
        tally.add_uploaded(blob.size)

    def _pack(self, packed: PackedLayer, crew: Crew, tally: Tally) -> None:
        layer = packed.plain
        label = f"pack {layer.digest[7:19]}"
        read = watched(
            self._source.iter_blob(layer), self._observer, self._cancellation, label, layer.size
        )
        chunks = iter_packed(iter_even(read), Compression.GZIP, None)
        written = self._sink.write_blob(crew.ahead(chunks, len, label))
        tally.add_uploaded(written.size)
        family = family_of_layer(layer.media_type)
        media_type = layer_type(family, Compression.GZIP)
        packed.written = in_place_of(layer, Descriptor(media_type, written.digest, written.size))


@dataclass(slots=True)
class PackedLayer:
    """A plain layer, and what it was written as; None until the crew's work ends."""

    plain: Descriptor
    written: Descriptor | None = None
