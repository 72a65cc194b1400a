"""Pairing the images of A with those of B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.errors import NoSuchPlatform
from squashproxy.oci.platform import Platform
from squashproxy.verify.images import ImageSet, PlatformImage


@dataclass(frozen=True, slots=True)
class ImagePair:
    """Two images of one platform; None for a missing one."""

    a: PlatformImage | None
    b: PlatformImage | None

    @property
    def platform(self) -> Platform:
        """The platform of the pair, as A states it."""
        image = self.a or self.b
        assert image is not None, "a pair has at least one image"
        return image.platform

    @property
    def is_of_one_platform(self) -> bool:
        """Whether both exist and have the same platform."""
        return self.a is not None and self.b is not None and _are_alike(self.a, self.b)


def pair_images(a: ImageSet, b: ImageSet, platforms: Sequence[Platform]) -> tuple[ImagePair, ...]:
    """The pairs in A's order, then what only B has; restricted to `platforms` if there are any.

    Two single images are a pair whatever their platforms. A single image is compared with the image
    of its platform in an index. Raises NoSuchPlatform where the index has none, and for one of
    `platforms` that neither side has.
    """
    for wanted in platforms:
        if not any(image.platform.matches(wanted) for image in (*a.images, *b.images)):
            raise NoSuchPlatform(
                f"neither image is for {wanted}: {a.name} has {a.platforms_text}, "
                f"{b.name} has {b.platforms_text}"
            )
    ours, theirs = _wanted(a, platforms, b), _wanted(b, platforms, a)
    if not a.is_index and not b.is_index and ours and theirs:
        return (ImagePair(ours[0], theirs[0]),)
    pairs = _pair_all(ours, theirs)
    if a.is_index == b.is_index:
        return pairs
    return _with_single(pairs, a, b)


def _with_single(pairs: tuple[ImagePair, ...], a: ImageSet, b: ImageSet) -> tuple[ImagePair, ...]:
    """The pair of a single image and its counterpart in an index; other images are left out."""
    whole = tuple(pair for pair in pairs if pair.a is not None and pair.b is not None)
    if not whole:
        single, index = (b, a) if a.is_index else (a, b)
        raise NoSuchPlatform(
            f"{single.name} is for {single.platforms_text}, which {index.name} has no image for; "
            f"it has {index.platforms_text}"
        )
    return whole


def _pair_all(
    ours: Sequence[PlatformImage], theirs: Sequence[PlatformImage]
) -> tuple[ImagePair, ...]:
    left = list(theirs)
    pairs = []
    for image in ours:
        other = _find_alike(image, left)
        if other is not None:
            left.remove(other)
        pairs.append(ImagePair(image, other))
    return (*pairs, *(ImagePair(None, image) for image in left))


def _find_alike(image: PlatformImage, among: Sequence[PlatformImage]) -> PlatformImage | None:
    """The same image, or one of the same platform, written the same way if possible."""
    alike = [other for other in among if _are_alike(image, other)]
    same = [other for other in alike if other.digest == image.digest]
    exact = [other for other in alike if other.platform == image.platform]
    return next(iter((*same, *exact, *alike)), None)


def _are_alike(one: PlatformImage, other: PlatformImage) -> bool:
    """Whether both are for one platform, as the same image is, though only an index may say so."""
    is_same = one.digest == other.digest
    return is_same or one.platform.matches(other.platform) or other.platform.matches(one.platform)


def _wanted(
    images: ImageSet, platforms: Sequence[Platform], other: ImageSet
) -> list[PlatformImage]:
    """The images for `platforms`, or all; also what is for one of them by the `other` side."""
    everything = (*images.images, *other.images)
    wanted = {image.digest for image in everything if _is_for(image, platforms)}
    return [image for image in images.images if image.digest in wanted]


def _is_for(image: PlatformImage, platforms: Sequence[Platform]) -> bool:
    return not platforms or any(image.platform.matches(wanted) for wanted in platforms)
