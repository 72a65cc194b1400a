"""Finding the base: the leading layers of an image that stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from squashproxy.digest import parse_digest
from squashproxy.errors import BadReference, BaseMismatch, FormatError, SquashproxyError
from squashproxy.location import Location
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, parse_manifest
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.image import Image, read_image
from squashproxy.pipeline.options import BaseKind, CopyOptions
from squashproxy.progress import Observer
from squashproxy.reference import Reference, Repository, parse_reference
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.documents import parse_image

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

SourceOpener = Callable[[Location], ImageSource]


@dataclass(frozen=True, slots=True)
class Base:
    """The base of an image: its first `count` layers stay. `reason` says why, for people.

    `annotations` name the base image where that is known to be true; `repository` is where it
    lives. Where the source has the layers uncompressed, `compressed_layers` are those of the base
    image itself, and `source` holds their blobs.
    """

    count: int
    reason: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    repository: Repository | None = None
    compressed_layers: tuple[Descriptor, ...] = ()
    source: ImageSource | None = None


class BaseFinder:
    """Finds the base of images.

    `open_source` opens an image that the user named. `quick_source` opens one that only an
    annotation names: that is a hint, so it should give up soon.
    """

    def __init__(
        self, open_source: SourceOpener, quick_source: SourceOpener | None, observer: Observer
    ) -> None:
        self._open_source = open_source
        self._quick_source = quick_source or open_source
        self._observer = observer

    def choose(self, image: Image, options: CopyOptions, sink: ImageSink | None) -> Base:
        """The base that the options ask for. Foreign layers always belong to it.

        Raises BaseMismatch where the base asked for is no prefix of the image's layers.
        """
        base = self._chosen(image, options, sink)
        foreign = [
            number
            for number, layer in enumerate(image.manifest.layers, 1)
            if is_foreign(layer.media_type)
        ]
        if foreign and foreign[-1] > base.count:
            return Base(foreign[-1], "foreign layers stay as they are")
        return base

    def _chosen(self, image: Image, options: CopyOptions, sink: ImageSink | None) -> Base:
        layers = len(image.manifest.layers)
        choice = options.base
        if choice.kind is BaseKind.NONE:
            return Base(0, "no base, as asked for")
        if choice.kind is BaseKind.COUNT:
            return _counted(image, choice.count)
        if choice.image is not None:
            return self._named(image, choice.image)
        if not layers:
            return Base(0, "the image has no layers")
        return (
            self._try_annotated(image)
            or _try_held(image, options, sink)
            or Base(choice.least_layers, "the first layer, since nothing names the base")
        )

    def _named(self, image: Image, reference: Location) -> Base:
        source = self._open_source(reference)
        base = _base_image(source, image.platform)
        count = _prefix_length(image, base)
        if count is None:
            raise BaseMismatch(
                f"{reference} is not the base of {image.name}: its layers are not the first ones "
                "of the image",
                advice="name the exact version that the image was built on, or set {base} to auto",
            )
        reason = f"the layers of {reference}"
        if not isinstance(reference, Reference):
            return _with_layers(Base(count, reason), image, base, source)
        found = Base(count, reason, _annotations(reference, base), reference.repository)
        return _with_layers(found, image, base, source)

    def _try_annotated(self, image: Image) -> Base | None:
        """The base that the image's own annotations name, if it can be read and is a prefix."""
        annotations = image.manifest.annotations
        name, digest = annotations.get(BASE_NAME), annotations.get(BASE_DIGEST)
        if not name:
            return None
        try:
            reference = parse_reference(name)
            if digest:
                reference = reference.at(parse_digest(digest))
        except (BadReference, FormatError):
            self._observer.warn(
                f"{image.name} names its base as {name!r}, which is no reference; ignored"
            )
            return None
        try:
            source = self._quick_source(reference)
            base = _base_image(source, image.platform)
        except SquashproxyError as error:
            self._observer.warn(
                f"the base that {image.name} names could not be read ({error}); ignored"
            )
            return None
        count = _prefix_length(image, base)
        if count is None:
            return None
        true = {key: annotations[key] for key in (BASE_NAME, BASE_DIGEST) if key in annotations}
        reason = f"the layers of {name}, which the image names"
        found = Base(count, reason, true, reference.repository)
        return _with_layers(found, image, base, source)


def without_base(annotations: Mapping[str, str]) -> dict[str, str]:
    """Annotations without those that name a base."""
    return {key: annotations[key] for key in annotations if key not in (BASE_NAME, BASE_DIGEST)}


def _counted(image: Image, count: int) -> Base:
    layers = len(image.manifest.layers)
    if count > layers:
        raise BaseMismatch(
            f"{image.name} has {layers} {'layer' if layers == 1 else 'layers'}, so a "
            f"base of {count} cannot be kept",
            advice=f"set {{base}} to a number up to {layers}, or to auto",
        )
    return Base(count, "the number asked for")


def _try_held(image: Image, options: CopyOptions, sink: ImageSink | None) -> Base | None:
    """The longest run of leading layers that one of the base repositories holds."""
    if sink is None:
        return None
    best, found = 0, None
    for repository in options.base_repos:
        count = 0
        for layer in image.manifest.layers:
            if not sink.has_blob(layer, repository):
                break
            count += 1
        if count > best:
            best, found = count, repository
    if found is None:
        return None
    return Base(best, f"the layers that {found} holds", repository=found)


def _base_image(source: ImageSource, platform: Platform) -> Image:
    raw = source.read_manifest()
    parsed = parse_manifest(raw, f"the manifest of {source.name}")
    if isinstance(parsed, ImageIndex):
        for child in parsed.children:
            if child.platform is not None and child.platform.matches(platform):
                raw = source.read_manifest(child.descriptor.digest)
                break
        else:
            raise BaseMismatch(
                f"{source.name} has no image for {platform}, so it cannot be the base"
            )
    return read_image(source, parse_image(raw, source.name), raw.digest)


def _prefix_length(image: Image, base: Image) -> int | None:
    """How many layers the two share where `base` is a prefix; compression does not matter."""
    count = len(base.manifest.layers)
    digests = [layer.digest for layer in image.manifest.layers[:count]]
    if digests == [layer.digest for layer in base.manifest.layers]:
        return count
    return count if image.config.diff_ids[:count] == base.config.diff_ids else None


def _with_layers(found: Base, image: Image, base: Image, source: ImageSource) -> Base:
    """Take the compressed layers of the base image where `image` only has them uncompressed."""
    if image.chooses_compression or not base.chooses_compression:
        return found
    return replace(found, compressed_layers=base.manifest.layers, source=source)


def _annotations(reference: Reference, base: Image) -> dict[str, str]:
    digest = reference.digest or base.manifest.raw.digest
    return {BASE_NAME: str(reference), BASE_DIGEST: digest}
