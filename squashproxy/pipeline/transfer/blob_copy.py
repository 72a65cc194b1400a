"""Bringing blobs into the target: reuse what it has, mount, or copy unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Lock

from squashproxy.cancellation import Cancellation
from squashproxy.codec.compression import iter_compressed
from squashproxy.codec.rechunk import iter_even
from squashproxy.digest import Chunk, Digest, digest_of
from squashproxy.errors import TemporaryRegistryError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, family_of_layer, is_foreign, layer_type
from squashproxy.pipeline.transfer.read_ahead import Stopped
from squashproxy.pipeline.transfer.sending import Sending
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.progress import Observer, watched
from squashproxy.reference import Repository
from squashproxy.streams import Repeatable, counted
from squashproxy.transports.base import ImageSink, ImageSource, WrittenBlob
from squashproxy.transports.documents import in_place_of


@dataclass(slots=True)
class TransferCount:
    """What one image cost to transfer; sizes in bytes.

    A blob counts as uploaded once, however often it had to be sent.
    """

    uploaded_bytes: int = 0
    fetched_bytes: int = 0
    reused_bytes: int = 0
    mounted_blobs: int = 0
    _uploaded: set[Digest] = field(default_factory=set, repr=False)
    _earlier: set[Digest] = field(default_factory=set, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add_uploaded(self, blob: Descriptor | WrittenBlob) -> None:
        """Count a blob as uploaded. Called from any thread."""
        with self._lock:
            if blob.digest not in self._uploaded:
                self._uploaded.add(blob.digest)
                self.uploaded_bytes += blob.size

    def add_reused(self, blob: Descriptor | WrittenBlob) -> None:
        """Count a blob as reused, unless an attempt before `begin_again` uploaded it."""
        with self._lock:
            if blob.digest in self._earlier:
                self._earlier.remove(blob.digest)
            else:
                self.reused_bytes += blob.size

    def begin_again(self) -> None:
        """The image is brought once more: what it reuses is counted anew."""
        with self._lock:
            self.reused_bytes = 0
            self._earlier = set(self._uploaded)

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
        self._begun: set[Digest] = set()
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
                transfer.add_reused(blob)
            else:
                self._begun.add(blob.digest)
                threads.start(partial(self._copy, source or self._source, blob, threads, transfer))

    def begin_sending(
        self, blob: Descriptor, threads: CopyThreads, transfer: TransferCount
    ) -> Sending | None:
        """Begin to send a blob that is read for something else; None where the sink needs no bytes.

        Nothing is mounted: whether the target is to have the blob is not known yet.
        """
        if self._is_known(blob) or self._sink.has_blob(blob):
            return None
        if any(self._sink.has_blob(blob, repository) for repository in self._mounts):
            return None
        sending = threads.add(Sending)
        threads.start(partial(self._send, blob, sending, threads, transfer))
        return sending

    def _send(
        self, blob: Descriptor, sending: Sending, threads: CopyThreads, transfer: TransferCount
    ) -> None:
        """Send a blob that is read elsewhere. If its upload is lost, it is read for that alone."""
        readings = count()

        def begin() -> Iterator[bytes]:
            if next(readings) == 0:
                return sending.iter_sent()
            return self._iter_read(self._source, blob, threads, transfer)

        def begin_again(why: str) -> None:
            sending.skip()
            self._warn_of_loss(_label(blob), why)

        try:
            self._sink.write_blob(Repeatable(begin, begin_again), blob.digest, blob.size)
        except Stopped:
            # Where the blob could not be read, the reader's error tells why. An error here would
            # stop the reader before it can.
            if sending.is_confirmed:
                raise
        else:
            self._present.add(blob.digest)
            transfer.add_uploaded(blob)
        finally:
            sending.stop()

    @contextmanager
    def advising(self, transfer: TransferCount) -> Iterator[None]:
        """Let an outage that ends the work say that a registry keeps what was uploaded so far."""
        try:
            yield
        except TemporaryRegistryError as error:
            if transfer.uploaded_bytes and self._sink.repository is not None:
                error.advice = "run it again: blobs that arrived are not sent a second time"
            raise

    def note_sent(self, blob: Descriptor) -> None:
        """A blob is on its way, and will be in the sink when the threads have ended."""
        self._begun.add(blob.digest)

    def begin_again(self, transfer: TransferCount) -> None:
        """Forget what was on its way when the threads ended with an error."""
        self._begun.clear()
        self._compressed = {
            digest: each for digest, each in self._compressed.items() if each.written is not None
        }
        transfer.begin_again()

    def write(self, label: str, chunks: Repeatable[Chunk], transfer: TransferCount) -> WrittenBlob:
        """Store a new blob. It is made again where its upload is lost."""

        def begin() -> Iterator[Chunk]:
            return watched(iter(chunks), self._observer, self._cancellation, label, None)

        written = self._sink.write_blob(Repeatable(begin, partial(self._warn_of_loss, label)))
        transfer.add_uploaded(written)
        self._present.add(written.digest)
        return written

    def write_document(self, media_type: str, data: bytes, transfer: TransferCount) -> Descriptor:
        """Store a small document, unless the sink has it."""
        descriptor = Descriptor(media_type, digest_of(data), len(data))
        if self._is_there(descriptor, (), transfer):
            transfer.add_reused(descriptor)
        else:
            chunks = Repeatable(lambda: iter((data,)), partial(self._warn_of_loss, "config"))
            self._sink.write_blob(chunks, descriptor.digest, descriptor.size)
            self._present.add(descriptor.digest)
            transfer.add_uploaded(descriptor)
        return descriptor

    def _is_there(
        self, blob: Descriptor, mounts: Sequence[Repository], transfer: TransferCount
    ) -> bool:
        if self._is_known(blob):
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

    def _is_known(self, blob: Descriptor) -> bool:
        return blob.digest in self._present or blob.digest in self._begun

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
            transfer.add_reused(compressed.written)
        return compressed

    def _copy(
        self, source: ImageSource, blob: Descriptor, threads: CopyThreads, transfer: TransferCount
    ) -> None:
        begin = partial(self._iter_read, source, blob, threads, transfer)
        chunks = Repeatable(begin, partial(self._warn_of_loss, _label(blob)))
        self._sink.write_blob(chunks, blob.digest, blob.size)
        self._present.add(blob.digest)
        transfer.add_uploaded(blob)

    def _iter_read(
        self, source: ImageSource, blob: Descriptor, threads: CopyThreads, transfer: TransferCount
    ) -> Iterator[bytes]:
        """A blob of the source, which is read in a thread that ends with the iteration."""
        name = blob.digest[7:19]
        read = counted(source.iter_blob(blob), transfer.add_fetched)
        ahead = threads.read_ahead(read, len, f"fetch {name}")
        try:
            yield from watched(
                iter(ahead), self._observer, self._cancellation, _label(blob), blob.size
            )
        finally:
            ahead.stop()

    def _compress(
        self,
        source: ImageSource,
        compressed: CompressedLayer,
        threads: CopyThreads,
        transfer: TransferCount,
    ) -> None:
        layer = compressed.plain
        label = f"compress {layer.digest[7:19]}"

        def begin() -> Iterator[Chunk]:
            blob = counted(source.iter_blob(layer), transfer.add_fetched)
            read = watched(blob, self._observer, self._cancellation, label, layer.size)
            chunks = iter_compressed(iter_even(read), Compression.GZIP, None)
            ahead = threads.read_ahead(chunks, len, label)
            try:
                yield from ahead
            finally:
                ahead.stop()

        written = self._sink.write_blob(Repeatable(begin, partial(self._warn_of_loss, label)))
        transfer.add_uploaded(written)
        family = family_of_layer(layer.media_type)
        media_type = layer_type(family, Compression.GZIP)
        compressed.written = in_place_of(
            layer, Descriptor(media_type, written.digest, written.size)
        )

    def _warn_of_loss(self, label: str, why: str) -> None:
        self._observer.warn(
            f"{label}: its upload to {self._sink.name} was lost, so it is made again from the "
            f"source and sent anew: {why}"
        )


def _label(blob: Descriptor) -> str:
    return f"blob {blob.digest[7:19]}"


@dataclass(slots=True)
class CompressedLayer:
    """An uncompressed layer, and the blob made of it; None until the threads have ended."""

    plain: Descriptor
    written: Descriptor | None = None
