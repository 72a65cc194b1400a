"""The body of a request: bounded in size and time, and unpacked if it came packed."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from squashproxy.server.http.errors import ApiError

_MOST = 1 << 20
_SECONDS = 10.0
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The codings of RFC 9110, section 8.4.1, with zlib's name for each."""


async def read_body(request: web.BaseRequest) -> bytes:
    """The body, at most 1 MiB.

    Raises ApiError: 408 for one that comes too slowly, 413 for one that is too large, also when it
    is unpacked, 415 for another coding, and 400 for one that is damaged or cut short.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > _MOST:
                    raise _too_large()
                pieces.append(piece)
    except TimeoutError as error:
        raise ApiError(
            408, "UNSUPPORTED", f"the body did not come within {_SECONDS:g} s"
        ) from error
    except web.RequestPayloadError as error:
        raise ApiError(400, "UNSUPPORTED", "the body cannot be read") from error
    return _unpacked(b"".join(pieces), request.headers.get("Content-Encoding", ""))


def _unpacked(body: bytes, coding: str) -> bytes:
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOWS:
        raise ApiError(415, "UNSUPPORTED", "send the body as it is, or as gzip")
    inflater = zlib.decompressobj(_WINDOWS[name])
    try:
        found = inflater.decompress(body, _MOST + 1)
    except zlib.error as error:
        raise ApiError(400, "UNSUPPORTED", f"the body is no {name}") from error
    if len(found) > _MOST:
        raise _too_large()
    if not inflater.eof:
        raise ApiError(400, "UNSUPPORTED", f"the body is {name} that is cut short")
    return found


def _too_large() -> ApiError:
    return ApiError(413, "SIZE_INVALID", f"a body may have {_MOST} bytes")
