"""The start of upload sessions, which only the answer to a POST tells of, and mounts of blobs."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from squashproxy.digest import Digest
from squashproxy.errors import RegistryError
from squashproxy.reference import Repository
from squashproxy.registry.auth.scopes import Scopes, pull, push
from squashproxy.registry.caller import Answer, Call, Caller
from squashproxy.registry.http.error_responses import Action
from squashproxy.registry.http.web_pages import is_page, page_error
from squashproxy.registry.upload.landing import land
from squashproxy.registry.upload.session import UploadSession

_BEGUN = frozenset({202})
_MOUNTED = 201
_ACCEPTED = frozenset(range(200, 300))
_SESSION = re.compile(r"/blobs/uploads?/[^/?#]+(?:[?#]|$)")
"""The end of a session's address; GHCR writes `upload`. No blob and no manifest has it."""


def begin_upload(caller: Caller, keep: Callable[[UploadSession], None]) -> UploadSession:
    """Begin a session by a POST, and `keep` it before an interrupt can come between.

    Raises RegistryError.
    """
    name = caller.repository
    action = Action(name, f"the push to {name.path}", pushes=True)
    call = _post(caller, action, "", push(name.path))

    def begin() -> UploadSession:
        session = UploadSession(caller, action, _open(caller, action, call, _BEGUN))
        keep(session)
        return session

    return land(begin)


def try_mount(caller: Caller, digest: Digest, source: Repository) -> bool:
    """Make a blob of another repository of the same registry appear in this one.

    Returns False if the registry declines: it opens an upload session instead, which is cancelled,
    or answers with a permanent error. Raises RegistryError for a temporary one.
    """
    name = caller.repository
    if source.host != name.host:
        return False
    action = Action(name, f"the mount from {source.path} to {name.path}", pushes=True)
    scopes = push(name.path) | pull(source.path)
    query = f"?mount={quote(digest, safe='')}&from={quote(source.path, safe='')}"
    call = _post(caller, action, query, scopes)
    try:
        return land(lambda: _mount(caller, action, call))
    except RegistryError as error:
        if error.temporary:
            raise
        return False


def _mount(caller: Caller, action: Action, call: Call) -> bool:
    answer = _open(caller, action, call, _BEGUN | {_MOUNTED})
    if answer.status == _MOUNTED and not _began(caller, answer):
        return True
    UploadSession(caller, action, answer).cancel()
    return False


def _open(caller: Caller, action: Action, call: Call, expected: frozenset[int]) -> Answer:
    """Make a call that may begin a session.

    After an answer that is not `expected`, that session is cancelled. Only the answer tells where
    it is.
    """
    answer = caller.ask(call)
    page = is_page(answer.headers, answer.body)
    if answer.status in expected and not page:
        return answer
    if _began(caller, answer):
        with suppress(RegistryError):
            UploadSession(caller, action, answer).cancel()
    if page:
        raise page_error(caller.endpoint.name, action.text, answer.body)
    raise caller.refused(answer, call)


def _began(caller: Caller, answer: Answer) -> bool:
    """Whether an answer began a session: its status says so, or its Location cannot be another's.

    With another status, or a web page, the Location may be that of a blob or of a login.
    """
    if answer.status in _BEGUN and not is_page(answer.headers, answer.body):
        return True
    location = answer.headers.get("Location")
    if not location:
        return False
    try:
        return _SESSION.search(caller.endpoint.resolve(answer.url, location)) is not None
    except RegistryError:
        return False


def _post(caller: Caller, action: Action, query: str, scopes: Scopes) -> Call:
    """A POST whose accepting answers, however odd, are looked at for a session."""
    url = caller.endpoint.url(f"/v2/{caller.repository.path}/blobs/uploads/{query}")
    return Call("POST", url, action, scopes, _ACCEPTED, takes_pages=True, head_suffices=True)
