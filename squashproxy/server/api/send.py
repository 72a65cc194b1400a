"""Sending the bytes of a blob."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import IO

from aiohttp import web

from squashproxy.errors import SquashproxyError
from squashproxy.server.concurrency.threads import Threads
from squashproxy.server.http.ranges import Part
from squashproxy.server.pull.bodies import Body


async def send_body(
    request: web.BaseRequest, response: web.StreamResponse, body: Body, part: Part, files: Threads
) -> SquashproxyError | None:
    """Send a part of a blob. Returns the error that interrupted it, or None.

    After an error the connection is cut, so that the client notices that bytes are missing.
    """
    if body.path is not None and not request.secure:
        await _send_file(request, response, body.path, part, files)
        return None
    await response.prepare(request)
    try:
        async with aclosing(body.iterate(part)) as pieces:
            async for data in pieces:
                await response.write(data)
    except SquashproxyError as error:
        if request.transport is not None:
            request.transport.abort()
        return error
    await response.write_eof()
    return None


async def _send_file(
    request: web.BaseRequest, response: web.StreamResponse, path: Path, part: Part, files: Threads
) -> None:
    """Let the system send the file (sendfile), without reading it into this process."""
    file: IO[bytes] = await files.open(path.open, "rb")
    try:
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client left")
        if part.length:
            loop = asyncio.get_running_loop()
            sent = await loop.sendfile(transport, file, part.start, part.length)
            if sent < part.length:  # what comes next would be taken for the rest of the blob
                transport.abort()
                raise ConnectionAbortedError("the file was cut while it was sent")
        await response.write_eof()
    finally:
        files.start(file.close)
