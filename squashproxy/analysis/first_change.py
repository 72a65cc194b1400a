"""The lowest layer in which an image differs from the version that the target has."""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import SquashproxyError
from squashproxy.oci.manifest import ImageManifest, RawManifest, parse_manifest
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.stamp import SOURCE, source_in
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import ConfigReader, read_config
from squashproxy.transports.index_images import find_image


def find_first_change(image: Image, source: ImageSource, sink: ImageSink | None) -> int:
    """The number of that layer, from 0; the uppermost one if no other version is known.

    What the target has says which source it was made from, and the source may still hold that. Two
    small requests; an error counts as an answer that nothing is known.
    """
    layers = [layer.digest for layer in image.manifest.layers]
    uppermost = max(len(layers) - 1, 0)
    try:
        before = _layers_before(image, source, sink)
    except SquashproxyError:
        return uppermost
    if not before or before == layers:
        return uppermost
    pairs = enumerate(zip(layers, before, strict=False))
    shared = next((n for n, (new, old) in pairs if new != old), min(len(layers), len(before)))
    return min(shared, uppermost)


def _layers_before(image: Image, source: ImageSource, sink: ImageSink | None) -> Sequence[Digest]:
    existing = None if sink is None else sink.find_manifest()
    if sink is None or existing is None:
        return ()
    made_from = _source_of(sink, sink.read_manifest(existing))
    if made_from is None:
        return _layers_of(sink, existing, image.platform)
    return _layers_of(source, made_from, image.platform)


def _source_of(sink: ImageSink, raw: RawManifest) -> Digest | None:
    """The source that a result was made from; None where nothing says so."""
    result = parse_manifest(raw, f"the manifest of {sink.name}")
    made_from = result.annotations.get(SOURCE)
    if made_from is None and isinstance(result, ImageManifest) and result.is_image:
        made_from = source_in(read_config(sink, result))
    return None if made_from is None else parse_digest(made_from)


def _layers_of(place: ConfigReader, digest: Digest, platform: Platform) -> Sequence[Digest]:
    """The layers of the image for a platform; none where there is no such image."""
    where = f"the manifest {digest} of {place.name}"
    parsed = parse_manifest(place.read_manifest(digest), where)
    if isinstance(parsed, ImageManifest):
        return [layer.digest for layer in parsed.layers]
    found = find_image(place, parsed, platform)
    return () if found is None else _layers_of(place, found, platform)
