"""Freshness: whether the target has the result already, by a HEAD and one or two small GETs."""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    RawManifest,
    check_depth,
    parse_manifest,
)
from squashproxy.oci.mediatypes import Family, family_of
from squashproxy.oci.platform import Platform, other_system
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.platforms import read_images, select
from squashproxy.pipeline.preflight import unsquashable
from squashproxy.pipeline.rewrite.find_cuts import is_known_to_stay
from squashproxy.pipeline.stamp import Stamp, options_hash
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import parse_image, read_config


class Freshness:
    """Compares a sink with a source whose reference points to `source_digest`."""

    def __init__(
        self, source: ImageSource, sink: ImageSink, source_digest: Digest, options: CopyOptions
    ) -> None:
        self._source = source
        self._sink = sink
        self._source_digest = source_digest
        self._options = options
        self._hash = options_hash(options)

    def is_up_to_date(self, existing: Digest) -> bool:
        """Whether the target's `existing` manifest is what a copy would give.

        A target that cannot be read or parsed is not up to date.
        """
        try:
            return self._matches(self._sink.read_manifest(existing))
        except SquashproxyError:
            return False

    def _matches(self, raw: RawManifest) -> bool:
        if raw.is_named(self._source_digest):
            return self._has_nothing_to_squash(raw)
        result = parse_manifest(raw, f"the manifest of {self._sink.name}")
        if isinstance(result, ImageManifest):
            is_stamped = self._is_stamped(result, self._source_digest)
        else:
            is_stamped = Stamp(self._source_digest, self._hash).is_on(result.annotations)
        if is_stamped:
            return True
        if family_of(raw.media_type) is Family.OCI and not self._options.platforms:
            return False
        return self._matches_parts(result)

    def _matches_parts(self, result: ImageManifest | ImageIndex) -> bool:
        """Compare image by image: Docker lists have no annotations; platforms may be selected."""
        source = parse_manifest(
            self._source.read_manifest(), f"the manifest of {self._source.name}"
        )
        if isinstance(source, ImageIndex):
            count = len(result.children) if isinstance(result, ImageIndex) else 1
            sources = self._sources_in(source, count)
        else:
            sources = [(self._source_digest, None)]
        if isinstance(result, ImageManifest):
            return len(sources) == 1 and self._is_made_from(result.raw, *sources[0])
        results = [child.descriptor.digest for child in result.children]
        return len(results) == len(sources) and all(
            self._is_made_from(self._sink.read_manifest(found), *made_from)
            for found, made_from in zip(results, sources, strict=True)
        )

    def _sources_in(self, index: ImageIndex, results: int) -> list[tuple[Digest, Platform | None]]:
        """The images of an index that a copy takes, each with the platform that the index states;
        `results` is how many the target has.

        Where that differs, some may be artifacts, which only their manifests tell.
        """
        chosen = select(index, self._options.platforms, self._source).children
        if len(chosen) != results:
            chosen = tuple(image.child for image in read_images(chosen, self._source)[0])
        return [(child.descriptor.digest, child.platform) for child in chosen]

    def _is_made_from(
        self, raw: RawManifest, source: Digest, stated: Platform | None = None
    ) -> bool:
        if raw.is_named(source):
            return self._has_nothing_to_squash(raw, stated=stated)
        return self._is_stamped(parse_image(raw, self._sink.name), source)

    def _is_stamped(self, manifest: ImageManifest, source: Digest) -> bool:
        stamp = Stamp(source, self._hash)
        if family_of(manifest.raw.media_type) is Family.OCI:
            return stamp.is_on(manifest.annotations)
        return manifest.is_image and stamp.is_in(read_config(self._sink, manifest))

    def _has_nothing_to_squash(
        self, raw: RawManifest, depth: int = 0, stated: Platform | None = None
    ) -> bool:
        """Whether a copy would leave the image as it is: it has at most one layer above its base,
        or layers of which the memory knows that they stay when they are pruned, or it is for
        another system than Linux. `stated` is its platform in an index.

        The smallest base that the options can give counts; with a larger one, a copy finds out.
        """
        check_depth(depth, f"{raw.digest} of {self._sink.name}")
        parsed = parse_manifest(raw, f"the manifest of {self._sink.name}")
        if isinstance(parsed, ImageIndex):
            return self._lists_nothing_to_squash(parsed, depth, stated)
        if unsquashable(parsed) is not None:
            return True
        base = self._options.base.least_layers
        if self._options.mode is Mode.PRUNE:
            is_left = is_known_to_stay(parsed.layers[base:], self._options)
        else:
            is_left = len(parsed.layers) <= base + 1 and self._options.compression.kind is None
        return is_left or self._is_for_other_system(parsed, stated)

    def _lists_nothing_to_squash(
        self, index: ImageIndex, depth: int, stated: Platform | None
    ) -> bool:
        """The same for an index: without any image, a copy leaves all as it is; with one, it leaves
        out attestations and what is no image.
        """
        images = [child for child in index.children if child.may_be_image]
        if not images:
            return not any(child.is_attestation for child in index.children)
        if len(images) < len(index.children):
            return False
        return all(
            self._has_nothing_to_squash(
                self._sink.read_manifest(child.descriptor.digest),
                depth + 1,
                child.platform or stated,
            )
            for child in images
        )

    def _is_for_other_system(self, manifest: ImageManifest, stated: Platform | None) -> bool:
        config = read_config(self._sink, manifest)
        types = [layer.media_type for layer in manifest.layers]
        return other_system(config.document, stated, types) is not None
