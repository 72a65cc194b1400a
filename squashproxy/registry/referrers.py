"""Referrers of a manifest: signatures, attestations, bills of material.

Sources: distribution specification 1.1, listing referrers, and the referrers tag schema for
registries without that API.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError, ReferrersUnknown
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor, parse_descriptor
from squashproxy.oci.manifest import MAX_MANIFEST, RawManifest, encode_json, parse_json_object
from squashproxy.registry.auth.scopes import pull
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.error_responses import Action, read_refusal
from squashproxy.registry.manifests import find_manifest, get_manifest, put_manifest
from squashproxy.registry.paging import MOST_ENTRY_BYTES, Page, Pager, iter_entries

COMPANION_SUFFIXES = ("", ".sig", ".att", ".sbom")
"""What follows `sha256-HEX` in tags that belong to a manifest: nothing for a list of referrers,
the others are cosign's.
"""

_COMPANION = re.compile("sha256-([0-9a-f]{64})")
_NOT_OFFERED = frozenset({303, 400, 404, 405, 501})
"""The status codes of registries without the API, whatever the digest. GHCR's 303 leads to its web
site (artifacthub/hub#4785).
"""

_NOBODY = digest_of(b"This is no manifest, so no registry holds one with its digest.")


class ReferrersSupport:
    """Which registries list referrers, as far as known; usable from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def find(self, host: str) -> bool | None:
        """Whether a registry lists referrers; None where that is unknown."""
        return self._known.get(host)

    def note(self, host: str, *, lists: bool) -> None:
        """Record whether a registry lists referrers."""
        self._known[host] = lists


def fallback_tag(digest: Digest) -> str:
    """The tag under which clients list referrers where the registry does not."""
    return digest.replace(":", "-", 1)


def is_companion(tag: str) -> bool:
    """Whether a tag belongs to a manifest by its name, as lists of referrers and cosign's do."""
    return _COMPANION.match(tag) is not None


def subject_in(tag: str) -> Digest | None:
    """The manifest that a tag belongs to by its name; None for any other tag."""
    found = _COMPANION.match(tag)
    return None if found is None else Digest(f"sha256:{found[1]}")


def lists_referrers(caller: Caller, support: ReferrersSupport) -> bool:
    """Whether the registry has the referrers API; asked once, then kept in `support`.

    It is asked for the referrers of a digest that no manifest has. With the API, the answer is an
    empty list, never a 404 (distribution specification 1.1, listing referrers). Raises
    RegistryError, and FormatError for any other answer.
    """
    host = caller.repository.host
    known = support.find(host)
    if known is not None:
        return known
    listing = _ReferrersList(caller, _NOBODY)
    found = listing.ask()
    if isinstance(found, Page):
        listing.read(found)
    elif "NAME_UNKNOWN" in read_refusal(found.status, found.headers, found.body).codes:
        return False  # perhaps only the repository does not exist
    support.note(host, lists=isinstance(found, Page))
    return isinstance(found, Page)


def list_referrers(
    caller: Caller, digest: Digest, support: ReferrersSupport
) -> tuple[Descriptor, ...] | None:
    """The manifests whose subject is `digest`; None where the registry has no referrers API.

    The API answers with an empty list where the manifest does not exist. Raises ReferrersUnknown
    where the registry has the API but does not answer for this digest.
    """
    listing = _ReferrersList(caller, digest)
    found = listing.ask()
    name = caller.repository
    if isinstance(found, Page):
        entries = listing.read(found)
        support.note(name.host, lists=True)
        return entries
    if not lists_referrers(caller, support):
        return None
    raise ReferrersUnknown(
        f"{name.host} lists referrers, but not those of {digest} in {name.path} (HTTP "
        f"{found.status}), so it is not known what refers to it",
        advice="try again, and if it stays so, the registry is broken",
        status=found.status,
    )


def list_by_tag(caller: Caller, digest: Digest) -> tuple[Descriptor, ...]:
    """The manifests that the list of `digest` names, which clients keep under a tag of their own
    where the registry has no referrers API; empty where there is no such list.
    """
    tag = fallback_tag(digest)
    found = find_manifest(caller, tag)
    if found is None or found.digest == digest:
        # GitLab takes the tag for the digest itself (oras-project/oras-go#1396).
        return ()
    where = f"the list of referrers {tag} of {caller.repository}"
    return tuple(_entries(get_manifest(caller, tag).data, where))


class _ReferrersList:
    """The list of referrers of one manifest."""

    def __init__(self, caller: Caller, digest: Digest) -> None:
        name = caller.repository
        self._url = caller.endpoint.url(f"/v2/{name.path}/referrers/{digest}")
        action = Action(name, f"the list of referrers of {digest} in {name.path}")
        call = Call("GET", self._url, action, pull(name.path), frozenset({200}))
        where = f"the list of referrers of {digest} in {name}"
        self._pages = Pager(
            caller, call, where, most_bytes=MAX_MANIFEST, most_in_all=MOST_ENTRY_BYTES
        )

    def ask(self) -> Page | Answer:
        """The first page, or the answer in its place."""
        return self._pages.ask(self._url, _NOT_OFFERED)

    def read(self, first: Page) -> tuple[Descriptor, ...]:
        """The entries of all pages."""
        where = self._pages.where
        entries = iter_entries(self._pages, first, self._entries)
        return tuple(parse_descriptor(entry, where) for entry in entries)

    def _entries(self, page: Page) -> list[Any]:
        return self._pages.list_in(page, "manifests")


def put_referrer(caller: Caller, raw: RawManifest) -> None:
    """Write a manifest that has a subject; list it where the registry does not.

    That list is an index under a tag of the subject's (referrers tag schema). Nothing protects it
    against two writers at once, as the specification says.
    """
    subject = subject_of(raw)
    if put_manifest(caller, raw, raw.digest):
        return
    index = with_referrer(list_by_tag(caller, subject), raw)
    if index is not None:
        put_manifest(caller, index, fallback_tag(subject))


def subject_of(raw: RawManifest) -> Digest:
    """The digest that a referrer refers to. Raises FormatError where it has no subject."""
    document = parse_json_object(raw.data, "the referrer")
    return parse_descriptor(document.get("subject"), "the referrer's subject").digest


def with_referrer(listed: Sequence[Descriptor], raw: RawManifest) -> RawManifest | None:
    """The list of referrers with one more; None where it is listed as it should be."""
    document = parse_json_object(raw.data, "the referrer")
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
    entries = [each.to_json() for each in listed]
    if entry in entries:
        return None
    index = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [*(each for each in entries if each["digest"] != raw.digest), entry],
    }
    return RawManifest(encode_json(index), mediatypes.OCI_INDEX)


def _entries(data: bytes, where: str) -> list[Descriptor]:
    listed = parse_json_object(data, where).get("manifests")
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise FormatError(f"{where} holds no list of manifests")
    return [parse_descriptor(entry, where) for entry in listed]
