"""Deleting tags and manifests (distribution specification, deleting)."""

from __future__ import annotations

from enum import Enum

from squashproxy.errors import Denied
from squashproxy.registry.auth.scopes import delete
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.error_responses import Action, read_refusal
from squashproxy.registry.manifests import find_manifest, manifest_url

_DONE = frozenset({200, 202, 204})
_GONE = 404
_NO_TAGS = frozenset({400, 404, 405, 501})
"""The status codes of registries that delete by digest only: distribution 2 answers 400, ECR 404.
"""


class Deletion(Enum):
    """How a deletion ended."""

    DONE = "done"
    GONE = "gone"
    """It did not exist."""
    NOT_OFFERED = "not offered"
    """This registry has no such deletion."""


def delete_manifest(caller: Caller, selector: str) -> Deletion:
    """Delete only a tag, or by its digest a manifest with every tag that points to it.

    Raises Denied if a registry refuses to delete by digest, since there is no other way then, and
    FormatError for a name that is neither a tag nor a digest.
    """
    name = caller.repository
    url = manifest_url(caller, selector)
    by_tag = ":" not in selector
    action = Action(name, f"the deletion of {selector} from {name.path}", selector, pushes=True)
    expected = _DONE | (_NO_TAGS if by_tag else {_GONE, 405})
    answer = caller.ask(Call("DELETE", url, action, delete(name.path), expected))
    if answer.status in _DONE:
        return Deletion.DONE
    if by_tag:
        return Deletion.GONE if _is_gone(answer) else Deletion.NOT_OFFERED
    gone = answer.status == _GONE
    if gone and find_manifest(caller, selector, trusts_head=True) is None:
        return Deletion.GONE  # ECR answers 404, too, and deletes nothing
    raise Denied(
        f"{name.host} deletes nothing (HTTP {answer.status})",
        advice=(
            "let its operator allow deletion (in distribution, storage.delete.enabled), then apply "
            "again"
        ),
        status=answer.status,
    )


def _is_gone(answer: Answer) -> bool:
    """Whether the answer means that the tag does not exist, not that tags cannot be deleted."""
    refusal = read_refusal(answer.status, answer.headers, answer.body)
    return answer.status == _GONE and bool(refusal.codes & {"MANIFEST_UNKNOWN", "TAG_UNKNOWN"})
