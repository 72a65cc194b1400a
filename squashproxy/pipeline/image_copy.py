"""Copying one image: bring the base, squash the other layers, write config and manifest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.oci import mediatypes
from squashproxy.oci.conversion import as_oci
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, RawManifest
from squashproxy.pipeline.bases.base import Base, unmerged_base, without_base
from squashproxy.pipeline.bases.find_base import BaseFinder
from squashproxy.pipeline.copy_figures import CopiedImage, Subject, finished
from squashproxy.pipeline.image import (
    NOT_LISTED,
    Image,
    Listed,
    read_image,
    why_unmerged,
    without_values,
)
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.preflight import (
    check_depth,
    check_holds,
    check_platform,
    unsquashable,
    warn_of_depth,
)
from squashproxy.pipeline.result_config import pruned_config, squashed_config
from squashproxy.pipeline.results import LayerAction
from squashproxy.pipeline.rewrite.find_cuts import CutFinder
from squashproxy.pipeline.rewrite.new_layer import LayerMaker, NewLayer
from squashproxy.pipeline.rewrite.prune_layers import (
    CutName,
    LayerPruner,
    PrunedImage,
    PrunedLayer,
)
from squashproxy.pipeline.rewrite.squash_layers import Squashed, compression_for, squash_layers
from squashproxy.pipeline.second_reading import SecondReading
from squashproxy.pipeline.stamp import stamp_of
from squashproxy.pipeline.transfer.blob_copy import BlobCopier, CompressedLayer, TransferCount
from squashproxy.pipeline.transfer.bring_layers import LayerBringer, brought
from squashproxy.pipeline.transfer.source_layer import SourceLayer, layers_of
from squashproxy.pipeline.transfer.threads import CopyThreads
from squashproxy.progress import Observer
from squashproxy.squash.layer import MergeReport
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import in_place_of, parse_image, short

_UNCHANGED = Squashed((), is_kept=True, report=MergeReport())
"""An image of which nothing is squashed."""


class ImageCopier:
    """Copies images from one source to one sink. Layers and results that images share are made
    once.
    """

    def __init__(
        self,
        source: ImageSource,
        sink: ImageSink,
        options: CopyOptions,
        bases: BaseFinder,
        *,
        observer: Observer,
        cancellation: Cancellation,
    ) -> None:
        self._source = source
        self._sink = sink
        self._options = options
        self._bases = bases
        self._observer = observer
        self._cancellation = cancellation
        self._compresses_plain = not source.chooses_compression and sink.traits.compressed
        own = [] if source.repository is None else [source.repository]
        self._blob_copier = BlobCopier(
            source, sink, observer, cancellation, [*options.base_repos, *own]
        )
        self._bringer = LayerBringer(self._blob_copier, source, sink.traits.compressed)
        self._second_reading = SecondReading(observer)
        self._squashed: dict[tuple[object, ...], Squashed] = {}
        self._pruned: dict[CutName, NewLayer] = {}

    def copy(self, raw: RawManifest, digest: Digest, listed: Listed = NOT_LISTED) -> CopiedImage:
        """Bring everything that the squashed image needs into the sink, except its manifest.

        The source calls it `digest`, by whatever algorithm; `listed` is what its index says. Layers
        that cannot be merged are brought as they are, and a warning says why. Raises FormatError
        for an artifact where the sink takes images only, and NoSuchPlatform where platforms were
        asked for and the image has none of them. Where a blob of the source was wrong, the image is
        begun once more.
        """
        transfer = TransferCount()
        with self._blob_copier.advising(transfer):
            return self._second_reading.run(
                partial(self._copy, raw, digest, listed, transfer),
                partial(self._blob_copier.begin_again, transfer),
            )

    def _copy(
        self, raw: RawManifest, digest: Digest, listed: Listed, transfer: TransferCount
    ) -> CopiedImage:
        manifest = parse_image(raw, self._source.name)
        why = unsquashable(manifest)
        if why is not None:
            name = f"{short(digest)} of {self._source.name}"
            if not manifest.is_image:
                check_holds(self._sink, f"{name} {why}")
            self._observer.warn(f"{name} {why}; copied as it is")
            return self._copy_artifact(manifest, digest, transfer)
        if not self._sink.traits.docker:
            manifest = as_oci(manifest)
        image = read_image(self._source, manifest, digest, listed)
        check_platform(image, self._options)
        base = self._base_of(image)
        if image.other_system is None:
            check_depth(base.count, str(image.platform))
        if base.count == len(manifest.layers):
            return self._copy_as_it_is(image, base, transfer)
        rewrite = self._prune if self._options.mode is Mode.PRUNE else self._squash
        copied = rewrite(image, base, transfer)
        warn_of_depth(copied.copy, self._observer)
        return copied

    def _base_of(self, image: Image) -> Base:
        whole = unmerged_base(image)
        if whole is None:
            return self._bases.choose(image, self._options, self._sink)
        self._observer.warn(
            f"{short(image.digest)} of {image.name} {why_unmerged(str(image.other_system))}; "
            "copied as it is"
        )
        if image.silence is not None:
            self._observer.warn(image.silence)
        return whole

    def _copy_artifact(
        self, manifest: ImageManifest, source_digest: Digest, transfer: TransferCount
    ) -> CopiedImage:
        with CopyThreads(self._options.jobs) as threads:
            self._blob_copier.bring([*manifest.layers, manifest.config], threads, transfer)
        subject = Subject(
            manifest.layers, source_digest, "unknown", len(manifest.layers), self._options.mode
        )
        return finished(manifest.raw, subject.unchanged(manifest.layers), transfer)

    def _copy_as_it_is(self, image: Image, base: Base, transfer: TransferCount) -> CopiedImage:
        data = squashed_config(image, base, _UNCHANGED, self._options)
        with CopyThreads(self._options.jobs) as threads:
            kept = self._bringer.bring_base(base, threads, transfer)
            config = self._bring_config(image, data, threads, transfer)
        raw = self._renamed(image, base, config, kept.layers)
        figures = self._subject(image, base).unchanged(kept.layers)
        return finished(raw, figures, transfer)

    def _squash(self, image: Image, base: Base, transfer: TransferCount) -> CopiedImage:
        manifest = image.manifest
        with CopyThreads(self._options.jobs) as threads:
            kept = self._bringer.bring_base(base, threads, transfer)
            squashed = self._squash_layers(image, base, transfer, threads)
            if squashed.is_kept:
                self._blob_copier.bring([manifest.layers[-1]], threads, transfer)
            data = squashed_config(image, base, squashed, self._options)
            config = self._bring_config(image, data, threads, transfer)
        figures = self._subject(image, base).squashed(squashed, kept.layers)
        if squashed.is_kept:
            layers = [*kept.layers, manifest.layers[-1]]
            return finished(self._renamed(image, base, config, layers), figures, transfer)
        new = [layer.descriptor for layer in squashed.layers]
        raw = self._with_layers(image, base, config, [*kept.layers, *new])
        return finished(raw, figures, transfer)

    def _prune(self, image: Image, base: Base, transfer: TransferCount) -> CopiedImage:
        manifest = image.manifest
        with CopyThreads(self._options.jobs) as threads:
            kept = self._bringer.bring_base(base, threads, transfer)
            layers = self._layers_of(image, transfer)
            sends = partial(self._blob_copier.begin_sending, threads=threads, transfer=transfer)
            finder = CutFinder(
                layers,
                base.count,
                self._options,
                threads,
                send=None if self._compresses_plain else sends,
                warn=self._observer.warn,
            )
            pruner = LayerPruner(
                layers,
                base.count,
                finder.found,
                self._options,
                threads,
                lambda number: self._maker(
                    image,
                    threads,
                    transfer,
                    f"pruned layer {number + 1}",
                    manifest.layers[number : number + 1],
                ),
                self._has_blob,
                self._pruned,
            )
            finder.run(pruner.begin)
            above: dict[int, PrunedLayer] = {}
            staying: dict[int, Descriptor | CompressedLayer] = {}
            for number, pruned in pruner.iter_pruned():
                above[number] = pruned
                if pruned.action is LayerAction.REUSED and pruned.new is not None:
                    transfer.add_reused(pruned.new.descriptor)
                elif pruned.action is LayerAction.KEPT:
                    layer = manifest.layers[number]
                    if number in finder.found.sent:
                        self._blob_copier.note_sent(layer)
                        staying[number] = layer
                    else:
                        staying[number] = self._bringer.bring(layer, threads, transfer)
            data = pruned_config(image, base, above, self._options)
            config = self._bring_config(image, data, threads, transfer)
        there = {number: brought(part) for number, part in staying.items()}
        outcome = PrunedImage(kept.layers, above, there, finder.found)
        figures = self._subject(image, base).pruned(outcome)
        make = self._renamed if len(staying) == len(above) else self._with_layers
        return finished(make(image, base, config, outcome.layers), figures, transfer)

    def _bring_config(
        self, image: Image, data: bytes | None, threads: CopyThreads, transfer: TransferCount
    ) -> Descriptor:
        """Have a new config in the target when the threads have ended, or without one the own."""
        own = image.manifest.config
        if data is None:
            self._blob_copier.bring([own], threads, transfer)
            return own
        is_old = own.media_type in mediatypes.OLD_CONFIGS
        kind = mediatypes.DOCKER_CONFIG if is_old else own.media_type
        return in_place_of(own, self._blob_copier.write_document(kind, data, transfer))

    def _subject(self, image: Image, base: Base) -> Subject:
        return Subject(
            image.manifest.layers,
            image.digest,
            str(image.platform),
            base.count,
            self._options.mode,
        )

    def _squash_layers(
        self, image: Image, base: Base, transfer: TransferCount, threads: CopyThreads
    ) -> Squashed:
        descriptors = image.manifest.layers
        key = (base.count, *(layer.digest for layer in descriptors))
        known = self._squashed.get(key)
        if known is not None:
            for layer in known.layers:
                transfer.add_reused(layer.descriptor)
            return known
        layers = self._layers_of(image, transfer)
        above = descriptors[base.count :]
        maker = self._maker(image, threads, transfer, "squashed layer", above)
        squashed = squash_layers(layers, base.count, maker)
        for sentence in squashed.report.warnings:
            self._observer.warn(sentence)
        self._squashed[key] = squashed
        return squashed

    def _has_blob(self, blob: Descriptor) -> bool:
        return self._sink.has_blob(blob)

    def _layers_of(self, image: Image, transfer: TransferCount) -> list[SourceLayer]:
        return layers_of(
            self._source,
            image,
            self._observer,
            self._cancellation,
            self._options,
            count_fetched=transfer.add_fetched,
        )

    def _maker(
        self,
        image: Image,
        threads: CopyThreads,
        transfer: TransferCount,
        label: str,
        replaced: Sequence[Descriptor],
    ) -> LayerMaker:
        """Makes the layer that takes the place of those `replaced`; `label` is for people."""
        compression = compression_for(
            replaced, self._options.compression, compresses_plain=self._compresses_plain
        )
        return LayerMaker(
            self._options,
            mediatypes.family_of(image.manifest.raw.media_type),
            compression,
            threads,
            write=lambda chunks: self._blob_copier.write(label, chunks, transfer),
        )

    def _renamed(
        self, image: Image, base: Base, config: Descriptor, layers: Sequence[Descriptor]
    ) -> RawManifest:
        """The manifest of an image that was not squashed: unchanged if the target accepts it."""
        manifest = image.manifest
        is_same = config == manifest.config and tuple(layers) == manifest.layers
        if manifest.raw.is_named(image.digest) and is_same:
            return manifest.raw
        return self._with_layers(image, base, config, layers)

    def _with_layers(
        self, image: Image, base: Base, config: Descriptor, layers: Sequence[Descriptor]
    ) -> RawManifest:
        own = without_values(image.manifest.annotations, image.listed.left_out)
        kept = without_base(own)
        stamp = stamp_of(image, self._options)
        annotations = {**kept, **base.annotations, **stamp.annotations}
        return image.manifest.with_layers(config, layers, annotations)
