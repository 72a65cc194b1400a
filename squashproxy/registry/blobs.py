"""Blobs of a repository: find them, read them with resumption, mount them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest, Verified
from squashproxy.errors import RegistryError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.registry.auth.scopes import pull
from squashproxy.registry.caller import Call, Caller
from squashproxy.registry.http.connections import Response, iter_body
from squashproxy.registry.http.error_responses import Action

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/(?:[0-9]+|\*)")
_SENT = frozenset({200, 206})
_MOST_COUNTED = 10 << 30
"""The most bytes of a blob that are read only to learn its size."""


def find_blob(caller: Caller, digest: Digest) -> int | None:
    """The size of a blob in bytes; None where the repository does not have it.

    Where HEAD is refused or gives no size, a GET is sent and its body is not read.
    """
    answer = caller.ask(_call("HEAD", caller, digest, frozenset({200, 404, 405, 501})))
    if answer.status == 404:
        return None
    size = parse_decimal(answer.headers.get("Content-Length", ""))
    if answer.status == 200 and size is not None:
        return size
    return caller.retry.call(lambda: _size_by_get(caller, digest), caller.repository.host)


def iter_blob(caller: Caller, blob: Descriptor) -> Iterator[bytes]:
    """A blob's bytes in chunks of 256 KiB. The request is sent when the first chunk is wanted.

    A broken connection is resumed where it broke. Raises IntegrityError, at the end at the latest,
    where size or digest is wrong.
    """
    what = f"the blob {blob.digest} of {caller.repository}"
    return iter(Verified(_iter_resumed(caller, blob, what), blob.digest, blob.size, what))


def _iter_resumed(caller: Caller, blob: Descriptor, what: str) -> Iterator[bytes]:
    position = 0
    failures = 0
    while True:
        try:
            pieces = _iter_from(caller, blob, position, what)
            with closing(cast("Any", pieces)):
                for piece in pieces:
                    position += len(piece)
                    failures = 0
                    yield piece
        except RegistryError as error:
            if position >= blob.size > 0:
                return
            failures += 1
            caller.retry.wait(error, failures, caller.repository.host)
            continue
        return


def _iter_from(caller: Caller, blob: Descriptor, start: int, what: str) -> Iterator[bytes]:
    """The bytes from `start`. A server that ignores Range sends everything, and the known part is
    skipped.
    """
    headers = {"Range": f"bytes={start}-"} if start else {}
    response = caller.open(_call("GET", caller, blob.digest, _SENT, headers))
    skip = start
    if response.status == 206:
        skip -= _first_byte(response, start, caller.endpoint.name, what)
    for piece in iter_body(response, caller.endpoint.name, what):
        if skip >= len(piece):
            skip -= len(piece)
            continue
        yield piece[skip:] if skip else piece
        skip = 0


def _first_byte(response: Response, start: int, host: str, what: str) -> int:
    """Where a partial answer begins, which must not be after the requested byte."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    first = None if match is None else parse_decimal(match[1])
    if first is None or first > start:
        response.close()
        raise RegistryError(
            f"{host} sent another part of {what} than was asked for",
            advice="try again, and if it stays so, the registry is broken",
        )
    return first


def _size_by_get(caller: Caller, digest: Digest) -> int | None:
    with closing(caller.open(_call("GET", caller, digest, frozenset({200, 404})))) as response:
        if response.status == 404:
            return None
        size = parse_decimal(response.headers.get("Content-Length", ""))
        if size is not None:
            return size
        return _counted(response, caller.endpoint.name, f"the blob {digest} of {caller.repository}")


def _counted(response: Response, host: str, what: str) -> int:
    """The size of a body without a stated length. An endless body is not read to its end."""
    size = 0
    for piece in iter_body(response, host, what):
        size += len(piece)
        if size > _MOST_COUNTED:
            raise RegistryError(
                f"{host} does not say how large {what} is, and sent more than {_MOST_COUNTED} "
                "bytes",
                advice="see what it, or a proxy before it, answers",
            )
    return size


def _call(
    method: str,
    caller: Caller,
    digest: Digest,
    expected: frozenset[int],
    headers: Mapping[str, str] | None = None,
) -> Call:
    name = caller.repository
    return Call(
        method,
        caller.endpoint.url(f"/v2/{name.path}/blobs/{digest}"),
        Action(name, f"the pull of a blob from {name.path}", f"blob {digest}"),
        pull(name.path),
        expected,
        headers or {},
    )
