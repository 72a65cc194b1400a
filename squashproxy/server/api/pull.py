"""The endpoints below `/v2/` of a listener (OCI distribution specification 1.1)."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from squashproxy.digest import Digest, parse_digest
from squashproxy.errors import BadReference, FormatError, SquashproxyError
from squashproxy.oci.mediatypes import OCI_INDEX
from squashproxy.reference import Repository, check_tag
from squashproxy.registry.referrers import is_companion
from squashproxy.server.api.referrer_list import referrer_page
from squashproxy.server.api.send import send_body
from squashproxy.server.api.tag_list import page_of
from squashproxy.server.auth.caller import Caller
from squashproxy.server.auth.gate import Gate, check_read
from squashproxy.server.http import errors
from squashproxy.server.http.errors import ApiError, api_error_of
from squashproxy.server.http.peers import Peers
from squashproxy.server.http.ranges import find_part
from squashproxy.server.http.request_log import Facts, facts_of
from squashproxy.server.http.routes import Kind, Route, UpstreamNames
from squashproxy.server.page.history import History
from squashproxy.server.pull.admission import Admission
from squashproxy.server.pull.blobs import Blobs, FoundBlob
from squashproxy.server.pull.context import PullContext
from squashproxy.server.pull.manifests import ManifestRequest, Manifests
from squashproxy.server.pull.outcome import FoundManifest
from squashproxy.server.pull.referrers import Referrers

_SOURCE = "X-Squashproxy-Source"
_MADE_FROM = "X-Squashproxy-Source-Digest"
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
_JSON = {"Content-Type": "application/json"}
_UNKNOWN = {Kind.MANIFEST: errors.MANIFEST_UNKNOWN, Kind.BLOB: errors.BLOB_UNKNOWN}


class PullApi:
    """Answers requests for parsed paths. Raises ApiError."""

    def __init__(
        self,
        context: PullContext,
        *,
        manifests: Manifests,
        blobs: Blobs,
        referrers: Referrers,
        gate: Gate,
        names: UpstreamNames,
        history: History,
        peers: Peers,
    ) -> None:
        self._context = context
        self._admission = Admission(context)
        self._manifests = manifests
        self._blobs = blobs
        self._referrers = referrers
        self._gate = gate
        self._names = names
        self._history = history
        self._peers = peers

    async def answer(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        """The answer to a request for a route."""
        facts = facts_of(request)
        facts.kind = route.kind.value
        if request.method not in ("GET", "HEAD") or route.kind is Kind.UPLOAD:
            raise errors.unsupported(
                "nothing is pushed here: push to the upstream itself, and pull it through this"
            )
        peer = self._peers.address(request)
        caller = await self._gate.admit(request.headers.get("Authorization"), peer)
        facts.user = caller.name
        if route.kind is Kind.BASE:
            self._gate.check_login(caller)
            return web.Response(body=b"{}", headers={**_VERSION, **_JSON})
        repository = self._names.find(route.name, _namespace(request))
        check_read(self._gate, caller, repository)
        try:
            return await self._answer(request, route, caller, repository, facts)
        except SquashproxyError as error:
            unknown = _UNKNOWN.get(route.kind, errors.NAME_UNKNOWN)
            raise api_error_of(error, unknown, challenges=self._gate.challenges) from error

    async def _answer(
        self,
        request: web.BaseRequest,
        route: Route,
        caller: Caller,
        repository: Repository,
        facts: Facts,
    ) -> web.StreamResponse:
        if route.kind is Kind.MANIFEST:
            return await self._manifest(request, route.selector, caller, repository, facts)
        if route.kind is Kind.BLOB:
            return await self._blob(request, _digest(route.selector), caller, repository, facts)
        if route.kind is Kind.TAGS:
            return await self._tags(request, route.name, caller, repository)
        return await self._list_referrers(request, route, caller, repository)

    async def _manifest(
        self,
        request: web.BaseRequest,
        selector: str,
        caller: Caller,
        repository: Repository,
        facts: Facts,
    ) -> web.Response:
        accept = _accept(request)
        wanted = ManifestRequest(caller, repository, accept, head=request.method == "HEAD")
        if ":" in selector:
            digest = _digest(selector)
            await self._admission.check_manifest(caller, repository, digest)
            found = await self._manifests.by_digest(wanted, digest)
        else:
            _check_tag(selector)
            if is_companion(selector):  # the store may have it, whom upstream does not ask
                await self._admission.check(caller, repository)
            known = self._manifests.find_now(wanted, selector)
            found = known or await self._manifests.by_tag(wanted, selector)
        facts.outcome = found.origin.value
        self._note_use(found)
        return _manifest_response(found, _common(request))

    def _note_use(self, found: FoundManifest) -> None:
        self._context.uses[found.descriptor.digest] = self._context.clock()
        if found.made_from is not None and found.raw is not None:
            self._history.count_pull(found.made_from)

    async def _blob(
        self,
        request: web.BaseRequest,
        digest: Digest,
        caller: Caller,
        repository: Repository,
        facts: Facts,
    ) -> web.StreamResponse:
        await self._admission.check_blob(caller, repository, digest)
        read = self._manifests.read
        await self._context.allowed.check_blob(caller, repository, digest, read)
        store = self._context.store
        self._context.uses[digest] = self._context.clock()
        store.hold(digest)
        try:
            head = request.method == "HEAD"
            found = await self._blobs.find(caller, repository, digest, head=head)
            facts.outcome = found.origin.value
            return await self._send(request, digest, found, facts)
        finally:
            store.release(digest)

    async def _send(
        self, request: web.BaseRequest, digest: Digest, found: FoundBlob, facts: Facts
    ) -> web.StreamResponse:
        headers = {
            **_common(request),
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "ETag": f'"{digest}"',
            "Accept-Ranges": "bytes",
            _SOURCE: found.origin.value,
        }
        if request.method == "HEAD" or found.body is None:
            headers["Content-Length"] = str(found.size)
            return web.Response(headers=headers)
        part = find_part(_range(request, digest), found.size)
        if part is None:
            raise ApiError(
                416,
                "RANGE_INVALID",
                f"the blob has {found.size} bytes, and none of those that were asked for",
                {"Content-Range": f"bytes */{found.size}"},
            )
        headers["Content-Length"] = str(part.length)
        if part.is_partial:
            last = part.start + part.length - 1
            headers["Content-Range"] = f"bytes {part.start}-{last}/{found.size}"
        response = web.StreamResponse(status=206 if part.is_partial else 200, headers=headers)
        error = await send_body(
            request, response, found.body, part, self._context.async_store.threads
        )
        if error is not None:
            facts.error = str(error)
        return response

    async def _list_referrers(
        self, request: web.BaseRequest, route: Route, caller: Caller, repository: Repository
    ) -> web.Response:
        digest = _digest(route.selector)
        await self._admission.check(caller, repository)
        found = await self._referrers.find(caller, repository, digest)
        kind = request.query.get("artifactType") or None
        page = referrer_page(route.name, digest, found, kind, request.query.get("last"))
        headers = {**_common(request), "Content-Type": OCI_INDEX}
        if kind is not None:
            headers["OCI-Filters-Applied"] = "artifactType"
        if page.next_path is not None:
            headers["Link"] = _next_link(request, page.next_path)
        return web.Response(body=page.body, headers=headers)

    async def _tags(
        self, request: web.BaseRequest, name: str, caller: Caller, repository: Repository
    ) -> web.Response:
        context = self._context
        tags = await context.upstream_threads.of(repository.host).run(
            context.upstreams.list_tags, caller, repository
        )
        context.grants.grant(caller, repository)
        page = page_of(name, tags, request.query.get("n"), request.query.get("last"))
        headers = {**_common(request), **_JSON}
        if page.next_path is not None:
            headers["Link"] = _next_link(request, page.next_path)
        return web.Response(body=page.body, headers=headers)


def _namespace(request: web.BaseRequest) -> str | None:
    """The upstream that a client names to a mirror."""
    return request.query.get("ns") if "?" in request.raw_path else None


def _next_link(request: web.BaseRequest, path: str) -> str:
    """The Link header for the next page of a list."""
    namespace = _namespace(request)
    more = f"&ns={namespace}" if namespace is not None else ""
    return f'<{path}{more}>; rel="next"'


def _common(request: web.BaseRequest) -> dict[str, str]:
    """The headers of every answer about a repository."""
    namespace = _namespace(request)
    return dict(_VERSION) if namespace is None else {**_VERSION, "OCI-Namespace": namespace}


def _manifest_response(found: FoundManifest, common: Mapping[str, str]) -> web.Response:
    descriptor = found.descriptor
    headers = {
        **common,
        "Content-Type": descriptor.media_type,
        "Docker-Content-Digest": descriptor.digest,
        "ETag": f'"{descriptor.digest}"',
        "Vary": "Accept",
        _SOURCE: found.origin.value,
    }
    if found.made_from is not None:
        headers[_MADE_FROM] = found.made_from
    if found.raw is None:
        headers["Content-Length"] = str(descriptor.size)
        return web.Response(headers=headers)
    return web.Response(body=found.raw.data, headers=headers)


def _accept(request: web.BaseRequest) -> str | None:
    lines = request.headers.getall("Accept", [])
    return ",".join(lines) if lines else None


def _range(request: web.BaseRequest, digest: Digest) -> str | None:
    """The Range header, unless If-Range makes it apply to another blob only."""
    condition = request.headers.get("If-Range")
    if condition is not None and condition != f'"{digest}"':
        return None
    return request.headers.get("Range")


def _digest(text: str) -> Digest:
    try:
        return parse_digest(text)
    except FormatError as error:
        raise errors.digest_invalid(str(error)) from error


def _check_tag(tag: str) -> None:
    try:
        check_tag(tag)
    except BadReference as error:
        raise ApiError(404, errors.MANIFEST_UNKNOWN, str(error)) from error
