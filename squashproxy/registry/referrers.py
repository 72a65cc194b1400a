"""What refers to a manifest: signatures, attestations, bills of material.

Distribution specification 1.1, listing referrers, and the referrers tag schema for registries
without that.
"""

from __future__ import annotations

from squashproxy.digest import Digest
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor, Json, parse_descriptor
from squashproxy.oci.manifest import MAX_MANIFEST, RawManifest, encode_json, parse_json_object
from squashproxy.registry.calls import Call, Caller
from squashproxy.registry.faults import Action
from squashproxy.registry.manifests import find_manifest, get_manifest, put_manifest
from squashproxy.registry.pages import iter_linked
from squashproxy.registry.scopes import pull

_NOT_OFFERED = frozenset({400, 404, 405, 501})
"""Registries without the API answer so, whatever the digest."""


def fallback_tag(digest: Digest) -> str:
    """The tag under which clients list referrers where the registry does not."""
    return digest.replace(":", "-", 1)


def list_referrers(caller: Caller, digest: Digest) -> tuple[Descriptor, ...] | None:
    """The manifests whose subject is `digest`, None where the registry does not list them.

    It answers with an empty list where there is no such manifest.
    """
    name = caller.repository
    url = caller.endpoint.url(f"/v2/{name.path}/referrers/{digest}")
    action = Action(name, f"the list of referrers of {digest} in {name.path}")
    call = Call("GET", url, action, pull(name.path), _NOT_OFFERED | {200})
    found: list[Descriptor] = []
    for answer in iter_linked(caller, call, MAX_MANIFEST):
        if answer.status != 200:
            return None
        found += _entries(answer.body, f"the list of referrers of {digest} in {name}")
    return tuple(found)


def put_referrer(caller: Caller, raw: RawManifest) -> None:
    """Write a manifest that has a subject; where the registry lists no referrers, the client does.

    That list is an index under a tag of the subject's (referrers tag schema). Nothing guards it
    against two writers at once, as the specification says.
    """
    document = parse_json_object(raw.data, "the referrer")
    subject = parse_descriptor(document.get("subject"), "the referrer's subject")
    if put_manifest(caller, raw, raw.digest):
        return
    tag = fallback_tag(subject.digest)
    listed: list[Json] = []
    if find_manifest(caller, tag) is not None:
        index = get_manifest(caller, tag)
        where = f"the list of referrers {tag} of {caller.repository}"
        listed = [entry.to_json() for entry in _entries(index.data, where)]
    config = document.get("config")
    own = config.get("mediaType") if isinstance(config, dict) else None
    entry = Descriptor(
        raw.media_type,
        raw.digest,
        len(raw.data),
        {
            "artifactType": document.get("artifactType") or own,
            "annotations": document.get("annotations") or {},
        },
    ).to_json()
    if entry in listed:
        return
    index_document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [*(each for each in listed if each["digest"] != raw.digest), entry],
    }
    put_manifest(caller, RawManifest(encode_json(index_document), mediatypes.OCI_INDEX), tag)


def _entries(data: bytes, where: str) -> list[Descriptor]:
    listed = parse_json_object(data, where).get("manifests") or []
    if not isinstance(listed, list):
        raise FormatError(f"{where} holds no list of manifests")
    return [parse_descriptor(entry, where) for entry in listed]
