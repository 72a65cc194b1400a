"""Choosing the images of an index to copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.errors import FormatError, NoSuchPlatform, UsageError
from squashproxy.oci.manifest import ImageIndex, IndexChild
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Observer
from squashproxy.transports.base import ImageSink
from squashproxy.transports.documents import short


@dataclass(frozen=True, slots=True)
class Selection:
    """The children to copy, and the attestations that are left out."""

    children: tuple[IndexChild, ...]
    attestations: tuple[IndexChild, ...]

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


def choose_images(
    index: ImageIndex,
    sink: ImageSink | None,
    options: CopyOptions,
    name: str,
    observer: Observer,
) -> tuple[Sequence[IndexChild], bool]:
    """The images of an index to copy, and whether the result is the one image itself.

    `name` is the index's name for messages; without a `sink` nothing limits the result. A warning
    tells of attestations that are left out. Raises what `select` and `becomes_single` raise.
    """
    selection = select(index, options.platforms, name)
    if selection.warning is not None:
        observer.warn(selection.warning)
    is_single = sink is not None and becomes_single(selection, sink, options, name)
    return selection.children, is_single


def select(index: ImageIndex, platforms: Sequence[Platform], name: str) -> Selection:
    """All images of an index, or those for `platforms`.

    `name` is the index's name for messages. Raises NoSuchPlatform for a platform without an image,
    FormatError for an index that holds attestations and no image.
    """
    attestations = tuple(child for child in index.children if child.is_attestation)
    images = tuple(child for child in index.children if not child.is_attestation)
    if attestations and not images:
        raise FormatError(
            f"{name} holds attestations and no image", advice="name the index that they belong to"
        )
    for wanted in platforms:
        if not any(_is_for(child, [wanted]) for child in images):
            there = ", ".join(str(child.platform) for child in images) or "nothing"
            raise NoSuchPlatform(f"{name} has no image for {wanted}", advice=f"it has {there}")
    if platforms:
        images = tuple(child for child in images if _is_for(child, platforms))
    return Selection(images, attestations)


def becomes_single(selection: Selection, sink: ImageSink, options: CopyOptions, name: str) -> bool:
    """Whether the result is the one chosen image itself instead of an index.

    `name` is the index's name for messages. Raises UsageError for several images where the sink can
    hold one.
    """
    if len(selection.children) == 1:
        return bool(options.platforms) or not sink.traits.indexes
    if sink.traits.indexes:
        return False
    platforms = [str(child.platform) for child in selection.children]
    if len(set(platforms)) == len(platforms):
        what, there = "choose with {platform}", ", ".join(platforms)
    else:
        digests = [child.descriptor.digest for child in selection.children]
        there = ", ".join(map(" ".join, zip(platforms, digests, strict=True)))
        what = "name one by its digest, with @DIGEST behind the source"
    raise UsageError(f"{sink.name} can hold one image, {name} has several: {there}", advice=what)


def _is_for(child: IndexChild, platforms: Sequence[Platform]) -> bool:
    own = child.platform
    return own is not None and any(own.matches(platform) for platform in platforms)
