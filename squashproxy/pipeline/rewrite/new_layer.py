"""Making a layer: from spans of tar to a blob in the target, in parallel threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from squashproxy.codec.encoder import Encoder, encoder_for
from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, Family, layer_type
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.transfer.stream_group import StreamGroup
from squashproxy.span import Span
from squashproxy.streams import Repeatable
from squashproxy.transports.base import WrittenBlob

_SPAN_WEIGHT = 128

BlobWriter = Callable[[Repeatable[Chunk]], WrittenBlob]
"""Stores a blob; leaves nothing behind where its stream raises.

It may iterate once more, where what it stored was lost.
"""


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer that the source does not have; sizes in bytes."""

    descriptor: Descriptor
    diff_id: Digest
    unpacked: int
    spliced: int
    reencoded: int


@dataclass(frozen=True, slots=True)
class LayerMaker:
    """Makes layers of one compression. Reading, hashing, encoding and storing run in `threads`."""

    options: CopyOptions
    family: Family
    compression: Compression
    threads: StreamGroup
    write: BlobWriter

    def make(self, spans: Callable[[], Iterator[Span]], name: str) -> NewLayer | None:
        """The layer of these spans, stored; None where there are none. `name` is for its threads.

        `spans` begins them, and is called again where the upload was lost: the same must come
        once more. Raises what the spans and `write` raise.
        """
        making = _Making(self, spans, name)
        try:
            if not making.begin():
                return None
            written = self.write(Repeatable(making.iter_blob))
        finally:
            making.end()
        return NewLayer(
            Descriptor(layer_type(self.family, self.compression), written.digest, written.size),
            making.content.digest,
            making.content.size,
            making.encoder.spliced,
            making.encoder.reencoded,
        )


@dataclass(slots=True)
class _Making:
    """The passes over the spans that a layer takes: one, and another for each upload that was lost.

    `content` and `encoder` are those of the last pass.
    """

    maker: LayerMaker
    spans: Callable[[], Iterator[Span]]
    name: str
    content: Hasher = field(default_factory=Hasher)
    encoder: Encoder = field(init=False)
    _group: StreamGroup | None = None
    _begun: Iterator[Span] | None = None

    def begin(self) -> bool:
        """Begin a pass; False where there are no spans."""
        group = self._group = self.maker.threads.add(StreamGroup)
        ahead = iter(group.read_ahead(self.spans(), _weigh, self.name))
        first = next(ahead, None)
        self._begun = ahead if first is None else chain((first,), ahead)
        return first is not None

    def iter_blob(self) -> Iterator[Chunk]:
        """The blob. Its threads end with the iteration."""
        try:
            if self._begun is None:
                self.begin()
            yield from self._iter_encoded()
        finally:
            self.end()

    def _iter_encoded(self) -> Iterator[Chunk]:
        spans, self._begun, group = self._begun, None, self._group
        assert spans is not None, "a pass was begun"
        assert group is not None, "a pass was begun"
        options = self.maker.options
        self.content = Hasher()
        self.encoder = encoder_for(
            self.maker.compression,
            options.compression.level,
            options.library,
            keeps_share=options.compression.kind is None,
            workers=os.cpu_count() or 1,
        )
        hashed = group.read_ahead(_iter_hashed(spans, self.content), _weigh, "hash")
        yield from group.read_ahead(self.encoder.iter_blob(hashed), len, "encode")

    def end(self) -> None:
        """Stop the threads of the pass, if one was begun."""
        group, self._group, self._begun = self._group, None, None
        if group is not None:
            group.stop()
            group.join()


def _iter_hashed(spans: Iterable[Span], hasher: Hasher) -> Iterator[Span]:
    for span in spans:
        hasher.update(span.data)
        yield span


def _weigh(span: Span) -> int:
    return len(span.data) + _SPAN_WEIGHT
