"""Deleting tags and manifests, as far as a registry does (distribution specification, deleting)."""

from __future__ import annotations

from enum import Enum

from squashproxy.errors import Denied
from squashproxy.registry.auth.scopes import delete
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.error_responses import Action, read_refusal
from squashproxy.registry.manifests import manifest_url

_DONE = frozenset({200, 202, 204})
_GONE = 404
_NO_TAGS = frozenset({400, 404, 405, 501})
"""What registries that delete by digest alone answer to a tag: distribution 2 says 400, ECR 404."""


class Deletion(Enum):
    """How a deletion ended."""

    DONE = "done"
    GONE = "gone"
    """It was not there."""
    NOT_OFFERED = "not offered"
    """This registry does not delete so."""


def delete_manifest(caller: Caller, selector: str) -> Deletion:
    """Delete a tag alone, or a manifest by its digest, and with it every tag that points to it.

    Raises Denied where a registry refuses to delete by digest, since nothing else is left then, and
    FormatError for what is neither a tag nor a digest.
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
    if answer.status == _GONE:
        return Deletion.GONE
    raise Denied(
        f"{name.host} deletes nothing (HTTP 405)",
        advice=(
            "let its operator allow deletion (in distribution, storage.delete.enabled), then apply "
            "again"
        ),
        status=405,
    )


def _is_gone(answer: Answer) -> bool:
    """Whether the registry says that the tag is not there, and not that it takes no tags here."""
    refusal = read_refusal(answer.status, answer.headers, answer.body)
    return answer.status == _GONE and bool(refusal.codes & {"MANIFEST_UNKNOWN", "TAG_UNKNOWN"})
