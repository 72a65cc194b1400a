"""Copying one image of the source: the base brought, the rest squashed, the documents written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from squashproxy.errors import NoSuchPlatform
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageManifest, RawManifest
from squashproxy.pipeline.base import Base, BaseFinder, Image, without_base
from squashproxy.pipeline.crew import Crew
from squashproxy.pipeline.delivery import Delivery, Tally
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import PlatformCopy
from squashproxy.pipeline.source_layer import layers_of
from squashproxy.pipeline.squashing import Squashed, squash_layers
from squashproxy.pipeline.stamp import Stamp, options_hash
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import in_place_of, parse_image, read_config, short


@dataclass(frozen=True, slots=True)
class CopiedImage:
    """The manifest to push, whose blobs are all in the target, and what it took to get there."""

    manifest: RawManifest
    copy: PlatformCopy


class ImageCopier:
    """Copies images of one source into one sink; layers and results that images share once."""

    def __init__(
        self,
        source: ImageSource,
        sink: ImageSink,
        options: CopyOptions,
        bases: BaseFinder,
        observer: Observer,
    ) -> None:
        self._source = source
        self._sink = sink
        self._options = options
        self._bases = bases
        self._observer = observer
        own = [] if source.repository is None else [source.repository]
        self._delivery = Delivery(source, sink, observer, [*options.base_repos, *own])
        self._squashed: dict[tuple[object, ...], Squashed] = {}

    def copy(self, raw: RawManifest) -> CopiedImage:
        """Bring all that the squashed image needs into the sink, but not its manifest.

        Raises NoSuchPlatform where platforms were asked for and the image is for none of them.
        """
        manifest = parse_image(raw, self._source.name)
        why = unsquashable(manifest)
        if why is not None:
            self._observer.warn(
                f"{short(raw.digest)} of {self._source.name} {why}; copied as it is"
            )
            return self._copy_as_it_is(manifest, "unknown", kept=len(manifest.layers))
        image = Image(self._source.name, manifest, read_config(self._source, manifest))
        check_platform(image, self._options)
        base = self._bases.choose(image, self._options, self._sink)
        if base.count == len(manifest.layers):
            return self._copy_as_it_is(manifest, str(image.platform), kept=base.count)
        return self._squash(image, base)

    def _copy_as_it_is(self, manifest: ImageManifest, platform: str, *, kept: int) -> CopiedImage:
        tally = Tally()
        with Crew(self._options.jobs) as crew:
            self._delivery.bring([*manifest.layers, manifest.config], crew, tally)
        counted = _unchanged(manifest, platform, kept)
        return CopiedImage(manifest.raw, _with_tally(counted, tally))

    def _squash(self, image: Image, base: Base) -> CopiedImage:
        manifest = image.manifest
        tally = Tally()
        mounts = [] if base.repository is None else [base.repository]
        with Crew(self._options.jobs) as crew:
            self._delivery.bring(manifest.layers[: base.count], crew, tally, mounts)
            squashed = self._squash_layers(image, base, tally, crew)
            if squashed.is_kept:
                self._delivery.bring([manifest.layers[-1], manifest.config], crew, tally, mounts)
        counted = _counted(image, base, squashed)
        if squashed.is_kept:
            return CopiedImage(manifest.raw, _with_tally(counted, tally))
        raw = self._write_documents(image, base, squashed, tally)
        return CopiedImage(raw, replace(_with_tally(counted, tally), digest=raw.digest))

    def _squash_layers(self, image: Image, base: Base, tally: Tally, crew: Crew) -> Squashed:
        descriptors = image.manifest.layers
        key = (base.count, *(layer.digest for layer in descriptors))
        known = self._squashed.get(key)
        if known is not None:
            if known.layer is not None:
                tally.reused_bytes += known.layer.descriptor.size
            return known
        options = self._options
        layers = layers_of(self._source, descriptors, self._observer, options)
        squashed = squash_layers(
            layers,
            base.count,
            options,
            mediatypes.family_of(image.manifest.raw.media_type),
            crew=crew,
            write=lambda chunks: self._delivery.write("squashed layer", chunks, tally),
        )
        for sentence in squashed.report.warnings:
            self._observer.warn(sentence)
        self._squashed[key] = squashed
        return squashed

    def _write_documents(
        self, image: Image, base: Base, squashed: Squashed, tally: Tally
    ) -> RawManifest:
        manifest = image.manifest
        stamp = Stamp(manifest.raw.digest, options_hash(self._options))
        new = [] if squashed.layer is None else [squashed.layer]
        note = stamp.history_entry(f"layers {base.count + 1} to {len(manifest.layers)} squashed")
        config = self._delivery.write_document(
            manifest.config.media_type,
            image.config.squashed(base.count, [layer.diff_id for layer in new], note),
            tally,
        )
        kept = manifest.layers[: base.count]
        return manifest.with_layers(
            in_place_of(manifest.config, config),
            [*kept, *(layer.descriptor for layer in new)],
            {**without_base(manifest.annotations), **base.annotations, **stamp.annotations},
        )


def unsquashable(manifest: ImageManifest) -> str | None:
    """Why a manifest's layers cannot be squashed, None where they can."""
    if not manifest.is_image:
        return f"is no container image but {_kind_of(manifest)}"
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
            f"{image.name} is for {image.platform}, not for {asked}; leave --platform out or ask "
            "for what there is"
        )


def _kind_of(manifest: ImageManifest) -> str:
    kind = manifest.document.get("artifactType") or manifest.config.media_type
    return f"an artifact of the type {kind!r}"


def _size(blobs: tuple[Descriptor, ...]) -> int:
    return sum(blob.size for blob in blobs)


def _unchanged(manifest: ImageManifest, platform: str, kept: int) -> PlatformCopy:
    size = _size(manifest.layers)
    return PlatformCopy(
        platform=platform,
        source_digest=manifest.raw.digest,
        digest=manifest.raw.digest,
        layers_before=len(manifest.layers),
        layers_after=len(manifest.layers),
        base_layers=kept,
        compressed_before=size,
        compressed_after=size,
        unpacked_before=0,
        unpacked_after=0,
        hidden_bytes=0,
        uploaded_bytes=0,
        reused_bytes=0,
        mounted_blobs=0,
        spliced_bytes=0,
        reencoded_bytes=0,
        fallbacks=0,
    )


def _counted(image: Image, base: Base, squashed: Squashed) -> PlatformCopy:
    report = squashed.report
    unchanged = _unchanged(image.manifest, str(image.platform), base.count)
    counted = replace(
        unchanged,
        unpacked_before=report.unpacked,
        unpacked_after=report.unpacked,
        fallbacks=report.fallbacks,
    )
    if squashed.is_kept:
        return counted
    layer = squashed.layer
    return replace(
        counted,
        layers_after=base.count + (layer is not None),
        compressed_after=_size(image.manifest.layers[: base.count])
        + (layer.descriptor.size if layer else 0),
        unpacked_after=layer.unpacked if layer else 0,
        hidden_bytes=report.hidden_bytes,
        spliced_bytes=layer.spliced if layer else 0,
        reencoded_bytes=layer.reencoded if layer else 0,
    )


def _with_tally(copy: PlatformCopy, tally: Tally) -> PlatformCopy:
    return replace(
        copy,
        uploaded_bytes=tally.uploaded_bytes,
        reused_bytes=tally.reused_bytes,
        mounted_blobs=tally.mounted_blobs,
    )
