"""Harbor's own API (v2.0), as far as it lists dates and deletes tags.

It accepts passwords only. A token of `/v2/` is not valid for it (harbor:
src/server/middleware/security/v2_token.go).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from squashproxy.digest import Digest
from squashproxy.testing.answers import Answer, Code, Headers, Refusal, bytes_answer, json_answer
from squashproxy.testing.body import Request
from squashproxy.testing.names import check_repository
from squashproxy.testing.store import Store
from squashproxy.testing.tokens import Access, Gate

PREFIX = "/api/"
_ROUTE = re.compile(
    r"/api/v2\.0/projects/(?P<project>[^/]+)/repositories/(?P<repo>[^/]+)/artifacts"
    r"(?:/(?P<selector>[^/]+)/tags/(?P<tag>[^/]+))?"
)


class Harbor:
    """Answers requests below `/api/`."""

    def __init__(self, store: Store, gate: Gate) -> None:
        self._store = store
        self._gate = gate
        self._times: dict[Digest, tuple[str, str]] = {}

    def note(self, digest: Digest, pushed: str, pulled: str) -> None:
        """Set when a manifest was pushed and last pulled, in RFC 3339; empty for never pulled."""
        self._times[digest] = (pushed, pulled)

    def answer(self, request: Request) -> Answer:
        """Carry out a request and return the answer. Raises Refusal."""
        if request.path == "/api/v2.0/ping":
            return bytes_answer(200, b"Pong", (("Content-Type", "text/plain"),))
        match = _ROUTE.fullmatch(request.path)
        if match is None:
            raise Refusal(Code.NOT_FOUND)
        repo = f"{match['project']}/{unquote(match['repo'])}"
        check_repository(repo)
        if match["tag"] is None and request.method == "GET":
            self._gate.check_password(request, Access(repo, frozenset({"pull"})))
            return self._artifacts(request, repo)
        if match["tag"] is not None and request.method == "DELETE":
            self._gate.check_password(request, Access(repo, frozenset({"delete"})))
            return self._delete_tag(repo, match["selector"], match["tag"])
        raise Refusal(Code.UNSUPPORTED)

    def _artifacts(self, request: Request, repo: str) -> Answer:
        """A page of the list. Like Harbor, it dates artifacts never pulled to the year 1."""
        number = int(request.parameter("page") or 1)
        size = int(request.parameter("page_size") or 10)
        digests = list(self._store.manifests(repo))
        page = digests[(number - 1) * size : number * size]
        headers: Headers = ()
        if number * size < len(digests):
            link = f'</api/v2.0{_inner(request)}?page={number + 1}&page_size={size}>; rel="next"'
            headers = (("Link", link),)
        return json_answer(200, [self._artifact(digest) for digest in page], headers)

    def _artifact(self, digest: Digest) -> dict[str, str]:
        pushed, pulled = self._times.get(digest, ("2026-01-01T00:00:00.000Z", ""))
        return {
            "digest": digest,
            "push_time": pushed,
            "pull_time": pulled or "0001-01-01T00:00:00.000Z",
        }

    def _delete_tag(self, repo: str, selector: str, tag: str) -> Answer:
        digest, _ = self._store.manifest(repo, selector)
        if self._store.tags(repo).get(tag) != digest:
            raise Refusal(Code.NOT_FOUND, f"tag {tag} is not attached to {selector}")
        self._store.delete_manifest(repo, tag)
        return Answer(200)


def _inner(request: Request) -> str:
    project, _, rest = request.path.removeprefix("/api/v2.0/projects/").partition("/repositories/")
    repository = rest.partition("/")[0].replace("%", "%25")
    return f"/projects/{project}/repositories/{repository}/artifacts"
