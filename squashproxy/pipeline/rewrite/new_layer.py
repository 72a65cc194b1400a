"""Making a layer: from spans of tar to a blob in the target, in parallel threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from squashproxy.codec.encoder import encoder_for
from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, Family, layer_type
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.span import Span
from squashproxy.transports.base import WrittenBlob

_SPAN_WEIGHT = 128

BlobWriter = Callable[[Iterator[Chunk]], WrittenBlob]
"""Stores a blob; leaves nothing behind where its stream raises."""


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
    threads: CopyThreads
    write: BlobWriter

    def make(self, spans: Iterator[Span], name: str) -> NewLayer | None:
        """The layer of these spans, stored; None where there are none. `name` is for its threads.

        Raises what the spans and `write` raise.
        """
        threads = self.threads
        encoder = encoder_for(
            self.compression,
            self.options.compression.level,
            self.options.library,
            keeps_share=self.options.compression.kind is None,
            workers=os.cpu_count() or 1,
        )
        content = Hasher()
        ahead = iter(threads.read_ahead(spans, _weigh, name))
        first = next(ahead, None)
        if first is None:
            return None
        hashed = threads.read_ahead(_iter_hashed(chain((first,), ahead), content), _weigh, "hash")
        written = self.write(iter(threads.read_ahead(encoder.iter_blob(hashed), len, "encode")))
        return NewLayer(
            Descriptor(layer_type(self.family, self.compression), written.digest, written.size),
            content.digest,
            content.size,
            encoder.spliced,
            encoder.reencoded,
        )


def _iter_hashed(spans: Iterable[Span], hasher: Hasher) -> Iterator[Span]:
    for span in spans:
        hasher.update(span.data)
        yield span


def _weigh(span: Span) -> int:
    return len(span.data) + _SPAN_WEIGHT
