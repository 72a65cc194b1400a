"""Choosing the manifest that an exact copy copies, and comparing it with the target's."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.digest import Digest
from squashproxy.errors import NoSuchPlatform, UsageError
from squashproxy.oci.manifest import (
    ImageIndex,
    ImageManifest,
    IndexChild,
    RawManifest,
    check_depth,
    parse_manifest,
)
from squashproxy.pipeline.image import read_image
from squashproxy.pipeline.image_copy import check_platform
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.platforms import read_images, select
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSource
from squashproxy.transports.index_images import read_child


def choose_exactly(
    source: ImageSource, digest: Digest, options: CopyOptions, observer: Observer | None = None
) -> Digest:
    """The manifest to copy: the one of `digest` itself, or the image in it for the platform.

    An index without some of its images would be another index, so with a platform the image's own
    manifest is the result, as in crane and regclient. The `observer` is warned of attestations that
    stay behind. Raises NoSuchPlatform; UsageError where several images are for the platform.
    """
    if not options.platforms:
        return digest
    raw = source.read_manifest(digest)
    parsed = parse_manifest(raw, f"the manifest of {source.name}")
    if isinstance(parsed, ImageIndex):
        return _image_of(parsed, source, options, observer)
    _check_image(parsed, source, options)
    return digest


def iter_manifests(source: ImageSource, digest: Digest) -> Iterator[RawManifest]:
    """A manifest, and all manifests that it lists, also in an index in it; each once, indexes
    first. Raises what `read_child` raises.
    """
    seen: set[Digest] = set()
    waiting: list[tuple[IndexChild | None, int]] = [(None, 0)]
    while waiting:
        child, depth = waiting.pop()
        found = digest if child is None else child.descriptor.digest
        if found in seen:
            continue
        seen.add(found)
        check_depth(depth, f"{source.name}: {found}")
        raw = source.read_manifest(found) if child is None else read_child(source, child)
        parsed = parse_manifest(raw, f"the manifest {found} of {source.name}")
        yield parsed.raw
        if isinstance(parsed, ImageIndex):
            manifests = [child for child in parsed.children if child.is_manifest]
            waiting += [(child, depth + 1) for child in reversed(manifests)]


def _image_of(
    index: ImageIndex, source: ImageSource, options: CopyOptions, observer: Observer | None
) -> Digest:
    selection = select(index, options.platforms, source)
    chosen = selection.children
    if len(chosen) > 1:
        chosen = tuple(image.child for image in read_images(chosen, source)[0]) or chosen
    if len(chosen) > 1:
        there = ", ".join(f"{each.platform} {each.descriptor.digest}" for each in chosen)
        wanted = ", ".join(map(str, options.platforms))
        raise UsageError(
            f"{source.name} has several images for {wanted}: {there}",
            advice="name one by its digest, with @DIGEST behind the source",
        )
    if selection.attestations and observer is not None:
        count = len(selection.attestations)
        plural = "attestation stays" if count == 1 else "attestations stay"
        observer.warn(
            f"{count} {plural} behind, since the index of {source.name} holds them and one image "
            "of it is copied"
        )
    return chosen[0].descriptor.digest


def _check_image(manifest: ImageManifest, source: ImageSource, options: CopyOptions) -> None:
    """Raise NoSuchPlatform where a single image is for another platform, or is none."""
    if not manifest.is_image:
        wanted = ", ".join(map(str, options.platforms))
        raise NoSuchPlatform(
            f"{source.name} is an artifact of the type {manifest.kind!r}, not an image for "
            f"{wanted}",
            advice="leave {platform} out",
        )
    check_platform(read_image(source, manifest, manifest.raw.digest), options)
