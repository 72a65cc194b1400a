"""The manifests that hold signatures in a registry: one for each bundle, one tag for all others."""

from __future__ import annotations

from collections.abc import Sequence

from squashproxy.digest import Digest, digest_of
from squashproxy.oci import mediatypes
from squashproxy.oci.artifact import artifact_manifest
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.signing.bundle import BUNDLE
from squashproxy.signing.simple_signing import SIGNATURE, SIMPLE_SIGNING
from squashproxy.signing.strict_json import encode_base64

_CONTENT = "dev.sigstore.bundle.content"
_PREDICATE = "dev.sigstore.bundle.predicateType"


def bundle_manifest(bundle: bytes, subject: Descriptor, predicate_type: str) -> RawManifest:
    """The manifest of a bundle about `subject`; it names the blobs `bundle` and EMPTY of
    oci/artifact.py.
    """
    return artifact_manifest(
        BUNDLE,
        [Descriptor(BUNDLE, digest_of(bundle), len(bundle))],
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
        annotations={_CONTENT: "dsse-envelope", _PREDICATE: predicate_type},
    )


def signature_layer(payload: bytes, signature: bytes) -> Descriptor:
    """The layer of a signature under a tag: the payload, with the signature as its annotation."""
    annotations = {"annotations": {SIGNATURE: encode_base64(signature)}}
    return Descriptor(SIMPLE_SIGNING, digest_of(payload), len(payload), annotations)


def tagged_config(layers: Sequence[Descriptor]) -> bytes:
    """The config of the image that a signature's tag points to: its layers, and nothing to run."""
    document: Json = {
        "architecture": "",
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "config": {},
    }
    return encode_json(document)


def tagged_manifest(config: bytes, layers: Sequence[Descriptor]) -> RawManifest:
    """The image that a signature's tag points to: one layer for each signature."""
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": Descriptor(mediatypes.OCI_CONFIG, digest_of(config), len(config)).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return RawManifest(encode_json(document), mediatypes.OCI_MANIFEST)


def annotation_of(layer: Descriptor) -> str | None:
    """The signature that a layer carries, in base64; None where it has none."""
    found: object = layer.annotations.get(SIGNATURE)
    return found if isinstance(found, str) else None


def tag_for(digest: Digest) -> str:
    """The tag under which an image's signatures are found."""
    return digest.replace(":", "-", 1) + ".sig"
