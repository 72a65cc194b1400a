"""Choosing the images of an index to copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from squashproxy.digest import Digest
from squashproxy.errors import FormatError, NoSuchPlatform, UsageError
from squashproxy.oci.manifest import (
    INDEX_KIND,
    ImageIndex,
    ImageManifest,
    IndexChild,
    RawManifest,
)
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import ConfigReader, parse_image, short
from squashproxy.transports.index_images import find_leaves, image_platform, read_child

_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Selection:
    """What an index, and indexes in it, lead to.

    `children` are the images to copy, as far as the index tells; `attestations` and `others`,
    artifacts and blobs, are left out. `inner` are the indexes in the index, each after those in it.
    `is_whole`: nothing that the index leads to is left out.
    """

    children: tuple[IndexChild, ...]
    attestations: tuple[IndexChild, ...]
    others: tuple[IndexChild, ...] = ()
    inner: tuple[RawManifest, ...] = ()
    is_whole: bool = False

    @property
    def warning(self) -> str | None:
        """A warning about attestations that are left out; None where there are none."""
        if not self.attestations:
            return None
        names = ", ".join(short(child.descriptor.digest) for child in self.attestations)
        plural = "attestation was" if len(self.attestations) == 1 else "attestations were"
        return (
            f"{len(self.attestations)} {plural} left out, since they speak of images that were "
            f"squashed: {names}"
        )

    @property
    def left_out(self) -> frozenset[Digest]:
        """The digests of what is left out because it is no image."""
        return frozenset(each.descriptor.digest for each in (*self.attestations, *self.others))


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """An image of an index, and its manifest."""

    child: IndexChild
    raw: RawManifest


@dataclass(frozen=True, slots=True)
class Choice:
    """The images of an index to copy.

    `is_single`: the result is the one image itself. `is_opaque`: the index holds no image at all,
    as the cache of BuildKit does, so that it can only be copied as it is.
    """

    images: tuple[ChosenImage, ...]
    selection: Selection
    is_single: bool = False
    is_opaque: bool = False


def choose_images(
    index: ImageIndex,
    source: ImageSource,
    sink: ImageSink | None,
    options: CopyOptions,
    observer: Observer,
) -> Choice:
    """Read the manifests of the images to copy.

    Without a `sink` nothing limits the result. Warnings tell of attestations and of other things
    that are left out, since they are no images. Raises what `select`, `becomes_single` and
    `read_child` raise.
    """
    selection = select(index, options.platforms, source)
    images, artifacts = read_images(selection.children, source)
    _check_platforms([image.child for image in images], options.platforms, source.name)
    others = [*selection.others, *artifacts]
    if others and not images:
        return Choice((), selection, is_opaque=True)
    kept = tuple(image.child for image in images)
    is_whole = selection.is_whole and len(kept) == len(selection.children)
    selection = replace(selection, children=kept, others=tuple(others), is_whole=is_whole)
    for sentence in (selection.warning, _warning_of_others(selection.others, source.name)):
        if sentence is not None:
            observer.warn(sentence)
    is_single = sink is not None and becomes_single(selection, sink, options, source.name)
    return Choice(tuple(images), selection, is_single)


def without_images(index: ImageIndex, name: str) -> str:
    """That an index holds no image, for people."""
    held = "artifacts" if index.kind == INDEX_KIND else index.kind
    return f"{name} holds no image but {held}"


def read_images(
    children: Sequence[IndexChild], source: ConfigReader
) -> tuple[list[ChosenImage], list[IndexChild]]:
    """The images among the children of an index, and the artifacts, of which only their manifests
    tell that they are none. Raises what `read_child` raises.
    """
    images: list[ChosenImage] = []
    artifacts: list[IndexChild] = []
    for child in children:
        raw = read_child(source, child)
        manifest = parse_image(raw, source.name)
        if manifest.is_image:
            images.append(ChosenImage(child, raw))
        else:
            artifacts.append(_artifact(child, manifest))
    return images, artifacts


def select(index: ImageIndex, platforms: Sequence[Platform], source: ConfigReader) -> Selection:
    """All images of an index, or those for `platforms`.

    Costs nothing but the manifests of indexes in the index, and, with `platforms`, manifest and
    config of children whose platform the index does not state. Raises NoSuchPlatform for a platform
    without an image, FormatError for an index that holds attestations and nothing else, and what
    `find_leaves` raises.
    """
    leaves = find_leaves(source, index, platforms)
    attestations = tuple(child for child in leaves.children if child.is_attestation)
    images = tuple(child for child in leaves.children if child.may_be_image)
    others = tuple(
        child for child in leaves.children if not (child.may_be_image or child.is_attestation)
    )
    if attestations and not images and not others:
        raise FormatError(
            f"{source.name} holds attestations and no image",
            advice="name the index that they belong to",
        )
    selection = Selection(images, attestations, others, tuple(leaves.inner))
    if platforms:
        return replace(selection, children=_for_platforms(images, platforms, source))
    return replace(selection, is_whole=len(images) == len(leaves.children))


def becomes_single(selection: Selection, sink: ImageSink, options: CopyOptions, name: str) -> bool:
    """Whether the result is the one chosen image itself instead of an index.

    `name` is the index's name for messages. Raises UsageError for several images where the sink can
    hold one.
    """
    if len({child.descriptor.digest for child in selection.children}) == 1:
        return bool(options.platforms) or not sink.traits.indexes
    if sink.traits.indexes:
        return False
    platforms = [_platform_text(child) for child in selection.children]
    if len(set(platforms)) == len(platforms) and all(each.platform for each in selection.children):
        what, there = "choose with {platform}", ", ".join(platforms)
    else:
        digests = [child.descriptor.digest for child in selection.children]
        there = ", ".join(map(" ".join, zip(platforms, digests, strict=True)))
        what = "name one by its digest, with @DIGEST behind the source"
    raise UsageError(f"{sink.name} can hold one image, {name} has several: {there}", advice=what)


def _for_platforms(
    images: Sequence[IndexChild], platforms: Sequence[Platform], source: ConfigReader
) -> tuple[IndexChild, ...]:
    """The images for `platforms`, each once. One without a platform has that of its config."""
    told = [(child, image_platform(source, child)) for child in images]
    placed = [replace(child, platform=own) for child, own in told if own is not None]
    _check_platforms(placed, platforms, source.name)
    chosen = [child for child in placed if _is_for(child, platforms)]
    return tuple({child.descriptor.digest: child for child in chosen}.values())


def _check_platforms(
    images: Sequence[IndexChild], platforms: Sequence[Platform], name: str
) -> None:
    """Raise NoSuchPlatform for a platform that none of the images is for."""
    for wanted in platforms:
        if not any(_is_for(child, [wanted]) for child in images):
            there = ", ".join(map(_platform_text, images)) or "no image at all"
            raise NoSuchPlatform(f"{name} has no image for {wanted}", advice=f"it has {there}")


def _is_for(child: IndexChild, platforms: Sequence[Platform]) -> bool:
    own = child.platform
    return own is not None and any(own.matches(platform) for platform in platforms)


def _platform_text(child: IndexChild) -> str:
    return "no platform" if child.platform is None else str(child.platform)


def _artifact(child: IndexChild, manifest: ImageManifest) -> IndexChild:
    """The child with the artifact type that its manifest states."""
    descriptor = child.descriptor
    extra = {**descriptor.extra, "artifactType": manifest.kind}
    return replace(child, descriptor=replace(descriptor, extra=extra))


def _warning_of_others(others: Sequence[IndexChild], name: str) -> str | None:
    if not others:
        return None
    shown = ", ".join(
        f"{short(child.descriptor.digest)} ({child.kind})" for child in others[:_MOST_NAMED]
    )
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    what = "what is no image was" if len(others) == 1 else f"{len(others)} that are no images were"
    return f"of {name}, {what} left out: {shown}{more}; copy in mode copy to keep it"
