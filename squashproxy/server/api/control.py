"""The endpoints outside of `/v2/`: page, health, metrics, warming and webhooks."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from squashproxy.config.serve import Viewers
from squashproxy.errors import BadReference, FormatError, SquashproxyError, UsageError
from squashproxy.oci.manifest import parse_json_object
from squashproxy.reference import Reference, parse_reference
from squashproxy.server.api.webhooks import read_pushes
from squashproxy.server.auth.caller import ANYONE, Caller
from squashproxy.server.auth.gate import Gate, check_read
from squashproxy.server.http import errors
from squashproxy.server.http.errors import ApiError, api_error_of
from squashproxy.server.http.peers import Peers, is_rebound, name_of
from squashproxy.server.http.request_body import read_body
from squashproxy.server.http.request_log import facts_of
from squashproxy.server.page.metrics import CONTENT_TYPE, Metrics
from squashproxy.server.page.page import POLICY, find_asset
from squashproxy.server.page.status import Status
from squashproxy.server.pull.context import PullContext
from squashproxy.server.pull.warming import Warmed, Warming

_MOST_PUSHES = 100
_LOOK_SECONDS = 0.5
"""How often it is looked whether a client is still there."""
T = TypeVar("T")
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
"""The paths of probes, which are answered also above `limits.connections`."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see what: the addresses of clients, the server's own names, and the page."""

    peers: Peers
    hosts: Sequence[str]
    page: bool | None
    metrics: Viewers


@dataclass(frozen=True, slots=True)
class HookSettings:
    """The Authorization that webhooks must send, and the hosts that upstreams call themselves."""

    token: str | None
    upstream_by_host: Mapping[str, str]


class ControlApi:
    """Answers everything outside of `/v2/`. Raises ApiError."""

    def __init__(
        self,
        context: PullContext,
        *,
        gate: Gate,
        metrics: Metrics,
        status: Status,
        warming: Warming,
        hooks: HookSettings,
        access: Access,
        is_draining: Callable[[], bool],
    ) -> None:
        self._context = context
        self._gate = gate
        self._metrics = metrics
        self._status = status
        self._warming = warming
        self._hooks = hooks
        self._access = access
        self._is_draining = is_draining

    async def answer(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """The answer to a request for a path."""
        facts_of(request).kind = "control"
        if path not in HEALTH_PATHS and is_rebound(request, self._access.hosts):
            raise errors.denied(
                f"{name_of(request.host)} is none of this server's names; add it to `serve.hosts`"
            )
        if path in ("/api/v1/warm", "/api/v1/hook"):
            if request.method != "POST":
                raise ApiError(405, "UNSUPPORTED", "this is for POST", {"Allow": "POST"})
            return await (self._warm(request) if path.endswith("warm") else self._hook(request))
        if request.method not in ("GET", "HEAD"):
            raise errors.unsupported("only GET and HEAD are answered here")
        if path == "/healthz":
            return _json({"status": "ok"})
        if path == "/readyz":
            return await self._ready()
        if path == "/metrics":
            await self._admit_metrics(request)
            body = await self._context.async_store.threads.run(self._metrics.render)
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
        if path == "/api/v1/status":
            viewer = await self._admit_viewer(request)
            visible = _Visible(self._gate, viewer)
            return _json(
                await self._context.async_store.threads.run(self._status.document, visible)
            )
        return await self._asset(request, path)

    async def _asset(self, request: web.BaseRequest, path: str) -> web.Response:
        asset = await self._context.async_store.threads.run(find_asset, path)
        if asset is None:
            raise ApiError(404, "UNSUPPORTED", "there is nothing at this address")
        if path == "/":
            await self._admit_viewer(request)
        headers = {
            "Content-Type": asset.media_type,
            "ETag": asset.etag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("If-None-Match") == asset.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, headers=headers)

    async def _ready(self) -> web.Response:
        if self._is_draining():
            return _json({"status": "draining"}, 503)
        try:
            await self._context.async_store.threads.run(self._context.store.check)
        except SquashproxyError as error:
            return _json({"status": "unavailable", "reason": str(error)}, 503)
        return _json({"status": "ready"})

    async def _admit_viewer(self, request: web.BaseRequest) -> Caller:
        """Admit a viewer of the page. If upstream decides who may see an image, only local ones."""
        shown = self._access.page
        if shown is False or (shown is None and self._gate.challenges):
            raise errors.denied("the page is off here; write `serve.page: true` to show it")
        return await self._admit_user(request)

    async def _admit_metrics(self, request: web.BaseRequest) -> None:
        if self._access.metrics is Viewers.NOBODY:
            raise errors.denied("metrics are off here; `serve.metrics` says who may read them")
        if self._access.metrics is Viewers.USERS:
            await self._admit_user(request)

    async def _admit_user(self, request: web.BaseRequest) -> Caller:
        if not self._gate.challenges:
            return await self._admit(request)
        if not self._access.peers.is_on_machine(request):
            raise errors.denied("with `auth: upstream`, this is shown on the machine itself only")
        return ANYONE

    async def _warm(self, request: web.BaseRequest) -> web.Response:
        _check_origin(request)
        caller = await self._admit(request)
        document = await _read_object(request)
        image = self._image(document.get("image"))
        check_read(self._gate, caller, image.repository)
        try:
            if document.get("dry_run"):
                estimate = self._warming.estimate(caller, image)
                return _json(await _while_there(request, estimate))
            warmed = await self._warming.warm(caller, image)
        except UsageError as error:
            raise ApiError(400, "UNSUPPORTED", str(error)) from error
        except SquashproxyError as error:
            raise api_error_of(
                error, errors.MANIFEST_UNKNOWN, challenges=self._gate.challenges
            ) from error
        return _json(warmed.to_json(), 202 if warmed.job else 200)

    async def _hook(self, request: web.BaseRequest) -> web.Response:
        self._check_hook(request)
        try:
            pushes = read_pushes(await read_body(request), self._hooks.upstream_by_host)
        except FormatError as error:
            raise ApiError(400, "UNSUPPORTED", str(error)) from error
        warmed: list[Warmed] = []
        failed: list[str] = []
        for image in pushes[:_MOST_PUSHES]:
            try:
                warmed.append(await self._warming.warm(ANYONE, image))
            except SquashproxyError as error:
                failed.append(f"{image}: {error}")
        document = {"images": [image.to_json() for image in warmed], "failed": failed}
        return _json(document, 202)

    def _check_hook(self, request: web.BaseRequest) -> None:
        token = self._hooks.token
        if token is None:
            if not self._gate.is_open:
                raise errors.denied("webhooks need `serve.hook.token` where access is controlled")
            _check_origin(request)
            return
        given = request.headers.get("Authorization", "")
        for form in (token, f"Bearer {token}"):
            if hmac.compare_digest(given.encode(errors="surrogateescape"), form.encode()):
                return
        raise errors.unauthorized("the webhook's Authorization is not what serve.hook.token says")

    def _image(self, text: object) -> Reference:
        if not isinstance(text, str):
            raise ApiError(400, "UNSUPPORTED", 'send {"image": "HOST/REPO:TAG"}')
        try:
            image = parse_reference(text)
        except BadReference as error:
            raise errors.name_invalid(str(error)) from error
        host = image.repository.host
        if host not in self._context.upstreams.hosts:
            there = ", ".join(sorted(self._context.upstreams.hosts))
            raise errors.name_unknown(f"{host} is no upstream here; there is {there}")
        return image

    async def _admit(self, request: web.BaseRequest) -> Caller:
        peer = self._access.peers.address(request)
        caller = await self._gate.admit(request.headers.get("Authorization"), peer)
        facts_of(request).user = caller.name
        return caller


@dataclass(frozen=True, slots=True)
class _Visible:
    """Decides which images a caller may see on the page."""

    gate: Gate
    caller: Caller

    def __call__(self, image: str) -> bool:
        """Whether the caller may see the image of that name."""
        if self.gate.is_open or self.gate.challenges:
            return True
        try:
            return self.gate.may_read(self.caller, parse_reference(image).repository)
        except BadReference:
            return False


def _check_origin(request: web.BaseRequest) -> None:
    """Raise ApiError, 403, for requests that another site's page makes in a browser."""
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site") == "cross-site" or (
        origin is not None and _netloc_of(origin) != request.host
    ):
        raise errors.denied("pages of other sites may not ask for this")


def _netloc_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


async def _read_object(request: web.BaseRequest) -> dict[str, object]:
    try:
        return parse_json_object(await read_body(request), "the request")
    except FormatError as error:
        raise ApiError(400, "UNSUPPORTED", 'send {"image": "HOST/REPO:TAG"} as JSON') from error


async def _while_there(request: web.BaseRequest, work: Coroutine[Any, Any, T]) -> T:
    """The result of work that is cancelled when the client leaves, which aiohttp does not tell."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=_LOOK_SECONDS)
            if request.transport is None:
                raise ConnectionResetError("the client left")
        return task.result()
    finally:
        task.cancel()


def _json(document: object, status: int = 200) -> web.Response:
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return web.Response(status=status, body=body, headers=headers)
