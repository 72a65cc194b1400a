"""KnownRun: a dry run over listings, for an image whose layers are all known. None is read.

What can be seen and what is hidden is exact, since a scan, a merge and a census find the same in a
listing as in its layer. The sizes of new layers are estimates, unless the memory has the very
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.analysis.dry_run import DryRun
from squashproxy.analysis.known_layers import known_layers
from squashproxy.digest import digest_of
from squashproxy.layer_memory.pruned_result import Ordinals
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import layer_type
from squashproxy.pipeline.rewrite.find_cuts import Cuts
from squashproxy.pipeline.rewrite.new_layer import LayerMaker, NewLayer
from squashproxy.pipeline.rewrite.prune_layers import LayerPruner, PrunedImage
from squashproxy.pipeline.rewrite.split_layers import count_parts, is_split
from squashproxy.pipeline.rewrite.squash_layers import Squashed, merge_options
from squashproxy.pipeline.transfer.source_layer import SourceLayer
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.squash.layer import KnownLayer, LayerCount, MergeReport
from squashproxy.squash.merge import Merge
from squashproxy.squash.restart import merge_with_restarts

_UNKNOWN = digest_of(b"")
"""Stands for the digest and the diff ID of a layer that was not made."""


@dataclass(slots=True)
class KnownRun(DryRun):
    """A DryRun that has all layers in `known`; foreign ones aside."""

    def squash(self, *, compresses_plain: bool) -> Squashed:
        """As the layers would be squashed. Raises what a merge raises."""
        sources, kept = self._layers(), self.base.count
        layers = self._all_known(sources)
        choices = merge_options(
            sources, kept, self.options, on_hidden=self.hidden, on_revived=self.revived
        )
        length = 0

        def run(merge: Merge) -> Merge:
            nonlocal length
            self.begin()
            length = sum(len(span.data) for span in merge.iter_spans())
            return merge

        merge = merge_with_restarts(layers, choices, run)
        self._count_base(merge.index, choices, layers)
        report = merge.report
        above = [layer.descriptor for layer in sources[kept:]]
        is_split_up = is_split(above, self.options.max_layer_size)
        if not above or (len(above) == 1 and not is_split_up and _is_untouched(report)):
            return Squashed((), is_kept=True, report=report)
        with CopyThreads(self.options.jobs) as threads:
            maker = self._maker(above, threads, compresses_plain)
        parts = () if report.empty else self._estimated_parts(maker, report, length)
        return Squashed(parts, is_kept=False, report=report)

    def prune(self, *, compresses_plain: bool) -> PrunedImage:
        """As the layers would be pruned. Raises what a scan raises."""
        sources, kept = self._layers(), self.base.count
        with CopyThreads(self.options.jobs) as threads:
            finder = self._cut_finder(sources, threads)
            finder.run()
            found = finder.found
            choices = merge_options(sources, kept, self.options)
            self._count_base(found.index, choices, self._all_known(sources))

            def maker(number: int) -> LayerMaker:
                return self._maker([sources[number].descriptor], threads, compresses_plain)

            pruner = LayerPruner(
                sources,
                kept,
                found,
                self.options,
                threads,
                maker,
                self.is_held,
                stand_in=lambda number: self._pruned(number, found, maker(number)),
            )
            return self._pruned_image(dict(pruner.iter_pruned()), found)

    def _all_known(self, sources: Sequence[SourceLayer]) -> list[KnownLayer]:
        layers = known_layers(sources, self.known)
        assert layers is not None, "all layers are known"
        return layers

    def _estimated_parts(
        self, maker: LayerMaker, report: MergeReport, length: int
    ) -> tuple[NewLayer, ...]:
        """The squashed layer, or its parts, that are as large as what they replace."""
        kept, layers = self.base.count, self.image.manifest.layers
        self.estimated.add(kept)
        size = sum(
            _left(layers[number].size, count)
            for number, count in report.layers.items()
            if number >= kept
        )
        count = count_parts(layers[kept:], size, self.options.max_layer_size, kept)
        return tuple(
            _stand_in(maker, (size + n) // count, (length + n) // count) for n in range(count)
        )

    def _pruned(self, number: int, found: Cuts, maker: LayerMaker) -> NewLayer:
        """A layer without what can go, as it was made before, or as an estimate."""
        layer, cut, count = self.image.manifest.layers[number], found.cuts[number], found.counts
        for result in self.options.memory.find_results(layer.digest):
            is_same = result.dropped == Ordinals(cut.dropped) and result.whiteouts == Ordinals(
                cut.whiteouts
            )
            if is_same and not result.is_nothing and result.compression is maker.compression:
                media_type = layer_type(maker.family, maker.compression)
                blob = Descriptor(media_type, result.digest, result.size)
                return NewLayer(blob, result.diff_id, result.unpacked, spliced=0, reencoded=0)
        self.estimated.add(number)
        unpacked = count[number].unpacked - cut.hidden_bytes
        return _stand_in(maker, _left(layer.size, count[number]), unpacked)


def _is_untouched(report: MergeReport) -> bool:
    """Whether a layer stays: global headers, which no listing has, are not looked at."""
    return not (report.touched or report.empty)


def _left(packed: int, count: LayerCount) -> int:
    """The share of a layer's blob that no layer hides, in bytes."""
    return round(packed * (1 - count.hidden_bytes / count.unpacked)) if count.unpacked else packed


def _stand_in(maker: LayerMaker, size: int, unpacked: int) -> NewLayer:
    """A layer that nobody made."""
    blob = Descriptor(layer_type(maker.family, maker.compression), _UNKNOWN, size)
    return NewLayer(blob, _UNKNOWN, unpacked, spliced=0, reencoded=0)
