"""Answers with blobs in them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import IO

from aiohttp import web

from squashproxy.errors import SquashproxyError
from squashproxy.server.bodies import Body
from squashproxy.server.ranges import Part
from squashproxy.server.workers import Workers

_PIECE = 256 << 10


async def send_body(
    request: web.BaseRequest, response: web.StreamResponse, body: Body, part: Part, files: Workers
) -> SquashproxyError | None:
    """Send a part of a blob; the error that broke it off.

    Then the connection is cut, so that what was sent is not taken for the whole.
    """
    if body.path is not None:
        await _send_file(request, response, body.path, part, files)
        return None
    await response.prepare(request)
    try:
        async for data in body.iterate(part):
            await response.write(data)
    except SquashproxyError as error:
        if request.transport is not None:
            request.transport.abort()
        return error
    await response.write_eof()
    return None


async def _send_file(
    request: web.BaseRequest, response: web.StreamResponse, path: Path, part: Part, files: Workers
) -> None:
    """Let the system send it: no byte passes through this process, unless TLS wants to see it."""
    file: IO[bytes] = await files.run(path.open, "rb")
    try:
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client left")
        if transport.get_extra_info("sslcontext") is not None:
            await _write_file(response, file.fileno(), part, files)
        elif part.length:
            loop = asyncio.get_running_loop()
            await loop.sendfile(transport, file, part.start, part.length)
        await response.write_eof()
    finally:
        await files.run(file.close)


async def _write_file(
    response: web.StreamResponse, descriptor: int, part: Part, files: Workers
) -> None:
    position, end = part.start, part.start + part.length
    while position < end:
        data = await files.run(os.pread, descriptor, min(_PIECE, end - position), position)
        if not data:
            raise ConnectionAbortedError("the file was cut while it was sent")
        position += len(data)
        await response.write(data)
