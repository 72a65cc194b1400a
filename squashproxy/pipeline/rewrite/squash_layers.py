"""Squashing the layers of one image: merge, encode, hash and upload, in parallel threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Compression, compression_of
from squashproxy.pipeline.options import CompressionChoice, CopyOptions
from squashproxy.pipeline.rewrite.merge_passes import MergePasses
from squashproxy.pipeline.rewrite.new_layer import LayerMaker, NewLayer
from squashproxy.pipeline.rewrite.split_layers import is_split, make_split
from squashproxy.pipeline.transfer.prefetch import Prefetch
from squashproxy.pipeline.transfer.source_layer import SourceLayer, can_be_read
from squashproxy.squash.layer import HiddenEntry, Layer, MergeOptions, MergeReport
from squashproxy.squash.listing import Listing
from squashproxy.squash.merge import Merge
from squashproxy.squash.pass_facts import RestartNeeded
from squashproxy.squash.restart import merge_with_restarts


class MergeWatcher(Protocol):
    """Notified of what a merge hides and reads, and of its end."""

    @property
    def reads_base(self) -> bool:
        """Whether at the end the base is read through the layers that the merge was given."""
        ...

    def listed(self, number: int, listing: Listing) -> None:
        """A layer was read to its end, and its digest checked; this is what it holds."""
        ...

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
class Squashed:
    """The result of squashing the layers above the base.

    `layers` take their place, lowest first: one, or several where it was cut. There are none where
    nothing is left, and with `is_kept`: then the only layer above the base stays unchanged, since
    nothing in it is hidden.
    """

    layers: tuple[NewLayer, ...]
    is_kept: bool
    report: MergeReport


def squash_layers(
    layers: Sequence[SourceLayer],
    kept: int,
    maker: LayerMaker,
    watcher: MergeWatcher | None = None,
) -> Squashed:
    """Merge the layers above the first `kept`, and have `maker` make the new one, or several.

    A `watcher` may read the base as well; then its layers are prefetched too. Fetching, inflating,
    merging, hashing and encoding run in parallel, in the maker's threads. Raises what the merge
    raises.
    """
    choices = merge_options(
        layers,
        kept,
        maker.options,
        on_hidden=None if watcher is None else watcher.hidden,
        on_revived=None if watcher is None else watcher.revived,
        on_listing=None if watcher is None else watcher.listed,
    )
    reads_base = watcher is not None and watcher.reads_base and choices.reads_base
    prefetched = Prefetch(layers, 0 if reads_base else kept, maker.threads).layers
    watched = _Watched(watcher, prefetched)
    above = [layer.descriptor for layer in layers[kept:]]
    size = maker.options.max_layer_size
    if len(above) == 1 and not is_split(above, size):
        report = _try_keep(watched, above[0], choices, maker.compression)
        if report is not None:
            return Squashed((), is_kept=True, report=report)

    def run(merge: Merge) -> Squashed:
        passes = MergePasses(merge, watched.begin)
        if size is not None and is_split(above, size):
            made = make_split(passes, above, maker, size)
        else:
            layer = maker.make(passes.iter_spans, "merge")
            made = () if layer is None else (layer,)
        watched.end(passes.merge)
        return Squashed(made, is_kept=False, report=passes.merge.report)

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


def merge_options(
    layers: Sequence[SourceLayer],
    kept: int,
    options: CopyOptions,
    *,
    on_hidden: Callable[[HiddenEntry], None] | None = None,
    on_revived: Callable[[bytes, int, int], None] | None = None,
    on_listing: Callable[[int, Listing], None] | None = None,
) -> MergeOptions:
    """The merge's options, from those of the copy."""
    return MergeOptions(
        kept=kept,
        reads_base=can_be_read([layer.descriptor for layer in layers[:kept]]),
        strict=options.strict,
        max_entries=options.limits.entries,
        max_unpacked=options.limits.unpacked,
        max_memory=options.limits.memory,
        on_hidden=on_hidden,
        on_revived=on_revived,
        on_listing=on_listing,
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
