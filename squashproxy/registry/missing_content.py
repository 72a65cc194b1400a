"""Manifests that a registry refuses since it does not hold all that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from squashproxy.digest import Digest, is_digest
from squashproxy.errors import ContentMissing, FormatError, RegistryError
from squashproxy.oci.manifest import RawManifest, parse_json_object
from squashproxy.registry.auth.scopes import pull
from squashproxy.registry.blobs import find_blob
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.error_responses import Action, read_refusal

REFUSED = frozenset({400, 404, 409, 412, 422})
"""The status codes of such refusals: distribution answers 400, others 404."""

_MISSING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_MOST_NAMED = 3
_DIGEST = re.compile(rb"[a-z0-9+._-]{1,32}:[0-9a-f]{32,128}")
_LISTS = {"layers": "layer", "manifests": "manifest", "blobs": "blob"}


def missing_content(
    caller: Caller, raw: RawManifest, selector: str, answer: Answer
) -> ContentMissing | None:
    """The error for a manifest that was refused, if content that it names is missing.

    The registry's answer may name what is missing; otherwise it is asked for each blob and child.
    None if the refusal has another reason.
    """
    refusal = read_refusal(answer.status, answer.headers, answer.body)
    says_so = bool(refusal.codes & _MISSING)
    unexplained = answer.status == 404 and not refusal.codes
    if not says_so and not unexplained:
        return None
    named = dict(_iter_named(raw))
    told = {Digest(match.decode()) for match in _DIGEST.findall(answer.body)}
    missing = {digest: named[digest] for digest in named if digest in told}
    if not missing:
        missing = {digest: what for digest, what in named.items() if _lacks(caller, digest, what)}
    if not missing and not says_so:
        return None
    name = caller.repository
    said = f": {refusal.text}" if refusal.text and not missing else ""
    return ContentMissing(
        f"{name.host} refused {selector} of {name.path}, since it does not hold "
        f"{_shown(missing) or 'all that the manifest names'}{said} (HTTP {answer.status})",
        advice="push it again, and if it stays so, the registry loses what it is sent",
        status=answer.status,
        digests=frozenset(missing),
    )


def _iter_named(raw: RawManifest) -> Iterator[tuple[Digest, str]]:
    """The digests that a manifest or index names, each with its place for messages."""
    try:
        document = parse_json_object(raw.data, "the manifest")
    except FormatError:
        return
    if (digest := _digest_in(document.get("config"))) is not None:
        yield digest, "the config"
    for key, noun in _LISTS.items():
        entries = document.get(key)
        if not isinstance(entries, list):
            continue
        for number, entry in enumerate(entries, 1):
            if (digest := _digest_in(entry)) is not None:
                yield digest, f"{noun} {number} of {len(entries)}"


def _digest_in(entry: Any) -> Digest | None:
    text = entry.get("digest") if isinstance(entry, dict) else None
    return Digest(text) if isinstance(text, str) and is_digest(text) else None


def _lacks(caller: Caller, digest: Digest, what: str) -> bool:
    """Whether the repository does not hold something; False if it does not tell."""
    try:
        if not what.startswith("manifest "):
            return find_blob(caller, digest) is None
        name = caller.repository
        url = caller.endpoint.url(f"/v2/{name.path}/manifests/{digest}")
        action = Action(name, f"the pull of {digest} from {name.path}")
        expected = frozenset({200, 404})
        headers = {"Accept": "*/*"}
        return (
            caller.ask(Call("HEAD", url, action, pull(name.path), expected, headers)).status == 404
        )
    except RegistryError:
        return False


def _shown(missing: dict[Digest, str]) -> str:
    shown = [f"{what} ({digest})" for digest, what in missing.items()]
    more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return ", ".join(shown[:_MOST_NAMED]) + more
