"""The handlers of a fake registry: finds the one for a path, after checking access."""

from __future__ import annotations

import re
from collections.abc import Callable

from squashproxy.testing.answers import Answer, Code, Refusal, bytes_answer, json_answer
from squashproxy.testing.body import Request
from squashproxy.testing.harbor import PREFIX, Harbor
from squashproxy.testing.names import check_repository
from squashproxy.testing.options import Bearer, RegistryOptions
from squashproxy.testing.pull import LOGIN, STORAGE, Pull
from squashproxy.testing.push import Push
from squashproxy.testing.tokens import Access, Gate

_Handler = Callable[[Request, str, str], Answer]
"""Called with the request, the repository, and the last part of the path."""

_ROUTE = re.compile(
    r"/v2/(?P<repo>.+)/(?:"
    r"(?P<begin>blobs/uploads/?)|blobs/uploads/(?P<upload>[^/]+)|blobs/(?P<blob>[^/]+)|"
    r"manifests/(?P<manifest>[^/]+)|(?P<tags>tags/list)|referrers/(?P<referrers>[^/]+))"
)
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
_ACTIONS = {
    "GET": frozenset({"pull"}),
    "HEAD": frozenset({"pull"}),
    "POST": frozenset({"pull", "push"}),
    "PATCH": frozenset({"pull", "push"}),
    "PUT": frozenset({"pull", "push"}),
    "DELETE": frozenset({"delete"}),
}
"""The access that distribution asks for. Cancelling an upload is a DELETE like any other."""


class Handlers:
    """The whole API of one registry."""

    def __init__(
        self,
        options: RegistryOptions,
        gate: Gate,
        pull: Pull,
        push: Push,
        harbor: Harbor | None,
    ) -> None:
        self._options = options
        self.empty_type = options.empty_type
        self._harbor = harbor
        self._gate = gate
        self._pull = pull
        self._routes: dict[tuple[str, str], _Handler] = {
            ("GET", "manifest"): pull.manifest,
            ("GET", "blob"): pull.blob,
            ("GET", "tags"): pull.tags,
            ("GET", "referrers"): pull.referrers,
            ("PUT", "manifest"): push.put_manifest,
            ("DELETE", "manifest"): push.delete_manifest,
            ("DELETE", "blob"): push.delete_blob,
            ("POST", "begin"): push.begin,
            ("GET", "upload"): push.status,
            ("PATCH", "upload"): push.feed,
            ("PUT", "upload"): push.finish,
            ("DELETE", "upload"): push.cancel,
        }

    def answer(self, request: Request) -> Answer:
        """Carry out a request and return the answer; a Refusal becomes an answer, too."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer

    def _answer(self, request: Request) -> Answer:
        if request.path in ("/token", "/token/"):
            return self._gate.answer_token(request)
        if request.path == LOGIN:
            return bytes_answer(200, _PAGE, (("Content-Type", "text/html"),))
        if request.path.startswith(STORAGE) and self._options.redirects_blobs:
            return self._pull.stored(request)
        if self._harbor is not None and request.path.startswith(PREFIX):
            return self._harbor.answer(request)
        if request.method not in _ACTIONS:
            raise Refusal(Code.UNSUPPORTED)
        if request.path in ("/v2", "/v2/", "/v2/_catalog"):
            self._gate.check(request, ())
            return self._top(request)
        match = _ROUTE.fullmatch(request.path)
        if match is None:
            raise Refusal(Code.NOT_FOUND)
        repo = match["repo"]
        check_repository(repo)
        self._check_access(request, repo)
        if self._options.read_only and request.method not in ("GET", "HEAD"):
            raise Refusal(Code.UNSUPPORTED, "this registry is read-only")
        noun = match.lastgroup
        assert noun is not None, "one alternative of the route matched"
        return self._dispatch(request, repo, noun, match[noun])

    def _check_access(self, request: Request, repo: str) -> None:
        try:
            self._gate.check(request, self._needs(request, repo))
        except Refusal as refusal:
            hidden = self._options.hides and "authorization" not in request.headers
            if hidden and refusal.answer.status == 401:
                raise Refusal(Code.NOT_FOUND) from refusal
            raise

    def _needs(self, request: Request, repo: str) -> list[Access]:
        actions = _ACTIONS[request.method]
        auth = self._options.auth
        if request.method == "DELETE" and isinstance(auth, Bearer):
            actions = auth.delete_actions
        needs = [Access(repo, actions)]
        source = request.parameter("from")
        if request.parameter("mount") and source:
            needs.append(Access(source, frozenset({"pull"})))
        return needs

    def _top(self, request: Request) -> Answer:
        if request.method not in ("GET", "HEAD"):
            raise Refusal(Code.UNSUPPORTED)
        if request.path == "/v2/_catalog":
            return self._pull.catalog(request)
        return json_answer(200, {})

    def _dispatch(self, request: Request, repo: str, noun: str, name: str) -> Answer:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._routes.get((method, noun))
        if handler is None:
            raise Refusal(Code.UNSUPPORTED)
        return handler(request, repo, name)
