"""Finding the base of an image: as the options say, or, left to itself, by what is known of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from squashproxy.digest import parse_digest
from squashproxy.errors import BadReference, BaseMismatch, FormatError, SquashproxyError
from squashproxy.location import Location
from squashproxy.oci.descriptor import odd_annotations
from squashproxy.oci.mediatypes import is_foreign
from squashproxy.pipeline.bases.base import (
    Base,
    base_annotations,
    own_base,
    squashed_base,
    with_layers_of,
)
from squashproxy.pipeline.bases.base_image import (
    BASE_DIGEST,
    BASE_NAME,
    Match,
    SourceOpener,
    is_scratch,
    match_base,
    read_base_image,
)
from squashproxy.pipeline.bases.base_repository import SquashedBase
from squashproxy.pipeline.bases.squashed_bases import SquashedBases
from squashproxy.pipeline.image import Image
from squashproxy.pipeline.options import BaseKind, CopyOptions
from squashproxy.progress import Observer
from squashproxy.reference import DOCKER_HUB, Reference, Repository, parse_reference
from squashproxy.transports.base import ImageSink


class BaseFinder:
    """Finds the base of images.

    `open_source` opens an image that the user named. `quick_source` opens one that only an
    annotation names: that is a hint, so it should give up soon. `squashed_bases` is what the run
    found out about base repositories. `place` is the repository of the images, if there is one.

    Whoever builds an image can write any host into its annotations. So only hosts that somebody
    else names are asked for it: that of the image, of the target, of the base repositories, those
    of the options, and Docker Hub, which no image's author can point elsewhere.
    """

    def __init__(
        self,
        open_source: SourceOpener,
        quick_source: SourceOpener | None,
        observer: Observer,
        squashed_bases: SquashedBases | None = None,
        place: Repository | None = None,
    ) -> None:
        self._open_source = open_source
        self._quick_source = quick_source or open_source
        self._observer = observer
        self._squashed_bases = squashed_bases or SquashedBases()
        self._place = place

    def choose(self, image: Image, options: CopyOptions, sink: ImageSink | None) -> Base:
        """The base that the options ask for. Foreign layers always belong to it.

        Raises BaseMismatch where the base asked for is no prefix of the image's layers, and no
        squashed form of one.
        """
        base = self._chosen(image, options, sink)
        foreign = [
            number
            for number, layer in enumerate(image.manifest.layers, 1)
            if is_foreign(layer.media_type)
        ]
        if foreign and foreign[-1] > base.count:
            return own_base(image, foreign[-1], "foreign layers stay as they are")
        return base

    def _chosen(self, image: Image, options: CopyOptions, sink: ImageSink | None) -> Base:
        choice = options.base
        if choice.kind is BaseKind.NONE:
            return own_base(image, 0, "no base, as asked for")
        if choice.kind is BaseKind.COUNT:
            return _counted(image, choice.count)
        if choice.image is not None:
            return self._named(image, choice.image)
        if not image.manifest.layers:
            return own_base(image, 0, "the image has no layers")
        return self._found(image, options, sink)

    def _found(self, image: Image, options: CopyOptions, sink: ImageSink | None) -> Base:
        """The base of an image that nothing was asked for.

        Where several are possible, the image that its annotations name counts, in squashed form if
        a base repository has that; otherwise the one that stands for most layers.
        """
        repositories = options.base_repos if sink is not None else ()
        squashed = None
        if repositories and sink is not None:
            bases, opener = self._squashed_bases, self._open_source
            named = bases.find_named(image, repositories, sink, opener)
            if named is not None:
                return self._from_repository(image, named)
            squashed = bases.find(
                image,
                repositories,
                sink,
                opener,
                jobs=options.jobs,
                observer=self._observer,
            )
        plain = (
            self._try_annotated(image, self._named_hosts(options, sink))
            or _try_held(image, options, sink)
            or own_base(image, options.base.least_layers, _why_the_first(image))
        )
        if squashed is None or squashed.count < plain.count:
            return plain
        return self._from_repository(image, squashed)

    def _from_repository(self, image: Image, found: SquashedBase) -> Base:
        """The base in the squashed form that a base repository holds."""
        source = self._open_source(found.reference.at(found.image.digest))
        match = Match(found.count, is_squashed=True)
        return squashed_base(image, match, found.image, source, found.reference)

    def _named(self, image: Image, reference: Location) -> Base:
        source = self._open_source(reference)
        base = read_base_image(source, image.listed_platform)
        match = match_base(image, base)
        if match is None:
            raise BaseMismatch(
                f"{reference} is not the base of {image.name}: its layers are not the first ones "
                "of the image",
                advice="name the exact version that the image was built on, or set {base} to auto",
            )
        if match.is_squashed:
            return squashed_base(image, match, base, source, reference)
        reason = f"the layers of {reference}"
        if not isinstance(reference, Reference):
            return with_layers_of(own_base(image, match.count, reason), image, base, source)
        found = own_base(image, match.count, reason, base_annotations(reference, base))
        found = replace(found, repository=reference.repository)
        return with_layers_of(found, image, base, source)

    def _named_hosts(self, options: CopyOptions, sink: ImageSink | None) -> set[str]:
        """The hosts that may be asked for a base that only an image names."""
        named = [self._place, sink.repository if sink is not None else None, *options.base_repos]
        hosts = {each.host for each in named if each is not None}
        return {DOCKER_HUB, *hosts, *options.base_hosts}

    def _read_annotated(self, image: Image) -> Reference | None:
        """The reference that the image's own annotations name."""
        annotations = image.manifest.annotations
        odd = odd_annotations(image.manifest.document)
        for key in (BASE_NAME, BASE_DIGEST):
            if key in odd:
                self._observer.warn(f"{key} of {image.name} is no text; ignored")
                return None
        name, digest = annotations.get(BASE_NAME), annotations.get(BASE_DIGEST)
        if not name or is_scratch(name):
            return None
        try:
            reference = parse_reference(name)
            return reference.at(parse_digest(digest)) if digest else reference
        except (BadReference, FormatError):
            self._observer.warn(
                f"{image.name} names its base as {name!r}, which is no reference; ignored"
            )
            return None

    def _try_annotated(self, image: Image, hosts: Collection[str]) -> Base | None:
        """The base that the image's own annotations name, if it can be read and is a prefix."""
        annotations = image.manifest.annotations
        reference = self._read_annotated(image)
        if reference is None:
            return None
        host = reference.repository.host
        if host not in hosts:
            self._observer.warn(
                f"the base that {image.name} names, {reference}, is on a host that nothing else "
                f"names; without `--base-host {host}`, or an entry in `registries`, it is ignored"
            )
            return None
        name = annotations[BASE_NAME]
        try:
            source = self._quick_source(reference)
            base = read_base_image(source, image.listed_platform)
        except SquashproxyError as error:
            self._observer.warn(
                f"the base that {image.name} names could not be read ({error}); ignored"
            )
            return None
        match = match_base(image, base)
        if match is None:
            return None
        true = {key: annotations[key] for key in (BASE_NAME, BASE_DIGEST) if key in annotations}
        if match.is_squashed:
            return replace(squashed_base(image, match, base, source, reference), annotations=true)
        reason = f"the layers of {name}, which the image names"
        found = replace(own_base(image, match.count, reason, true), repository=reference.repository)
        return with_layers_of(found, image, base, source)


def _why_the_first(image: Image) -> str:
    if is_scratch(image.manifest.annotations.get(BASE_NAME)):
        return "the first layer, since the image was built from scratch"
    return "the first layer, since nothing names the base"


def _counted(image: Image, count: int) -> Base:
    layers = len(image.manifest.layers)
    if count > layers:
        raise BaseMismatch(
            f"{image.name} has {layers} {'layer' if layers == 1 else 'layers'}, so a "
            f"base of {count} cannot be kept",
            advice=f"set {{base}} to a number up to {layers}, or to auto",
        )
    return own_base(image, count, "the number asked for")


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
    return replace(own_base(image, best, f"the layers that {found} holds"), repository=found)
