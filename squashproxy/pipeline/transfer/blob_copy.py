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
from squashproxy.pipeline.transfer.read_ahead import Stopped
from squashproxy.pipeline.transfer.sending import Sending
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.progress import Observer, watched
from squashproxy.reference import Repository
from squashproxy.streams import counted
from squashproxy.transports.base import ImageSink, ImageSource, WrittenBlob
from squashproxy.transports.documents import in_place_of


@dataclass(slots=True)
class TransferCount:
    """What one image cost to transfer; sizes in bytes."""

    uploaded_bytes: int = 0
    fetched_bytes: int = 0
    reused_bytes: int = 0
    mounted_blobs: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add_uploaded(self, count: int) -> None:
        """Count `count` more bytes as uploaded. Called from any thread."""
        with self._lock:
            self.uploaded_bytes += count

    def add_fetched(self, count: int) -> None:
        """Count `count` more bytes as read from the source. Called from any thread."""
        with self._lock:
            self.fetched_bytes += count


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
        self._compressed: dict[Digest, CompressedLayer] = {}

    def bring(
        self,
        blobs: Iterable[Descriptor],
        threads: CopyThreads,
        transfer: TransferCount,
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
            if self._is_there(blob, [*mounts, *self._mounts], transfer):
                transfer.reused_bytes += blob.size
            else:
                self._present.add(blob.digest)
                threads.start(partial(self._copy, source or self._source, blob, threads, transfer))

    def begin_sending(
        self, blob: Descriptor, threads: CopyThreads, transfer: TransferCount
    ) -> Sending | None:
        """Begin to send a blob that is read for something else; None where the sink needs no bytes.

        Nothing is mounted: whether the target is to have the blob is not known yet.
        """
        if blob.digest in self._present or self._sink.has_blob(blob):
            return None
        if any(self._sink.has_blob(blob, repository) for repository in self._mounts):
            return None
        sending = threads.add(Sending)
        threads.start(partial(self._send, blob, sending, transfer))
        return sending

    def _send(self, blob: Descriptor, sending: Sending, transfer: TransferCount) -> None:
        try:
            self._sink.write_blob(sending.iter_sent(), blob.digest, blob.size)
        except Stopped:
            # Where the blob could not be read, the reader's error tells why. An error here would
            # stop the reader before it can.
            if sending.is_confirmed:
                raise
        else:
            transfer.add_uploaded(blob.size)
        finally:
            sending.stop()

    def note_sent(self, blob: Descriptor) -> None:
        """A blob is on its way, and will be in the sink when the threads have ended."""
        self._present.add(blob.digest)

    def write(self, label: str, chunks: Iterable[Chunk], transfer: TransferCount) -> WrittenBlob:
        """Store a new blob."""
        told = watched(iter(chunks), self._observer, self._cancellation, label, None)
        written = self._sink.write_blob(told)
        transfer.add_uploaded(written.size)
        self._present.add(written.digest)
        return written

    def write_document(self, media_type: str, data: bytes, transfer: TransferCount) -> Descriptor:
        """Store a small document, unless the sink has it."""
        descriptor = Descriptor(media_type, digest_of(data), len(data))
        if self._is_there(descriptor, (), transfer):
            transfer.reused_bytes += descriptor.size
        else:
            self._sink.write_blob((data,), descriptor.digest, descriptor.size)
            self._present.add(descriptor.digest)
            transfer.add_uploaded(descriptor.size)
        return descriptor

    def _is_there(
        self, blob: Descriptor, mounts: Sequence[Repository], transfer: TransferCount
    ) -> bool:
        if blob.digest in self._present:
            return True
        if self._sink.has_blob(blob):
            self._present.add(blob.digest)
            return True
        for repository in dict.fromkeys(mounts):
            if self._sink.try_mount(blob, repository):
                self._present.add(blob.digest)
                transfer.mounted_blobs += 1
                return True
        return False

    def compress(
        self,
        layer: Descriptor,
        threads: CopyThreads,
        transfer: TransferCount,
        source: ImageSource | None = None,
    ) -> CompressedLayer:
        """Have an uncompressed layer in the sink, as gzip, when the threads have ended.

        `source` is where the layer is, if not in the usual source.
        """
        compressed = self._compressed.get(layer.digest)
        if compressed is None:
            compressed = self._compressed[layer.digest] = CompressedLayer(layer)
            place = source or self._source
            threads.start(partial(self._compress, place, compressed, threads, transfer))
        elif compressed.written is not None:
            transfer.reused_bytes += compressed.written.size
        return compressed

    def _copy(
        self, source: ImageSource, blob: Descriptor, threads: CopyThreads, transfer: TransferCount
    ) -> None:
        name = blob.digest[7:19]
        read = counted(source.iter_blob(blob), transfer.add_fetched)
        fetched = iter(threads.read_ahead(read, len, f"fetch {name}"))
        chunks = watched(fetched, self._observer, self._cancellation, f"blob {name}", blob.size)
        self._sink.write_blob(chunks, blob.digest, blob.size)
        transfer.add_uploaded(blob.size)

    def _compress(
        self,
        source: ImageSource,
        compressed: CompressedLayer,
        threads: CopyThreads,
        transfer: TransferCount,
    ) -> None:
        layer = compressed.plain
        label = f"compress {layer.digest[7:19]}"
        blob = counted(source.iter_blob(layer), transfer.add_fetched)
        read = watched(blob, self._observer, self._cancellation, label, layer.size)
        chunks = iter_compressed(iter_even(read), Compression.GZIP, None)
        written = self._sink.write_blob(threads.read_ahead(chunks, len, label))
        transfer.add_uploaded(written.size)
        family = family_of_layer(layer.media_type)
        media_type = layer_type(family, Compression.GZIP)
        compressed.written = in_place_of(
            layer, Descriptor(media_type, written.digest, written.size)
        )


@dataclass(slots=True)
class CompressedLayer:
    """An uncompressed layer, and the blob made of it; None until the threads have ended."""

    plain: Descriptor
    written: Descriptor | None = None
