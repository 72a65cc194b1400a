"""Choosing the manifest that an exact copy copies, and comparing it with the target's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.image import Listed, read_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.platforms import read_images, select
from squashproxy.pipeline.preflight import check_platform
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSource
from squashproxy.transports.documents import parse_image
from squashproxy.transports.index_images import read_child


@dataclass(frozen=True, slots=True)
class Chosen:
    """The manifest to copy, and the platform that an index states for it, if one does."""

    digest: Digest
    platform: Platform | None = None


def choose_exactly(
    source: ImageSource, digest: Digest, options: CopyOptions, observer: Observer | None = None
) -> Chosen:
    """The manifest to copy: the one of `digest` itself, or the image in it for the platform.

    An index without some of its images would be another index, so with a platform the image's own
    manifest is the result, as in crane and regclient. The `observer` is warned of attestations and
    of a platform that stay behind. Raises NoSuchPlatform; UsageError where several images are for
    the platform.
    """
    if not options.platforms:
        return Chosen(digest)
    raw = source.read_manifest(digest)
    parsed = parse_manifest(raw, f"the manifest of {source.name}")
    if isinstance(parsed, ImageIndex):
        return _image_of(parsed, source, options, observer)
    _check_image(parsed, source, options)
    return Chosen(digest)


def iter_manifests(source: ImageSource, digest: Digest) -> Iterator[RawManifest]:
    """A manifest, and all manifests that it lists, also in an index in it; each once, indexes
    first. Raises what `read_child` raises.
    """
    for parsed, _ in iter_listed(source, Chosen(digest)):
        yield parsed.raw


def iter_listed(
    source: ImageSource, top: Chosen
) -> Iterator[tuple[ImageIndex | ImageManifest, Platform | None]]:
    """The same, each with the platform that the innermost index states that states one."""
    seen: set[Digest] = set()
    waiting: list[tuple[IndexChild | None, Platform | None, int]] = [(None, top.platform, 0)]
    while waiting:
        child, platform, depth = waiting.pop()
        found = top.digest if child is None else child.descriptor.digest
        if found in seen:
            continue
        seen.add(found)
        check_depth(depth, f"{source.name}: {found}")
        raw = source.read_manifest(found) if child is None else read_child(source, child)
        parsed = parse_manifest(raw, f"the manifest {found} of {source.name}")
        yield parsed, platform
        if isinstance(parsed, ImageIndex):
            manifests = [child for child in parsed.children if child.is_manifest]
            waiting += [
                (child, child.platform or platform, depth + 1) for child in reversed(manifests)
            ]


def _image_of(
    index: ImageIndex, source: ImageSource, options: CopyOptions, observer: Observer | None
) -> Chosen:
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
    (child,) = chosen
    if child.platform is not None and not child.platform.is_linux and observer is not None:
        raw = read_child(source, child)
        listed = Listed(child.platform, is_alone=True)
        image = read_image(source, parse_image(raw, source.name), raw.digest, listed)
        if image.silence is not None:
            observer.warn(image.silence)
    return Chosen(child.descriptor.digest, child.platform)


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
