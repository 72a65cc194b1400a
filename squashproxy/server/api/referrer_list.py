"""Pages of referrers (OCI distribution specification 1.1, listing referrers)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor, Json
from squashproxy.oci.manifest import MAX_MANIFEST, encode_json
from squashproxy.oci.mediatypes import OCI_INDEX

_ROOM = 4096
"""Bytes that are left for what stands around the entries."""


@dataclass(frozen=True, slots=True)
class ReferrerPage:
    """A page, which is an index; `next_path` is path and query of the next one, or None."""

    body: bytes
    next_path: str | None


def referrer_page(
    name: str,
    subject: Digest,
    referrers: Sequence[Descriptor],
    artifact_type: str | None,
    last: str | None,
) -> ReferrerPage:
    """The page after the referrer `last`, of those with an artifact type if that is given.

    A page is no larger than a manifest may be, as the specification says.
    """
    wanted = [each for each in referrers if artifact_type in (None, _type_of(each))]
    begin = next((at + 1 for at, each in enumerate(wanted) if each.digest == last), 0)
    entries: list[Json] = []
    left = MAX_MANIFEST - _ROOM
    for each in wanted[begin:]:
        entry = each.to_json()
        left -= len(encode_json(entry)) + 1
        if left < 0 and entries:
            break
        entries.append(entry)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    next_path = None
    if begin + len(entries) < len(wanted):
        query = f"last={entries[-1]['digest']}"
        if artifact_type is not None:
            query += f"&artifactType={quote(artifact_type, safe='')}"
        next_path = f"/v2/{name}/referrers/{subject}?{query}"
    return ReferrerPage(encode_json(index), next_path)


def _type_of(referrer: Descriptor) -> object:
    return referrer.extra.get("artifactType")
