"""Layers of an image in a registry or archive: fetched, checked and applied to a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.codec.compression import iter_decompressed, rubbish_text
from squashproxy.digest import Digest
from squashproxy.errors import FormatError, WrongDiffId
from squashproxy.oci.descriptor import Descriptor
from squashproxy.progress import Observer, watched
from squashproxy.streams import closed_after
from squashproxy.transports.base import ImageReader
from squashproxy.transports.documents import short
from squashproxy.verify.apply import LayerApplication
from squashproxy.verify.entries import TarStream, iter_entries
from squashproxy.verify.spent import Spent
from squashproxy.verify.tree import Tree


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """One layer; `number` counts from 0, base first; `diff_id` is what the config states.
    `max_window` is the most memory that unpacking zstd may take, in bytes.

    `spent` counts what is unpacked of its image.
    """

    source: ImageReader
    descriptor: Descriptor
    diff_id: Digest
    number: int
    count: int
    spent: Spent
    max_window: int | None

    @property
    def where(self) -> str:
        """The layer, for people."""
        return (
            f"layer {self.number + 1} of {self.count} ({short(self.descriptor.digest)}) of "
            f"{self.source.name}"
        )

    def check(self, observer: Observer, cancellation: Cancellation) -> None:
        """Read the blob to its end, only to check its digest.

        Raises IntegrityError, and what reading an absent blob raises.
        """
        with closed_after(self._iter_fetched(observer, cancellation)) as blob:
            for _ in blob:
                pass

    def apply_to(self, tree: Tree, observer: Observer, cancellation: Cancellation) -> None:
        """Read the layer once, to its end, and apply it.

        Raises IntegrityError where the blob or the unpacked tar has the wrong digest,
        BadCompression, BadArchive, and LimitExceeded at once. A layer that cannot be unpacked is
        still read to its end: if its digest is wrong as well, IntegrityError names the actual
        cause.
        """
        self._read(observer, cancellation, lambda blob: self._unpack(blob, tree, observer))

    def hash_tar(self, observer: Observer, cancellation: Cancellation) -> None:
        """Read the layer once, to its end, and check that it unpacks to the tar of its diff ID.

        No entry of it is looked at. Raises IntegrityError and BadCompression.
        """
        self._read(observer, cancellation, lambda blob: self._drain(blob, observer))

    def _read(
        self,
        observer: Observer,
        cancellation: Cancellation,
        unpack: Callable[[Iterator[bytes]], Digest],
    ) -> None:
        with closed_after(self._iter_fetched(observer, cancellation)) as blob:
            try:
                found = unpack(blob)
            except FormatError:
                for _ in blob:
                    pass
                raise
        if found != self.diff_id:
            raise WrongDiffId(
                f"{self.where} unpacks to {found}, but the image's config says {self.diff_id}",
                advice="the image is broken, build it again",
            )

    def _unpack(self, blob: Iterator[bytes], tree: Tree, observer: Observer) -> Digest:
        """Apply the tar in `blob`; returns its digest."""
        stream = self._open_tar(blob, observer)
        application = LayerApplication(tree, self.number, self.where)
        for entry in iter_entries(stream, self.where):
            application.apply(entry)
            if entry.holes:
                self.spent.note_hole(entry.holes, self.where)
            self.spent.note_entry(tree.memory, self.where)
        application.finish()
        for sentence in application.warnings:
            observer.warn(sentence)
        return stream.drain()

    def _drain(self, blob: Iterator[bytes], observer: Observer) -> Digest:
        return self._open_tar(blob, observer).drain()

    def _open_tar(self, blob: Iterator[bytes], observer: Observer) -> TarStream:
        """The tar in `blob`. The block-aware library is not used here."""
        chunks = iter_decompressed(
            blob,
            self.where,
            None,
            on_rubbish=lambda count: observer.warn(rubbish_text(self.where, count)),
            max_window=self.max_window,
        )
        return TarStream(chunks, self.diff_id, lambda size: self.spent.note_read(size, self.where))

    def _iter_fetched(self, observer: Observer, cancellation: Cancellation) -> Iterator[bytes]:
        """The blob; it is verified at its end."""
        label = f"layer {self.number + 1}/{self.count}"
        blob = self.source.iter_blob(self.descriptor)
        size = self.descriptor.size
        yield from watched(blob, observer, cancellation, label, size, outcome="read")
