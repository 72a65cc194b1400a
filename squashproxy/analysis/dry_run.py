"""A dry run: everything that a copy does with the layers, with the new layer discarded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from squashproxy.analysis.base_layers import count_base
from squashproxy.analysis.findings import Findings
from squashproxy.analysis.known_layers import known_layers
from squashproxy.cancellation import Cancellation
from squashproxy.digest import Chunk, Hasher
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import family_of
from squashproxy.pipeline.bases.base import Base
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import LayerAction
from squashproxy.pipeline.rewrite.find_cuts import CutFinder, Cuts
from squashproxy.pipeline.rewrite.new_layer import LayerMaker
from squashproxy.pipeline.rewrite.prune_layers import (
    LayerPruner,
    PrunedImage,
    PrunedLayer,
)
from squashproxy.pipeline.rewrite.squash_layers import (
    Squashed,
    compression_for,
    merge_options,
    squash_layers,
)
from squashproxy.pipeline.transfer.prefetch import Prefetch
from squashproxy.pipeline.transfer.source_layer import SourceLayer, layers_of
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.progress import Observer
from squashproxy.squash.census import Census
from squashproxy.squash.index import PathIndex
from squashproxy.squash.layer import (
    HiddenEntry,
    KnownLayer,
    Layer,
    LayerCount,
    MergeOptions,
    ScannedLayer,
)
from squashproxy.squash.listing import Listing
from squashproxy.squash.merge import Merge
from squashproxy.transports.base import ImageSource, WrittenBlob


@dataclass(slots=True)
class DryRun:
    """Squashes one image, discards the layer and keeps the findings.

    `known` are the listings that the memory of layers has, by number; the others are kept there.
    `is_held` says whether the target has a blob. `findings` are the hidden entries of all layers;
    `counts` are the counts of base layers by number, which are read after the merge, unless all of
    them are known. `estimated` are the numbers of layers that were not made.
    """

    source: ImageSource
    image: Image
    base: Base
    options: CopyOptions
    observer: Observer
    known: Mapping[int, Listing] = field(default_factory=dict)
    is_held: Callable[[Descriptor], bool] = lambda _: False
    findings: Findings = field(default_factory=Findings)
    counts: dict[int, LayerCount] = field(default_factory=dict)
    estimated: set[int] = field(default_factory=set)

    def squash(self, *, compresses_plain: bool) -> Squashed:
        """The result that a copy would get. Raises what squashing raises."""
        layers = self._layers()
        with CopyThreads(self.options.jobs) as threads:
            if self.base.count == len(layers):
                return self._look_at(layers, threads)
            above = self.image.manifest.layers[self.base.count :]
            maker = self._maker(above, threads, compresses_plain)
            return squash_layers(layers, self.base.count, maker, watcher=self)

    def prune(self, *, compresses_plain: bool) -> PrunedImage:
        """The result that a copy would get. Raises what pruning raises."""
        layers = self._layers()
        kept, descriptors = self.base.count, self.image.manifest.layers
        with CopyThreads(self.options.jobs) as threads:
            finder = self._cut_finder(layers, threads)
            found = finder.found

            def maker(number: int) -> LayerMaker:
                return self._maker([descriptors[number]], threads, compresses_plain)

            pruner = LayerPruner(layers, kept, found, self.options, threads, maker, self.is_held)
            finder.run(pruner.begin)
            choices = merge_options(layers, kept, self.options, on_listing=self.listed)
            self._count_base(found.index, choices, Prefetch(layers, 0, threads).layers)
            return self._pruned_image(dict(pruner.iter_pruned()), found)

    def _pruned_image(self, above: Mapping[int, PrunedLayer], found: Cuts) -> PrunedImage:
        staying = {
            number: self.image.manifest.layers[number]
            for number, layer in above.items()
            if layer.action is LayerAction.KEPT
        }
        return PrunedImage(self.base.layers, above, staying, found)

    def _layers(self) -> list[SourceLayer]:
        return layers_of(self.source, self.image, self.observer, Cancellation(), self.options)

    def _cut_finder(self, layers: Sequence[SourceLayer], threads: CopyThreads) -> CutFinder:
        above = {number: each for number, each in self.known.items() if number >= self.base.count}
        return CutFinder(
            layers,
            self.base.count,
            self.options,
            threads,
            on_hidden=self.findings.hidden,
            known=above,
            warn=self.observer.warn,
        )

    def _maker(
        self, replaced: Sequence[Descriptor], threads: CopyThreads, compresses_plain: bool
    ) -> LayerMaker:
        """Makes the layer that takes the place of those `replaced`, and keeps nothing of it."""
        choice = self.options.compression
        return LayerMaker(
            self.options,
            family_of(self.image.manifest.raw.media_type),
            compression_for(replaced, choice, compresses_plain=compresses_plain),
            threads,
            write=_measure,
        )

    def begin(self) -> None:
        """A merge begins, possibly again: forget what was found before."""
        self.findings.clear()

    def end(self, merge: Merge, layers: Sequence[Layer]) -> None:
        """Read the layers of the base as well."""
        self._count_base(merge.index, merge.options, layers)

    @property
    def reads_base(self) -> bool:
        """Whether any of the base is unknown."""
        return self._known_base() is None

    def listed(self, number: int, listing: Listing) -> None:
        """Remember what a layer holds."""
        if number not in self.known:
            digest = self.image.manifest.layers[number].digest
            self.options.memory.keep_listing(digest, listing)

    def _count_base(
        self, index: PathIndex, choices: MergeOptions, layers: Sequence[ScannedLayer]
    ) -> None:
        base = self.image.manifest.layers[: self.base.count]
        known = self._known_base()
        self.counts = count_base(Census(index, choices), known or layers, base, self.observer)

    def _known_base(self) -> list[KnownLayer] | None:
        """The layers of the base if all are known."""
        return known_layers(self._layers()[: self.base.count], self.known)

    def hidden(self, entry: HiddenEntry) -> None:
        """An upper layer hides this entry."""
        self.findings.hidden(entry)

    def revived(self, path: bytes, layer: int, size: int) -> None:
        """The content of a hidden entry is kept after all, as that of a hard link."""
        self.findings.revived(path, layer, size)

    def _look_at(self, layers: Sequence[SourceLayer], threads: CopyThreads) -> Squashed:
        """Count an image whose layers all stay."""
        choices = merge_options(
            layers,
            len(layers),
            self.options,
            on_hidden=self.hidden,
            on_revived=self.revived,
            on_listing=self.listed,
        )
        first = 0 if choices.reads_base else len(layers)
        prefetched = Prefetch(layers, first, threads).layers
        merge = Merge(prefetched, choices)
        report = merge.run()
        self.end(merge, prefetched)
        return Squashed((), is_kept=True, report=report)


def _measure(chunks: Iterable[Chunk]) -> WrittenBlob:
    """Keep nothing of a stream but its size and digest."""
    hasher = Hasher()
    for chunk in chunks:
        hasher.update(chunk)
    return WrittenBlob(hasher.digest, hasher.size)
