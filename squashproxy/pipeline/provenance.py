"""Provenance: an in-toto statement that says where an image came from and refers to it.

Formats: in-toto attestation framework (Statement v1) and SLSA provenance v1, in the manifest of an
artifact with a subject (OCI image specification 1.1, manifest.md), or in a bundle if it is signed.
It contains no time, so that the same copy gives the same statement.
"""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy import __version__
from squashproxy.digest import Digest, digest_of
from squashproxy.oci.artifact import EMPTY, IN_TOTO, artifact_manifest
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.results import PlatformCopy
from squashproxy.pipeline.signatures.results import SourceSignature
from squashproxy.signing.statement import STATEMENT
from squashproxy.transports.base import ImageSink, ImageSource, ReferrerSink

PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "https://squashproxy.dev/squash/v1"
_BUILDER = "https://squashproxy.dev/squashproxy"


@dataclass(frozen=True, slots=True)
class Making:
    """The facts of a copy: the source, the keys that it was checked with, the result, and its
    platforms.
    """

    source: ImageSource
    source_digest: Digest
    final: RawManifest
    platforms: tuple[PlatformCopy, ...]
    options: CopyOptions
    signed_by: tuple[SourceSignature, ...] = ()


def write_provenance(making: Making, sink: ImageSink) -> None:
    """Push the statement, signed if results are. The image's manifest is pushed before it, by
    digest. Raises RegistryError.
    """
    assert isinstance(sink, ReferrerSink), "check_fit lets no other sink through"
    statement = _statement(making, sink)
    final = making.final
    sink.write_manifest(final)
    if making.options.signing is not None:
        from squashproxy.pipeline.signatures.sign import (  # noqa: PLC0415 - loads cryptography
            write_signed_statement,
        )

        signing = making.options.signing
        write_signed_statement(sink, final.descriptor, statement, PREDICATE, signing)
        return
    for blob in (statement, EMPTY):
        sink.write_blob((blob,), digest_of(blob), len(blob))
    predicate = {"in-toto.io/predicate-type": PREDICATE}
    layer = Descriptor(IN_TOTO, digest_of(statement), len(statement), {"annotations": predicate})
    sink.write_referrer(
        artifact_manifest(IN_TOTO, [layer], subject=final.descriptor, annotations=predicate)
    )


def _statement(making: Making, sink: ImageSink) -> bytes:
    source, options = making.source, making.options
    known_as = options.known_as
    document: Json = {
        "_type": STATEMENT,
        "subject": [
            {"name": str(known_as or sink.repository), "digest": _digests(making.final.digest)}
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {
                    "source": source.name,
                    "target": str(known_as) if known_as else sink.name,
                    "base": str(options.base),
                    "compression": str(options.compression),
                    "platforms": sorted(map(str, options.platforms)),
                },
                "internalParameters": {
                    "platforms": [
                        {
                            "platform": each.platform,
                            "source": each.source_digest,
                            "result": each.digest,
                            "base_layers": each.base_layers,
                        }
                        for each in making.platforms
                    ],
                    "mode": options.mode.value,
                    "signed_by": [
                        {"digest": each.digest, "key": f"sha256:{each.fingerprint}"}
                        for each in making.signed_by
                    ],
                },
                "resolvedDependencies": [
                    {"name": source.name, "digest": _digests(making.source_digest)}
                ],
            },
            "runDetails": {"builder": {"id": _BUILDER, "version": {"squashproxy": __version__}}},
        },
    }
    return encode_json(document)


def _digests(digest: str) -> dict[str, str]:
    algorithm, _, text = digest.partition(":")
    return {algorithm: text}
