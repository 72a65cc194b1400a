"""A layer of a source image, as the merge reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.codec.compression import iter_decompressed, rubbish_text
from squashproxy.codec.library import Library
from squashproxy.digest import Digest, Hasher
from squashproxy.errors import BadCompression, WrongDiffId
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.transfer.unpack_limit import UnpackLimit
from squashproxy.progress import Observer, watched
from squashproxy.span import Inflated
from squashproxy.streams import counted
from squashproxy.transports.base import ImageSource


@dataclass(frozen=True, slots=True)
class SourceLayer:
    """Fetches, verifies and inflates one layer; `number` counts from 1, for messages.

    `diff_id` is the digest of the layer's tar according to the image's config. With
    `checks_diff_id`, the tar is hashed and compared with it; else it is a claim and no more.
    `max_window` is the most memory that unpacking zstd may take, in bytes.
    """

    source: ImageSource
    descriptor: Descriptor
    diff_id: Digest
    number: int
    count: int
    observer: Observer
    cancellation: Cancellation
    library: Library | None
    limit: UnpackLimit | None = None
    count_fetched: Callable[[int], None] | None = None
    checks_diff_id: bool = False
    max_window: int | None = None

    @property
    def where(self) -> str:
        """The layer, for people."""
        return (
            f"layer {self.number} of {self.count} ({self.descriptor.digest[:19]}) of "
            f"{self.source.name}"
        )

    def iter_unpacked(
        self, blob: Iterator[bytes], is_skipped: Callable[[], bool]
    ) -> Iterator[Inflated]:
        """The inflated tar. Once `is_skipped` is true, the rest of the blob is read but not
        inflated.

        Raises LimitExceeded past the image's `limit` and `max_window`. A blob that cannot be
        inflated is still read to its end: if its digest is wrong as well, IntegrityError names the
        actual cause.
        """
        try:
            for chunk in self._iter_limited(self._iter_inflated(blob)):
                yield chunk
                if is_skipped():
                    _read_rest(blob)
                    return
        except BadCompression:
            _read_rest(blob)
            raise

    def iter_checked(
        self, chunks: Iterable[Inflated], is_skipped: Callable[[], bool]
    ) -> Iterator[Inflated]:
        """The tar, checked against `diff_id` if that is wanted, unless the tar's rest is skipped.

        The tar is hashed by its reader and not in the inflating thread, which has the most work.
        Raises WrongDiffId.
        """
        if not self.checks_diff_id:
            yield from chunks
            return
        hasher = Hasher(self.diff_id)
        for chunk in chunks:
            hasher.update(chunk.content)
            yield chunk
        if not is_skipped() and hasher.digest != self.diff_id:
            raise WrongDiffId(
                f"{self.where} unpacks to {hasher.digest}, but the image's config says "
                f"{self.diff_id}",
                advice="the image is broken, build it again",
            )

    def _iter_inflated(self, blob: Iterator[bytes]) -> Iterator[Inflated]:
        return iter_decompressed(
            blob,
            self.where,
            self.library,
            on_rubbish=lambda count: self.observer.warn(rubbish_text(self.where, count)),
            max_window=self.max_window,
        )

    def _iter_limited(self, chunks: Iterable[Inflated]) -> Iterator[Inflated]:
        unpacked = 0
        for chunk in chunks:
            self.cancellation.check()  # a chunk of the blob may hold gigabytes
            unpacked += len(chunk.content)
            if self.limit is not None:
                self.limit.note(self.number, unpacked, self.where)
            yield chunk

    def iter_fetched(self) -> Iterator[bytes]:
        """The blob; its digest is checked at the end."""
        label = f"layer {self.number}/{self.count}"
        blob = self.source.iter_blob(self.descriptor)
        if self.count_fetched is not None:
            blob = counted(blob, self.count_fetched)
        yield from watched(
            blob, self.observer, self.cancellation, label, self.descriptor.size, outcome="read"
        )


def _read_rest(blob: Iterator[bytes]) -> None:
    """Read a blob to its end, where size and digest are checked."""
    for _ in blob:
        pass


def layers_of(
    source: ImageSource,
    image: Image,
    observer: Observer,
    cancellation: Cancellation,
    options: CopyOptions,
    *,
    count_fetched: Callable[[int], None] | None = None,
) -> list[SourceLayer]:
    """All layers of an image, base first. `count_fetched` is told of the bytes that are read."""
    layers = zip(image.manifest.layers, image.config.diff_ids, strict=True)
    limit = UnpackLimit(options.limits, packed_size(image.manifest.layers))
    return [
        SourceLayer(
            source,
            descriptor,
            diff_id,
            number,
            len(image.manifest.layers),
            observer,
            cancellation,
            options.library,
            limit,
            count_fetched,
            options.check_diff_ids,
            options.limits.memory,
        )
        for number, (descriptor, diff_id) in enumerate(layers, 1)
    ]


def packed_size(layers: Iterable[Descriptor]) -> int:
    """The bytes of all blobs that a registry holds of an image."""
    return sum(layer.size for layer in layers if not is_foreign(layer.media_type))


def can_be_read(descriptors: Sequence[Descriptor]) -> bool:
    """Whether a registry holds all of the layers; it does not hold foreign ones."""
    return not any(is_foreign(descriptor.media_type) for descriptor in descriptors)
