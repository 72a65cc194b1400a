"""Signatures, attestations and other referrers of a source image; squashing invalidates them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from squashproxy.digest import Digest
from squashproxy.errors import ReferrersUnknown
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, parse_manifest
from squashproxy.registry.client import RemoteRepository
from squashproxy.registry.referrers import COMPANION_SUFFIXES, fallback_tag
from squashproxy.transports.index_images import find_leaves
from squashproxy.transports.registry import RepositoryManifests


@dataclass(frozen=True, slots=True)
class Attached:
    """Tags and manifests that refer to an image, and the number of attestations in its index.

    `untold` is the number of its manifests whose referrers the registry does not list although it
    lists those of others: they may be signed.
    """

    tags: tuple[str, ...] = ()
    referrers: tuple[Digest, ...] = ()
    attestations: int = 0
    untold: int = 0

    def __bool__(self) -> bool:
        return bool(self.tags or self.referrers or self.attestations or self.untold)

    def __str__(self) -> str:
        parts = [
            f"{count} {one if count == 1 else many}"
            for count, one, many in (
                (len(self.tags), "signature tag", "signature tags"),
                (len(self.referrers), "referrer", "referrers"),
                (self.attestations, "attestation", "attestations"),
                (
                    self.untold,
                    "manifest whose referrers its registry does not tell",
                    "manifests whose referrers its registry does not tell",
                ),
            )
            if count
        ]
        return " and ".join(parts)


def find_attached(
    remote: RemoteRepository, digest: Digest, tags: Collection[str] | None
) -> Attached:
    """What refers to an image or to one of its platforms.

    `tags` are all tags of the repository; where they are unknown (None), the tags that could belong
    to the image are asked for. Every manifest is asked for its referrers, since an empty list for
    one says nothing of the next. Raises RegistryError and FormatError.
    """
    raw = remote.get_manifest(digest)
    parsed = parse_manifest(raw, f"the manifest {digest} of {remote.name}")
    digests = [digest]
    attestations = 0
    if isinstance(parsed, ImageIndex):
        leaves = find_leaves(RepositoryManifests(remote), parsed, tolerant=True)
        digests += leaves.manifests
        attestations = sum(child.is_attestation for child in leaves.children if child.is_manifest)
    own = [(each, suffix) for each in digests for suffix in COMPANION_SUFFIXES]
    lists, unknown = _lists_of(remote, digests)
    told = [listed for listed in lists if listed is not None]
    return Attached(
        tags=tuple(
            fallback_tag(each) + suffix
            for each, suffix in own
            if _is_there(remote, each, suffix, tags)
        ),
        referrers=tuple(dict.fromkeys(each.digest for listed in told for each in listed)),
        attestations=attestations,
        untold=unknown + (len(lists) - len(told) if told else 0),
    )


def _lists_of(
    remote: RemoteRepository, digests: Sequence[Digest]
) -> tuple[list[tuple[Descriptor, ...] | None], int]:
    """The list of referrers of each manifest; None if the registry has no referrers API.

    Also returns the number of manifests for which the registry has the API but gave no list.
    """
    lists: list[tuple[Descriptor, ...] | None] = []
    unknown = 0
    for digest in digests:
        try:
            lists.append(remote.list_referrers(digest))
        except ReferrersUnknown:
            unknown += 1
    return lists, unknown


def _is_there(
    remote: RemoteRepository, digest: Digest, suffix: str, tags: Collection[str] | None
) -> bool:
    if tags is None:
        return remote.find_companion(digest, suffix) is not None
    return fallback_tag(digest) + suffix in tags
