"""Manifests and indexes: their exact bytes, and the parsed form beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from squashproxy.digest import Digest, Hasher, digest_of
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor, Json, annotations_of, parse_descriptor
from squashproxy.oci.platform import UNKNOWN, Platform, platform_of

MAX_MANIFEST = 4 << 20
"""Manifests above this many bytes are refused (distribution specification 1.1)."""

INDEX_KIND = "index"
"""The kind of an index that lists manifests."""

_MOST_NESTED = 8
_REFERENCE_TYPE = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest's exact bytes, and the media type it was served with."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> Digest:
        """The sha256 digest of the bytes."""
        return digest_of(self.data)

    def is_named(self, digest: Digest) -> bool:
        """Whether `digest` is that of the bytes, by its own algorithm."""
        if digest.startswith("sha256:"):
            return self.digest == digest
        hasher = Hasher(digest)
        hasher.update(self.data)
        return hasher.digest == digest

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.data))


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One image: a config and its layers, base first."""

    raw: RawManifest
    document: Json
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def annotations(self) -> Mapping[str, str]:
        """The manifest's annotations (none in Docker's schema 2)."""
        return annotations_of(self.document)

    @property
    def is_image(self) -> bool:
        """Whether this is a container image and not another artifact with a manifest.

        In Docker's schema 2, the config of an old image may have any of `OLD_CONFIGS`. So may that
        of an artifact, which has no layers of an image.
        """
        if _is_artifact(self.document.get("artifactType")):
            return False
        return self.config.media_type in mediatypes.CONFIGS or self._is_old_image

    @property
    def _is_old_image(self) -> bool:
        is_docker = mediatypes.family_of(self.raw.media_type) is mediatypes.Family.DOCKER
        types = [layer.media_type for layer in self.layers]
        return (
            is_docker
            and self.config.media_type in mediatypes.OLD_CONFIGS
            and bool(types)
            and all(mediatypes.is_layer(each) or mediatypes.is_foreign(each) for each in types)
        )

    @property
    def kind(self) -> str:
        """The type of an artifact that is not an image: its artifact type, or its config's."""
        return str(self.document.get("artifactType") or self.config.media_type)

    def with_layers(
        self,
        config: Descriptor,
        layers: Sequence[Descriptor],
        annotations: Mapping[str, str],
    ) -> RawManifest:
        """The same manifest with another config and other layers; unknown fields survive.

        Docker's schema 2 has no annotations, so there `annotations` are left out.
        """
        document = dict(self.document)
        document["config"] = config.to_json()
        document["layers"] = [layer.to_json() for layer in layers]
        if mediatypes.family_of(self.raw.media_type) is mediatypes.Family.OCI:
            document["annotations"] = dict(annotations)
        return RawManifest(encode_json(document), self.raw.media_type)


@dataclass(frozen=True, slots=True)
class IndexChild:
    """One entry of an index."""

    descriptor: Descriptor
    platform: Platform | None

    @classmethod
    def of(cls, descriptor: Descriptor) -> Self:
        """The child with the platform that its index states; None without one, or with empty
        fields.
        """
        stated = descriptor.extra.get("platform")
        if not isinstance(stated, dict) or not (stated.get("os") or stated.get("architecture")):
            return cls(descriptor, None)
        return cls(descriptor, platform_of(stated))

    @property
    def is_attestation(self) -> bool:
        """Whether this is BuildKit's attestation of another child instead of an image."""
        return _REFERENCE_TYPE in self.descriptor.annotations or self.platform == UNKNOWN

    @property
    def is_index(self) -> bool:
        """Whether this is another index."""
        return self.descriptor.media_type in mediatypes.INDEXES

    @property
    def is_manifest(self) -> bool:
        """Whether this is a manifest, and not a blob, as in the cache of BuildKit."""
        return mediatypes.is_manifest(self.descriptor.media_type)

    @property
    def may_be_image(self) -> bool:
        """Whether this is an image as far as the index tells: its manifest may say otherwise."""
        is_artifact = _is_artifact(self.descriptor.extra.get("artifactType"))
        return self.is_manifest and not self.is_attestation and not is_artifact

    @property
    def kind(self) -> str:
        """The type of what is no image, for people."""
        return str(self.descriptor.extra.get("artifactType") or self.descriptor.media_type)


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """An OCI index or Docker manifest list."""

    raw: RawManifest
    document: Json
    children: tuple[IndexChild, ...]

    @property
    def kind(self) -> str:
        """`index`; of one that lists no manifest but blobs, the type that tells what it is."""
        types = [child.descriptor.media_type for child in self.children]
        if not types or any(map(mediatypes.is_manifest, types)):
            return INDEX_KIND
        return next((each for each in types if not mediatypes.is_layer(each)), types[0])

    @property
    def annotations(self) -> Mapping[str, str]:
        """The index's annotations."""
        return annotations_of(self.document)

    def with_children(
        self, children: Sequence[Descriptor], annotations: Mapping[str, str]
    ) -> RawManifest:
        """The same index with other children; unknown fields survive."""
        document = dict(self.document)
        document["manifests"] = [child.to_json() for child in children]
        if mediatypes.family_of(self.raw.media_type) is mediatypes.Family.OCI:
            document["annotations"] = dict(annotations)
        return RawManifest(encode_json(document), self.raw.media_type)


def parse_manifest(raw: RawManifest, where: str) -> ImageManifest | ImageIndex:
    """Parse a manifest of either family; `where` names it in errors.

    Raises FormatError for Docker schema 1, for anything that is not a manifest, and where the
    document's `mediaType` contradicts the media type it was served with.
    """
    document = parse_json_object(raw.data, where)
    media_type = _media_type(raw, document, where)
    raw = RawManifest(raw.data, media_type)
    if media_type in mediatypes.INDEXES:
        return ImageIndex(raw, document, _children(document, where))
    config = parse_descriptor(document.get("config"), f"{where}: its config")
    layers = document.get("layers")
    if layers is None:  # as Go's encoder writes an empty list, or leaves it out
        layers = []
    if not isinstance(layers, list):
        raise FormatError(f"{where} has no list of layers", advice="build the image again")
    return ImageManifest(
        raw,
        document,
        config,
        tuple(
            parse_descriptor(layer, f"{where}: its layer {number}")
            for number, layer in enumerate(layers)
        ),
    )


def parse_json_object(data: bytes, where: str) -> Json:
    """Parse a JSON object. Raises FormatError, which begins with `where`."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{where} is not valid JSON", advice="push or save the image again"
        ) from error
    if not isinstance(document, dict):
        raise FormatError(f"{where} is not a JSON object", advice="push or save the image again")
    return document


def check_depth(depth: int, where: str) -> None:
    """Raise FormatError for indexes that are nested too deeply."""
    if depth > _MOST_NESTED:
        raise FormatError(
            f"{where} stands in more than {_MOST_NESTED} indexes, one in the other",
            advice="push it alone",
        )


def encode_json(document: Any) -> bytes:
    """Encode JSON for a registry: compact, in the document's order.

    Half a surrogate pair, which UTF-8 cannot hold, stays the escape that it was.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


def _media_type(raw: RawManifest, document: Json, where: str) -> str:
    """The media type of a manifest. Parameters are ignored; a contradiction is an error."""
    named = raw.media_type.partition(";")[0].strip()
    stated = document.get("mediaType")
    if stated in mediatypes.SCHEMA1 or document.get("schemaVersion") == 1:
        raise FormatError(
            f"{where} is in Docker's schema 1, which holds no usable layer list",
            advice="pull it and push it again with a current docker or skopeo, then copy that",
        )
    if "manifests" in document and document.get("layers") is not None:
        raise FormatError(
            f"{where} says that it is both an index and an image", advice="build it again"
        )
    known = (*mediatypes.MANIFESTS, *mediatypes.INDEXES)
    if stated and named in known and named != stated:
        raise FormatError(f"{where} came as {named} but says that it is {stated}")
    if stated in known or named in known:
        return str(stated or named)
    if not stated and "manifests" in document:
        return mediatypes.OCI_INDEX
    if not stated and document.get("config") is not None:
        return mediatypes.OCI_MANIFEST
    raise FormatError(f"{where} is of the type {stated or named!r}, which is no image")


def _is_artifact(artifact_type: object) -> bool:
    """Whether a stated artifact type tells of something else than an image.

    An index may give an image that of its config (OCI image specification, descriptor.md).
    """
    return bool(artifact_type) and str(artifact_type) not in mediatypes.CONFIGS


def _children(document: Json, where: str) -> tuple[IndexChild, ...]:
    manifests = document.get("manifests")
    if not isinstance(manifests, list):
        raise FormatError(f"{where} has no list of manifests", advice="build the image again")
    children = []
    for number, entry in enumerate(manifests):
        descriptor = parse_descriptor(entry, f"{where}: its manifest {number}")
        children.append(IndexChild.of(descriptor))
    return tuple(children)
