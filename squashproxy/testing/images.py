"""Images and indexes, built in memory and pushed to anything that stores blobs and manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from squashproxy.digest import Digest, digest_of
from squashproxy.oci import artifact, mediatypes
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.oci.mediatypes import Family
from squashproxy.oci.platform import Platform
from squashproxy.testing.layers import LayerBuilder
from squashproxy.testing.packing import Packing, pack

CREATED = "2023-11-14T22:13:20Z"
"""The date of every image, always the same, so that digests are."""

AMD64 = Platform("linux", "amd64")


class PushTarget(Protocol):
    """A place to push images to, such as a FakeRegistry."""

    def put_blob(self, repo: str, data: bytes, /) -> Digest:
        """Store a blob."""
        ...

    def put_manifest(self, repo: str, tag: str | None, data: bytes, media_type: str, /) -> Digest:
        """Store a manifest, under a tag or by its digest alone."""
        ...


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image. `blobs` holds its config and every layer except stored ones (`stored_layer`)."""

    manifest: RawManifest
    config: Descriptor
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[Digest, ...]
    blobs: Mapping[Digest, bytes]
    platform: Platform

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return self.manifest.digest

    def push(self, target: PushTarget, repo: str, tag: str | None = None) -> Digest:
        """Push the blobs, then the manifest; return the manifest's digest."""
        for data in self.blobs.values():
            target.put_blob(repo, data)
        return target.put_manifest(repo, tag, self.manifest.data, self.manifest.media_type)


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """An index, its images and their attestations."""

    manifest: RawManifest
    images: tuple[BuiltImage, ...]
    attestations: tuple[BuiltImage, ...]

    @property
    def digest(self) -> Digest:
        """The index's digest."""
        return self.manifest.digest

    def push(self, target: PushTarget, repo: str, tag: str | None = None) -> Digest:
        """Push every image without a tag, then the index; return the index's digest."""
        for image in (*self.images, *self.attestations):
            image.push(target, repo)
        return target.put_manifest(repo, tag, self.manifest.data, self.manifest.media_type)


class ImageBuilder:
    """Builds an image layer by layer, base first; the same calls give the same digest.

    `config` is the part that says how to run (`Env`, `Cmd`, ...); `fields` are further fields of
    the config document; `annotations` belong to the manifest (OCI only).
    """

    def __init__(
        self,
        family: Family = Family.OCI,
        *,
        platform: Platform = AMD64,
        config: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        self._family = family
        self._platform = platform
        self._config = dict(config or {})
        self._fields = dict(fields or {})
        self._annotations = dict(annotations or {})
        self._layers: list[Descriptor] = []
        self._diff_ids: list[Digest] = []
        self._history: list[Json] = []
        self._blobs: dict[Digest, bytes] = {}

    def layer(
        self,
        tar: bytes | LayerBuilder,
        packing: Packing = Packing.GZIP,
        *,
        level: int | None = None,
        history: str | Mapping[str, Any] | None = None,
    ) -> Self:
        """Add a layer. `history` is the `created_by` of its history entry, or the whole entry."""
        data = tar.tar() if isinstance(tar, LayerBuilder) else tar
        blob = pack(data, packing, level)
        media_type = mediatypes.layer_type(self._family, packing.compression)
        descriptor = Descriptor(media_type, digest_of(blob), len(blob))
        self._blobs[descriptor.digest] = blob
        return self.stored_layer(descriptor, digest_of(data), history=history)

    def stored_layer(
        self,
        descriptor: Descriptor,
        diff_id: Digest,
        *,
        history: str | Mapping[str, Any] | None = None,
    ) -> Self:
        """Add a layer without its blob, which is stored elsewhere, foreign or encrypted."""
        self._layers.append(descriptor)
        self._diff_ids.append(diff_id)
        default = f"layer {len(self._layers)}"
        self._history.append(_history_entry(default if history is None else history))
        return self

    def instruction(self, created_by: str) -> Self:
        """Add a history entry without a layer, as `ENV` and `CMD` do."""
        self._history.append({**_history_entry(created_by), "empty_layer": True})
        return self

    def without_history(self) -> Self:
        """Leave out the history, as some builders do."""
        self._history.clear()
        return self

    def build(self) -> BuiltImage:
        """The image as described so far."""
        config = encode_json(self._config_document())
        oci = self._family is Family.OCI
        config_type = mediatypes.OCI_CONFIG if oci else mediatypes.DOCKER_CONFIG
        descriptor = Descriptor(config_type, digest_of(config), len(config))
        document: Json = {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_MANIFEST if oci else mediatypes.DOCKER_MANIFEST,
            "config": descriptor.to_json(),
            "layers": [layer.to_json() for layer in self._layers],
        }
        if self._annotations:
            document["annotations"] = self._annotations
        return BuiltImage(
            RawManifest(encode_json(document), document["mediaType"]),
            descriptor,
            tuple(self._layers),
            tuple(self._diff_ids),
            {**self._blobs, descriptor.digest: config},
            self._platform,
        )

    def push(self, target: PushTarget, repo: str, tag: str | None = None) -> Digest:
        """Build the image and push it; return the manifest's digest."""
        return self.build().push(target, repo, tag)

    def _config_document(self) -> Json:
        document: Json = {
            "created": CREATED,
            **_platform_json(self._platform),
            "config": self._config,
            "rootfs": {"type": "layers", "diff_ids": list(self._diff_ids)},
        }
        if self._history:
            document["history"] = list(self._history)
        return {**document, **self._fields}


def index_of(
    images: Iterable[BuiltImage | ImageBuilder],
    family: Family = Family.OCI,
    *,
    attestations: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> BuiltIndex:
    """An index of images; with `attestations`, each gets one in BuildKit's form."""
    built = tuple(image.build() if isinstance(image, ImageBuilder) else image for image in images)
    attached = tuple(attestation_of(image) for image in built) if attestations else ()
    children = [_child(image) for image in built]
    children += [
        _attestation_child(attestation, image)
        for attestation, image in zip(attached, built, strict=False)
    ]
    oci = family is Family.OCI
    document: Json = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX if oci else mediatypes.DOCKER_INDEX,
        "manifests": [child.to_json() for child in children],
    }
    if annotations:
        document["annotations"] = dict(annotations)
    manifest = RawManifest(encode_json(document), document["mediaType"])
    return BuiltIndex(manifest, built, attached)


def attestation_of(image: BuiltImage) -> BuiltImage:
    """An attestation manifest as BuildKit writes it: an image in form, an in-toto statement in."""
    name, _, value = image.digest.partition(":")
    statement = encode_json(
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{"name": "image", "digest": {name: value}}],
            "predicate": {},
        }
    )
    layer = Descriptor("application/vnd.in-toto+json", digest_of(statement), len(statement))
    builder = ImageBuilder(platform=Platform("unknown", "unknown"))
    built = builder.stored_layer(layer, layer.digest).without_history().build()
    return replace(built, blobs={**built.blobs, layer.digest: statement})


def _child(image: BuiltImage) -> Descriptor:
    return replace(image.manifest.descriptor, extra={"platform": _platform_json(image.platform)})


def _attestation_child(attestation: BuiltImage, image: BuiltImage) -> Descriptor:
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.digest,
    }
    child = _child(attestation)
    return replace(child, extra={"annotations": annotations, **child.extra})


def _platform_json(platform: Platform) -> dict[str, str]:
    variant = {"variant": platform.variant} if platform.variant else {}
    return {"architecture": platform.architecture, "os": platform.os, **variant}


def _history_entry(history: str | Mapping[str, Any]) -> Json:
    if isinstance(history, str):
        return {"created": CREATED, "created_by": history}
    return dict(history)


def artifact_manifest(
    artifact_type: str,
    blobs: Sequence[Descriptor],
    *,
    config: Descriptor,
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> RawManifest:
    """An OCI artifact: a manifest that is not an image, perhaps a referrer of `subject`."""
    return artifact.artifact_manifest(
        artifact_type, blobs, config=config, subject=subject, annotations=annotations
    )
