"""Bringing blobs into the target: reuse what it has, mount, or copy unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from squashproxy.cancellation import Cancellation
from squashproxy.codec.compression import iter_compressed
from squashproxy.codec.rechunk import iter_even
from squashproxy.digest import Chunk, Digest, digest_of
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, family_of_layer, is_foreign, layer_type
from squashproxy.pipeline.threads import CopyThreads
from squashproxy.progress import Observer, watched
from squashproxy.reference import Repository
from squashproxy.transports.base import ImageSink, ImageSource, WrittenBlob
from squashproxy.transports.documents import in_place_of


@dataclass(slots=True)
class TransferCount:
    """What one image cost to transfer; sizes in bytes."""

    uploaded_bytes: int = 0
    reused_bytes: int = 0
    mounted_blobs: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add_uploaded(self, count: int) -> None:
        """Count `count` more bytes as uploaded. Called from any thread."""
        with self._lock:
            self.uploaded_bytes += count


class BlobCopier:
    """Brings blobs of one source into one sink; a blob that images share is brought once."""

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
        self._packed: dict[Digest, CompressedLayer] = {}

    def bring(
        self,
        blobs: Iterable[Descriptor],
        threads: CopyThreads,
        tally: TransferCount,
        mounts: Sequence[Repository] = (),
        source: ImageSource | None = None,
    ) -> None:
        """Have all `blobs` in the sink when the `threads` have ended.

        Blobs are looked for and mounted at once; the threads copy the rest. `mounts` are further
        repositories to mount from; `source` is where the blobs are, if not in the usual source.
        """
        for blob in blobs:
            if is_foreign(blob.media_type):
                continue
            if self._is_there(blob, [*mounts, *self._mounts], tally):
                tally.reused_bytes += blob.size
            else:
                self._present.add(blob.digest)
                threads.start(partial(self._copy, source or self._source, blob, threads, tally))

    def write(self, label: str, chunks: Iterable[Chunk], tally: TransferCount) -> WrittenBlob:
        """Store a new blob."""
        told = watched(iter(chunks), self._observer, self._cancellation, label, None)
        written = self._sink.write_blob(told)
        tally.add_uploaded(written.size)
        self._present.add(written.digest)
        return written

    def write_document(self, media_type: str, data: bytes, tally: TransferCount) -> Descriptor:
        """Store a small document, unless the sink has it."""
        descriptor = Descriptor(media_type, digest_of(data), len(data))
        if self._is_there(descriptor, (), tally):
            tally.reused_bytes += descriptor.size
        else:
            self._sink.write_blob((data,), descriptor.digest, descriptor.size)
            self._present.add(descriptor.digest)
            tally.add_uploaded(descriptor.size)
        return descriptor

    def _is_there(
        self, blob: Descriptor, mounts: Sequence[Repository], tally: TransferCount
    ) -> bool:
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

    def pack(
        self, layer: Descriptor, threads: CopyThreads, tally: TransferCount
    ) -> CompressedLayer:
        """Have an uncompressed layer in the sink, compressed with gzip, when the threads have
        ended.
        """
        packed = self._packed.get(layer.digest)
        if packed is None:
            packed = self._packed[layer.digest] = CompressedLayer(layer)
            threads.start(partial(self._pack, packed, threads, tally))
        elif packed.written is not None:
            tally.reused_bytes += packed.written.size
        return packed

    def _copy(
        self, source: ImageSource, blob: Descriptor, threads: CopyThreads, tally: TransferCount
    ) -> None:
        name = blob.digest[7:19]
        fetched = iter(threads.ahead(source.iter_blob(blob), len, f"fetch {name}"))
        chunks = watched(fetched, self._observer, self._cancellation, f"blob {name}", blob.size)
        self._sink.write_blob(chunks, blob.digest, blob.size)
        tally.add_uploaded(blob.size)

    def _pack(self, packed: CompressedLayer, threads: CopyThreads, tally: TransferCount) -> None:
        layer = packed.plain
        label = f"pack {layer.digest[7:19]}"
        read = watched(
            self._source.iter_blob(layer), self._observer, self._cancellation, label, layer.size
        )
        chunks = iter_compressed(iter_even(read), Compression.GZIP, None)
        written = self._sink.write_blob(threads.ahead(chunks, len, label))
        tally.add_uploaded(written.size)
        family = family_of_layer(layer.media_type)
        media_type = layer_type(family, Compression.GZIP)
        packed.written = in_place_of(layer, Descriptor(media_type, written.digest, written.size))


@dataclass(slots=True)
class CompressedLayer:
    """An uncompressed layer, and the blob made of it; None until the threads have ended."""

    plain: Descriptor
    written: Descriptor | None = None
