"""What refers to a source image, and would not be true of a squashed one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.oci.manifest import ImageIndex, parse_manifest
from squashproxy.registry.client import RemoteRepository
from squashproxy.registry.referrers import fallback_tag

_SUFFIXES = ("", ".sig", ".att", ".sbom")


@dataclass(frozen=True, slots=True)
class Attached:
    """Tags and manifests that belong to an image, and how many attestations its index holds."""

    tags: tuple[str, ...] = ()
    referrers: tuple[Digest, ...] = ()
    attestations: int = 0

    def __bool__(self) -> bool:
        return bool(self.tags or self.referrers or self.attestations)

    def __str__(self) -> str:
        parts = [
            f"{count} {word}{'' if count == 1 else 's'}"
            for count, word in (
                (len(self.tags), "signature tag"),
                (len(self.referrers), "referrer"),
                (self.attestations, "attestation"),
            )
            if count
        ]
        return " and ".join(parts)


def find_attached(remote: RemoteRepository, digest: Digest, tags: Collection[str]) -> Attached:
    """What belongs to an image or to one of its platforms; `tags` are all of the repository's.

    One request more for each, where the registry lists referrers. Raises RegistryError and
    FormatError.
    """
    raw = remote.get_manifest(digest)
    parsed = parse_manifest(raw, f"the manifest {digest} of {remote.name}")
    digests = [digest]
    attestations = 0
    if isinstance(parsed, ImageIndex):
        digests += [child.descriptor.digest for child in parsed.children]
        attestations = sum(child.is_attestation for child in parsed.children)
    own = [fallback_tag(each) + suffix for each in digests for suffix in _SUFFIXES]
    referrers: list[Digest] = []
    for each in digests:
        listed = remote.list_referrers(each)
        if listed is None:
            break
        referrers += [descriptor.digest for descriptor in listed]
    return Attached(tuple(tag for tag in own if tag in tags), tuple(referrers), attestations)
