"""Routing: passes each request to its endpoint, and answers errors."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from squashproxy.errors import SquashproxyError
from squashproxy.server.api.control import ControlApi
from squashproxy.server.api.pull import PullApi
from squashproxy.server.http import errors
from squashproxy.server.http.errors import ApiError, api_error_of
from squashproxy.server.http.request_log import facts_of
from squashproxy.server.http.routes import parse_path
from squashproxy.server.http.server import error_response
from squashproxy.server.page.metrics import Metrics

_LOG = logging.getLogger("squashproxy.server")


class Dispatch:
    """Answers every request, also if a bug raises an unexpected error."""

    def __init__(self, pull: PullApi, control: ControlApi, metrics: Metrics) -> None:
        self._pull = pull
        self._control = control
        self._metrics = metrics

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer."""
        facts = facts_of(request)
        began = asyncio.get_running_loop().time()
        response: web.StreamResponse
        try:
            response = await self._answer(request)
        except ApiError as error:
            facts.error = str(error)
            response = error_response(error)
        except web.RequestPayloadError as error:
            facts.error = str(error)
            response = error_response(ApiError(400, "UNSUPPORTED", "the body cannot be decoded"))
            response.force_close()
            request.content.feed_eof()  # or the rest would be read, and fail again
        except (ConnectionError, asyncio.CancelledError):
            self._metrics.count_request(facts.kind, "left", 0.0)
            raise
        except SquashproxyError as error:
            facts.error = str(error)
            response = error_response(api_error_of(error, errors.NAME_UNKNOWN, challenges=False))
        except Exception as error:  # the edge: a bug must not end the connection without an answer
            if request.writer.output_size:
                raise
            facts.error = f"{type(error).__name__}: {error}"
            _LOG.exception("%s %s could not be answered", request.method, request.raw_path)
            response = error_response(ApiError(500, "UNKNOWN", "a bug in the server; see its log"))
        seconds = asyncio.get_running_loop().time() - began
        outcome = facts.outcome or str(response.status)
        self._metrics.count_request(facts.kind, outcome, seconds)
        facts.body = _body_size(request, response)
        self._metrics.count_out(facts.body)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        route = parse_path(path)
        if route is not None:
            return await self._pull.answer(request, route)
        if path.startswith("/v2/"):
            raise errors.unsupported("the API has no such address", 404)
        return await self._control.answer(request, path)


def _body_size(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """The length of the body in bytes, as announced."""
    if request.method == "HEAD":
        return 0
    return max(response.content_length or 0, 0)
