"""Squashing the layers of one image: merge, encode, hash and upload, in parallel threads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from squashproxy.codec.encoder import encoder_for
from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, Family, compression_of, layer_type
from squashproxy.pipeline.options import CompressionChoice, CopyOptions
from squashproxy.pipeline.prefetch import Prefetch
from squashproxy.pipeline.source_layer import SourceLayer, can_be_read
from squashproxy.pipeline.threads import CopyThreads
from squashproxy.span import Span
from squashproxy.squash.layer import HiddenEntry, Layer, MergeOptions, MergeReport
from squashproxy.squash.merge import Merge
from squashproxy.squash.pass_facts import RestartNeeded
from squashproxy.squash.restart import merge_with_restarts
from squashproxy.transports.base import WrittenBlob

_SPAN_WEIGHT = 128


class MergeWatcher(Protocol):
    """Notified of hidden entries during a merge, and of its end."""

    def begin(self) -> None:
        """A merge begins, possibly again: forget everything noted before."""
        ...

    def end(self, merge: Merge, layers: Sequence[Layer]) -> None:
        """The merge of `layers` has ended; the layers of the base may still be read."""
        ...

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides this entry."""
        ...

    def revived(self, path: bytes, layer: int, size: int) -> None:
        """A hidden entry (`size` bytes) is kept after all, as the content of a hard link."""
        ...


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer that the source does not have; sizes in bytes."""

    descriptor: Descriptor
    diff_id: Digest
    unpacked: int
    spliced: int
    reencoded: int


@dataclass(frozen=True, slots=True)
class Squashed:
    """The result of squashing the layers above the base.

    `layer` is None where nothing is left of them, and with `is_kept`: then the only layer above the
    base stays unchanged, since nothing in it is hidden.
    """

    layer: NewLayer | None
    is_kept: bool
    report: MergeReport


def squash_layers(
    layers: Sequence[SourceLayer],
    kept: int,
    options: CopyOptions,
    family: Family,
    *,
    compression: Compression,
    threads: CopyThreads,
    write: Callable[[Iterator[Chunk]], WrittenBlob],
    watcher: MergeWatcher | None = None,
) -> Squashed:
    """Merge the layers above the first `kept` and compress the result; `write` stores the blob.

    A `watcher` reads the base as well, so its layers are prefetched too. Fetching, inflating,
    merging, hashing and encoding run in parallel, in `threads`. Raises what the merge
    raises. `write` must leave nothing behind where its stream raises.
    """
    choices = merge_options(layers, kept, options, watcher)
    reads_base = watcher is not None and choices.reads_base
    prefetched = Prefetch(layers, 0 if reads_base else kept, threads).layers
    watched = _Watched(watcher, prefetched)
    if len(layers) == kept + 1:
        report = _try_keep(watched, layers[kept].descriptor, choices, compression)
        if report is not None:
            return Squashed(None, is_kept=True, report=report)
    media_type = layer_type(family, compression)

    def run(merge: Merge) -> Squashed:
        watched.begin()
        squashed = encode(merge)
        watched.end(merge)
        return squashed

    def encode(merge: Merge) -> Squashed:
        encoder = encoder_for(
            compression,
            options.compression.level,
            options.library,
            keeps_share=options.compression.kind is None,
            workers=os.cpu_count() or 1,
        )
        content = Hasher()
        spans = iter(threads.read_ahead(merge.iter_spans(), _weigh, "merge"))
        first = next(spans, None)
        if first is None:
            return Squashed(None, is_kept=False, report=merge.report)
        hashed = threads.read_ahead(_iter_hashed(chain((first,), spans), content), _weigh, "hash")
        written = write(iter(threads.read_ahead(encoder.iter_blob(hashed), len, "encode")))
        layer = NewLayer(
            Descriptor(media_type, written.digest, written.size),
            content.digest,
            content.size,
            encoder.spliced,
            encoder.reencoded,
        )
        return Squashed(layer, is_kept=False, report=merge.report)

    return merge_with_restarts(prefetched, choices, run)


@dataclass(frozen=True, slots=True)
class _Watched:
    """The layers of a merge, and its watcher."""

    watcher: MergeWatcher | None
    layers: Sequence[Layer]

    def begin(self) -> None:
        if self.watcher is not None:
            self.watcher.begin()

    def end(self, merge: Merge) -> None:
        if self.watcher is not None:
            self.watcher.end(merge, self.layers)


def _iter_hashed(spans: Iterable[Span], hasher: Hasher) -> Iterator[Span]:
    for span in spans:
        hasher.update(span.data)
        yield span


def _weigh(span: Span) -> int:
    return len(span.data) + _SPAN_WEIGHT


def merge_options(
    layers: Sequence[SourceLayer],
    kept: int,
    options: CopyOptions,
    watcher: MergeWatcher | None = None,
) -> MergeOptions:
    """The merge's options, from those of the copy."""
    return MergeOptions(
        kept=kept,
        reads_base=can_be_read([layer.descriptor for layer in layers[:kept]]),
        strict=options.strict,
        max_entries=options.limits.entries,
        max_unpacked=options.limits.unpacked,
        max_memory=options.limits.memory,
        on_hidden=None if watcher is None else watcher.hidden,
        on_revived=None if watcher is None else watcher.revived,
    )


def compression_for(
    layers: Sequence[Descriptor], choice: CompressionChoice, *, compresses_plain: bool = False
) -> Compression:
    """The compression of the new layer; with `keep`, the one that most of the layers' bytes have.

    With `compresses_plain`, uncompressed layers become gzip.
    """
    if choice.kind is not None:
        return choice.kind
    sizes: Counter[Compression] = Counter()
    for layer in layers:
        sizes[compression_of(layer.media_type)] += layer.size
    most = sizes.most_common(1)[0][0]
    return Compression.GZIP if compresses_plain and most is Compression.NONE else most


def _try_keep(
    watched: _Watched, above: Descriptor, options: MergeOptions, compression: Compression
) -> MergeReport | None:
    """Read the only layer above the base; its report where nothing in it has to change."""
    if compression_of(above.media_type) is not compression:
        return None
    watched.begin()
    merge = Merge(watched.layers, options)
    try:
        report = merge.run()
    except RestartNeeded:
        return None
    if report.touched or report.empty:
        return None
    watched.end(merge)
    return report
