"""Images in OCI image layouts (OCI image specification, image-layout.md), in folders and tars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from squashproxy.digest import Digest, Verified
from squashproxy.errors import ArchiveError, BadReference, IntegrityError, NoSuchImage
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import (
    MAX_MANIFEST,
    ImageIndex,
    RawManifest,
    parse_json_object,
    parse_manifest,
)
from squashproxy.oci.mediatypes import INDEXES, MANIFESTS, OCI_INDEX
from squashproxy.reference import parse_reference
from squashproxy.registry.referrers import fallback_tag, is_companion
from squashproxy.transports.files import Files, read_file

INDEX = "index.json"
LAYOUT = "oci-layout"
LAYOUT_DOCUMENT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
"""The annotation under which docker and containerd keep an image's full reference."""

NO_NAME = "an image without a name"
_DOCKER_INDEX = "manifest.json"


def blob_path(digest: Digest) -> str:
    """The path of a blob in a layout."""
    algorithm, _, digits = digest.partition(":")
    return f"blobs/{algorithm}/{digits}"


@dataclass(frozen=True)
class Layout:
    """The contents of a layout."""

    files: Files

    @property
    def name(self) -> str:
        """The folder or archive, for people."""
        return self.files.name

    @cached_property
    def index(self) -> ImageIndex:
        """The layout's own index. Raises ArchiveError where there is none."""
        if self.files.find(INDEX) is None:
            raise self._no_layout()
        data = read_file(self.files, INDEX, MAX_MANIFEST)
        where = f"{INDEX} of {self.name}"
        stated = parse_json_object(data, where).get("mediaType")
        media_type = stated if stated in INDEXES else OCI_INDEX
        index = parse_manifest(RawManifest(data, media_type), where)
        assert isinstance(index, ImageIndex), "its media type says so"
        return index

    @property
    def images(self) -> list[Descriptor]:
        """What the index lists, without the tags that belong to other manifests."""
        children = [child.descriptor for child in self.index.children]
        return [each for each in children if not is_companion(ref_name(each))]

    def find(self, name: str | None) -> Descriptor | None:
        """The image of that name; without a name the only image, or the only unnamed one."""
        found = self.images
        if name is None:
            if len(found) > 1:
                found = [image for image in found if not image.annotations.get(REF_NAME)]
            if len(found) > 1:
                found = [image for image in found if self._subject_of(image) is None]
            return found[0] if len(found) == 1 else None
        referenced = [image for image in found if _has_reference(image, name)]
        return self.find_named(name) or (referenced[-1] if referenced else None)

    def find_named(self, name: str | None) -> Descriptor | None:
        """The image that a new image with that name, or without a name, would replace."""
        found = [child.descriptor for child in self.index.children]
        named = [image for image in found if image.annotations.get(REF_NAME) == name]
        return named[-1] if named else None

    def list_referrers(self, digest: Digest) -> tuple[Descriptor, ...]:
        """The manifests whose subject is `digest`.

        They stand in a list under a tag (referrers tag schema), as regclient has it, or in the
        index itself, as ORAS has it. Raises ArchiveError and FormatError.
        """
        listed: dict[Digest, Descriptor] = {}
        by_tag = self.find_named(fallback_tag(digest))
        if by_tag is not None:
            found = parse_manifest(self.read_manifest(by_tag.digest), self.name)
            if isinstance(found, ImageIndex):
                listed = {each.descriptor.digest: each.descriptor for each in found.children}
        for image in self._by_subject.get(digest, ()):
            listed.setdefault(image.digest, image)
        return tuple(listed.values())

    @cached_property
    def _by_subject(self) -> dict[str, list[Descriptor]]:
        """The manifests in the index that refer to another one, by its digest."""
        found: dict[str, list[Descriptor]] = {}
        for image in self.images:
            subject = self._subject_of(image)
            if subject is not None:
                found.setdefault(subject, []).append(image)
        return found

    def _subject_of(self, image: Descriptor) -> str | None:
        """The digest that a listed manifest refers to; None for none, or an absent manifest."""
        path = blob_path(image.digest)
        if image.media_type not in (*MANIFESTS, *INDEXES) or self.files.find(path) is None:
            return None
        where = f"the manifest {image.digest[:19]} of {self.name}"
        document = parse_json_object(read_file(self.files, path, MAX_MANIFEST), where)
        subject = document.get("subject")
        return str(subject.get("digest")) if isinstance(subject, dict) else None

    def read_manifest(self, digest: Digest) -> RawManifest:
        """A manifest, its digest verified, with the media type that it states or its form implies.

        Raises ArchiveError, IntegrityError, and FormatError for what is not a manifest.
        """
        data = read_file(self.files, blob_path(digest), MAX_MANIFEST)
        where = f"the manifest {digest[:19]} of {self.name}"
        b"".join(Verified((data,), digest, None, where))
        return parse_manifest(RawManifest(data, ""), where).raw

    def iter_blob(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, verified. Raises ArchiveError, and IntegrityError."""
        path = blob_path(blob.digest)
        size = self.files.find(path)
        if size is not None and size != blob.size:
            raise IntegrityError(
                f"blob {blob.digest[:19]} of {self.name} has {size} bytes, but its descriptor "
                f"says {blob.size}",
                advice="save or copy the image again",
            )
        what = f"blob {blob.digest[:19]} of {self.name}"
        return iter(Verified(self.files.iter_file(path), blob.digest, blob.size, what))

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether the blob is there, whole by its size."""
        return self.files.find(blob_path(blob.digest)) == blob.size

    def _no_layout(self) -> ArchiveError:
        if self.files.find(_DOCKER_INDEX) is not None:
            return ArchiveError(
                f"{self.name} is no OCI layout but a docker archive",
                advice="name it as docker-archive:",
            )
        if self.files.is_cut_short:
            return ArchiveError(
                f"{self.name} is no OCI layout: it is cut short",
                advice="save or copy the image again",
            )
        return ArchiveError(
            f"{self.name} is no OCI layout: it has no {INDEX}",
            advice="name one that holds an image",
        )


def no_such_image(where: str, name: str | None, names: list[str]) -> NoSuchImage:
    """The error for an image that does not exist, or for no name where there are several images."""
    there = ", ".join(sorted(names)) or "nothing"
    if name is None and names:
        return NoSuchImage(f"{where} holds several images", advice=f"name one of them: {there}")
    wanted = f"no image {name!r}" if name else "no image"
    return NoSuchImage(f"{where}: there is {wanted}; there is {there}")


def ref_name(image: Descriptor) -> str:
    """The image's name in the index, empty where it has none."""
    name = image.annotations.get(REF_NAME)
    return name if isinstance(name, str) else ""


def _has_reference(image: Descriptor, name: str) -> bool:
    """Whether containerd or docker call the image `name`."""
    known = image.annotations.get(CONTAINERD_NAME)
    try:
        return known is not None and str(parse_reference(known)) == str(parse_reference(name))
    except BadReference:
        return False
