"""Copying one image: bring the base, squash the other layers, write config and manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.cancellation import Cancellation
from squashproxy.digest import Digest
from squashproxy.errors import NoSuchPlatform
from squashproxy.oci import mediatypes
from squashproxy.oci.conversion import as_oci
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, RawManifest
from squashproxy.oci.mediatypes import Compression
from squashproxy.pipeline.base import Base, BaseFinder, without_base
from squashproxy.pipeline.blob_copy import BlobCopier, CompressedLayer, TransferCount
from squashproxy.pipeline.copy_figures import CopiedImage, Subject, finished
from squashproxy.pipeline.image import Image, read_image
from squashproxy.pipeline.new_layer import LayerMaker
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.source_layer import layers_of
from squashproxy.pipeline.squash_layers import Squashed, compression_for, squash_layers
from squashproxy.pipeline.stamp import stamp_of
from squashproxy.pipeline.threads import CopyThreads
from squashproxy.progress import Observer
from squashproxy.squash.layer import MergeReport
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import in_place_of, parse_image, short


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
        self._squashed: dict[tuple[object, ...], Squashed] = {}

    def copy(self, raw: RawManifest) -> CopiedImage:
        """Bring everything that the squashed image needs into the sink, except its manifest.

        Raises NoSuchPlatform where platforms were asked for and the image has none of them.
        """
        manifest = parse_image(raw, self._source.name)
        if not self._sink.traits.docker:
            manifest = as_oci(manifest)
        why = unsquashable(manifest)
        if why is not None:
            self._observer.warn(
                f"{short(raw.digest)} of {self._source.name} {why}; copied as it is"
            )
            return self._copy_artifact(manifest, raw.digest)
        image = read_image(self._source, manifest, raw.digest)
        check_platform(image, self._options)
        base = self._bases.choose(image, self._options, self._sink)
        if base.count == len(manifest.layers):
            return self._copy_as_it_is(image, base)
        return self._squash(image, base)

    def _copy_artifact(self, manifest: ImageManifest, source_digest: Digest) -> CopiedImage:
        transfer = TransferCount()
        with CopyThreads(self._options.jobs) as threads:
            self._blob_copier.bring([*manifest.layers, manifest.config], threads, transfer)
        subject = Subject(
            manifest, source_digest, "unknown", len(manifest.layers), self._options.mode
        )
        return finished(manifest.raw, subject.unchanged(manifest.layers), transfer)

    def _copy_as_it_is(self, image: Image, base: Base) -> CopiedImage:
        transfer = TransferCount()
        squashed = Squashed(None, is_kept=True, report=MergeReport())
        with CopyThreads(self._options.jobs) as threads:
            kept = self._bring_base(base, threads, transfer)
            config = self._bring_config(image, base, squashed, threads, transfer)
        raw = self._renamed(image, base, config, kept.layers)
        figures = self._subject(image, base).unchanged(kept.layers)
        return finished(raw, figures, transfer)

    def _squash(self, image: Image, base: Base) -> CopiedImage:
        manifest = image.manifest
        transfer = TransferCount()
        with CopyThreads(self._options.jobs) as threads:
            kept = self._bring_base(base, threads, transfer)
            squashed = self._squash_layers(image, base, transfer, threads)
            if squashed.is_kept:
                self._blob_copier.bring([manifest.layers[-1]], threads, transfer)
            config = self._bring_config(image, base, squashed, threads, transfer)
        figures = self._subject(image, base).squashed(squashed, kept.layers)
        if squashed.is_kept:
            layers = [*kept.layers, manifest.layers[-1]]
            return finished(self._renamed(image, base, config, layers), figures, transfer)
        new = [] if squashed.layer is None else [squashed.layer.descriptor]
        raw = self._with_layers(image, base, config, [*kept.layers, *new])
        return finished(raw, figures, transfer)

    def _subject(self, image: Image, base: Base) -> Subject:
        return Subject(
            image.manifest, image.digest, str(image.platform), base.count, self._options.mode
        )

    def _bring_base(self, base: Base, threads: CopyThreads, transfer: TransferCount) -> _Kept:
        """Start to bring the layers of the base, compressed if the target needs that."""
        mounts = [] if base.repository is None else [base.repository]
        source = base.source or self._source
        compresses_plain = not source.chooses_compression and self._sink.traits.compressed
        layers: list[Descriptor | CompressedLayer] = []
        for layer in base.layers:
            if compresses_plain and mediatypes.compression_of(layer.media_type) is Compression.NONE:
                layers.append(self._blob_copier.compress(layer, threads, transfer, source))
            else:
                self._blob_copier.bring([layer], threads, transfer, mounts, source)
                layers.append(layer)
        return _Kept(tuple(layers))

    def _bring_config(
        self,
        image: Image,
        base: Base,
        squashed: Squashed,
        threads: CopyThreads,
        transfer: TransferCount,
    ) -> Descriptor:
        """Have the config of the result in the target when the threads have ended."""
        own = image.manifest.config
        data = squashed_config(image, base, squashed, self._options)
        if data is None:
            self._blob_copier.bring([own], threads, transfer)
            return own
        written = self._blob_copier.write_document(own.media_type, data, transfer)
        return in_place_of(own, written)

    def _squash_layers(
        self, image: Image, base: Base, transfer: TransferCount, threads: CopyThreads
    ) -> Squashed:
        descriptors = image.manifest.layers
        key = (base.count, *(layer.digest for layer in descriptors))
        known = self._squashed.get(key)
        if known is not None:
            if known.layer is not None:
                transfer.reused_bytes += known.layer.descriptor.size
            return known
        options = self._options
        layers = layers_of(
            self._source,
            image,
            self._observer,
            self._cancellation,
            options,
            count_fetched=transfer.add_fetched,
        )
        maker = LayerMaker(
            options,
            mediatypes.family_of(image.manifest.raw.media_type),
            compression_for(
                descriptors[base.count :],
                options.compression,
                compresses_plain=self._compresses_plain,
            ),
            threads,
            write=lambda chunks: self._blob_copier.write("squashed layer", chunks, transfer),
        )
        squashed = squash_layers(layers, base.count, maker)
        for sentence in squashed.report.warnings:
            self._observer.warn(sentence)
        self._squashed[key] = squashed
        return squashed

    def _renamed(
        self, image: Image, base: Base, config: Descriptor, layers: Sequence[Descriptor]
    ) -> RawManifest:
        """The manifest of an image that was not squashed: unchanged if the target accepts it."""
        manifest = image.manifest
        is_same = config == manifest.config and tuple(layers) == manifest.layers
        if manifest.raw.digest == image.digest and is_same:
            return manifest.raw
        return self._with_layers(image, base, config, layers)

    def _with_layers(
        self, image: Image, base: Base, config: Descriptor, layers: Sequence[Descriptor]
    ) -> RawManifest:
        kept = without_base(image.manifest.annotations)
        stamp = stamp_of(image, self._options)
        annotations = {**kept, **base.annotations, **stamp.annotations}
        return image.manifest.with_layers(config, layers, annotations)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The layers of the base; some may still be uploading."""

    parts: Sequence[Descriptor | CompressedLayer]

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers as the target has them. Valid only when the threads have ended."""
        return tuple(
            part if isinstance(part, Descriptor) else part.written or part.plain
            for part in self.parts
        )


def squashed_config(
    image: Image, base: Base, squashed: Squashed, options: CopyOptions
) -> bytes | None:
    """The config of a squashed image; None where it stays the source's own."""
    if squashed.is_kept and base.squashed is None:
        return None
    count = len(image.manifest.layers)
    deeds = [] if squashed.is_kept else [f"layers {base.count + 1} to {count} squashed"]
    if base.squashed is not None:
        deeds.append(f"layers 1 to {base.count} replaced by their squashed form")
    note = stamp_of(image, options).history_entry(", ".join(deeds))
    kept = len(base.layers) + (count - base.count if squashed.is_kept else 0)
    new = [] if squashed.layer is None else [squashed.layer.diff_id]
    return base.config_of(image).squashed(kept, new, note)


def unsquashable(manifest: ImageManifest) -> str | None:
    """Why the layers of a manifest cannot be squashed; None where they can."""
    if not manifest.is_image:
        return f"is no container image but an artifact of the type {manifest.kind!r}"
    for layer in manifest.layers:
        if mediatypes.is_encrypted(layer.media_type):
            return "has encrypted layers"
        if not mediatypes.is_layer(layer.media_type) and not mediatypes.is_foreign(
            layer.media_type
        ):
            return f"has a layer of the type {layer.media_type!r}"
    return None


def check_platform(image: Image, options: CopyOptions) -> None:
    """Raise NoSuchPlatform where the image is for none of the platforms asked for."""
    wanted = options.platforms
    if wanted and not any(image.platform.matches(platform) for platform in wanted):
        asked = ", ".join(map(str, wanted))
        raise NoSuchPlatform(
            f"{image.name} is for {image.platform}, not for {asked}",
            advice="leave {platform} out or ask for what there is",
        )
