"""Blobs of a repository: find them, read them with resumption, mount them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any, cast

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest, Hasher, Verified
from squashproxy.errors import IntegrityError, RegistryError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.registry.auth.scopes import pull
from squashproxy.registry.caller import Call, Caller
from squashproxy.registry.http.connections import Response, has_no_end, iter_body, read_body
from squashproxy.registry.http.content_coding import codings_of, iter_decoded
from squashproxy.registry.http.error_responses import MAX_ERROR_BODY, Action
from squashproxy.registry.http.network_errors import cut_error
from squashproxy.registry.http.web_pages import is_page_type, page_error

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/(?:[0-9]+|\*)")
_TOTAL = re.compile(r"bytes (?:[0-9]+-[0-9]+|\*)/([0-9]+)")
_SENT = frozenset({200, 206})
_FOUND = frozenset({200, 404})
_NO_HEAD = frozenset({405, 501})

_COMPRESSED = ("gzip", "zstd")
"""The ends of media types of compressed layers."""

_MAGIC = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""The beginnings of gzip and zstd."""

_HELD = 1 << 20
"""The size in bytes up to which a blob is handed on only after its digest was checked."""

_MOST_BARREN = 1
"""How often an answer may end without a byte of what is still missing."""

_MOST_COUNTED = 10 << 30
"""The most bytes of a blob that are read only to learn its size."""


def find_blob(caller: Caller, digest: Digest) -> int | None:
    """The size of a blob in bytes; None where the repository does not have it.

    A GET of one byte is sent where HEAD is refused, gives no size or that of an encoded body, or
    leads to an address that takes no HEAD (its signature may be for GET only).
    """
    answer = caller.ask_head(_call("HEAD", caller, digest, _FOUND | _NO_HEAD))
    if answer.status == 404:
        return None
    size = parse_decimal(answer.headers.get("Content-Length", ""))
    is_plain = not is_page_type(answer.headers) and not codings_of(answer.headers)
    if answer.status == 200 and size is not None and is_plain:
        return size
    return caller.retry.call(lambda: _size_by_get(caller, digest), caller.repository.host)


def iter_blob(caller: Caller, blob: Descriptor) -> Iterator[bytes]:
    """A blob's bytes in chunks of 256 KiB. The request is sent when the first chunk is wanted.

    A broken connection is resumed where it broke. A small blob whose size or digest is wrong is
    read once more before any of it is handed on, so that its reader notices nothing. Raises
    IntegrityError, at the end at the latest, where size or digest is wrong.
    """
    return _iter_held(caller, blob) if blob.size <= _HELD else _iter_verified(caller, blob)


def _iter_held(caller: Caller, blob: Descriptor) -> Iterator[bytes]:
    try:
        chunks = list(_iter_verified(caller, blob))
    except IntegrityError as error:
        try:
            chunks = list(_iter_verified(caller, blob))
        except RegistryError as refused:
            if refused.temporary:
                raise
            raise error from refused
    yield from chunks


def _iter_verified(caller: Caller, blob: Descriptor) -> Iterator[bytes]:
    reading = _Reading(caller, blob)
    return iter(Verified(_iter_resumed(reading), blob.digest, blob.size, reading.what))


def _iter_resumed(reading: _Reading) -> Iterator[bytes]:
    caller, blob = reading.caller, reading.blob
    attempts = caller.retry.begin(caller.repository.host)
    while True:
        try:
            with closing(cast("Any", reading.iter_rest())) as pieces:
                for piece in pieces:
                    attempts.progress()
                    yield piece
        except RegistryError as error:
            if reading.position >= blob.size > 0:
                return
            attempts.wait(error)
            continue
        return


class _Reading:
    """A blob that is being read, by several requests where connections break.

    `position` is the number of bytes that were read.
    """

    def __init__(self, caller: Caller, blob: Descriptor) -> None:
        self.caller = caller
        self.blob = blob
        self.what = f"the blob {blob.digest} of {caller.repository}"
        self.position = 0
        self._encoded = False
        self._barren = 0

    def iter_rest(self) -> Iterator[bytes]:
        """Request the bytes from `position` on.

        A server that ignores Range sends everything, and the known part is skipped. Raises
        RegistryError.
        """
        start = self.position
        ranged = start > 0 and not self._encoded  # a part of something packed cannot be unpacked
        headers = {"Range": f"bytes={start}-"} if ranged else {}
        expected = _SENT | {416} if ranged else _SENT
        response = self.caller.open(_call("GET", self.caller, self.blob.digest, expected, headers))
        with closing(response):
            yield from self._iter_answer(response, start)

    def _iter_answer(self, response: Response, start: int) -> Iterator[bytes]:
        if response.status == 416:  # it has no more: the blob is too short, which its reader tells
            return
        host = self.caller.endpoint.name
        skip = start
        if response.status == 206:
            skip -= _first_byte(response, start, host, self.what)
        self._check_page(response)
        for piece in self._iter_content(response):
            if skip >= len(piece):
                skip -= len(piece)
                continue
            rest = piece[skip:] if skip else piece
            skip = 0
            self.position += len(rest)
            yield rest
        self._check_end(start, framed=not has_no_end(response))

    def _check_end(self, start: int, *, framed: bool) -> None:
        """Raise Unreachable for an answer that ended too early, so that the rest is requested.

        One that was `framed` had the length that it stated, but a proxy may have cut it. Where the
        rest does not come either, the blob itself is too short, which its reader tells.
        """
        if self.position >= self.blob.size:
            return
        self._barren = self._barren + 1 if self.position == start else 0
        if not framed or self._barren <= _MOST_BARREN:
            raise cut_error(self.caller.endpoint.name, self.what)

    def _iter_content(self, response: Response) -> Iterator[bytes]:
        host = self.caller.endpoint.name
        pieces = iter_body(response, host, self.what)
        codings = () if response.status == 206 else codings_of(response.headers)
        if not codings:
            return pieces
        size = parse_decimal(response.headers.get("Content-Length", ""))
        if size is not None:
            self._encoded = size != self.blob.size
            return iter_decoded(pieces, codings, host, self.what) if self._encoded else pieces
        return self._iter_unlabelled(pieces, codings)

    def _iter_unlabelled(
        self, pieces: Iterator[bytes], codings: tuple[str, ...]
    ) -> Iterator[bytes]:
        """A body of unknown length with a Content-Encoding.

        Some stores label layers, which are compressed by themselves, with it (so nothing is to be
        undone); some proxies compress every answer. A layer that is compressed twice shows which it
        is.
        """
        host = self.caller.endpoint.name
        first = next(pieces, b"")
        self._encoded = not self._is_packed_once(first, codings)
        whole = chain((first,), pieces)
        yield from iter_decoded(whole, codings, host, self.what) if self._encoded else whole

    def _is_packed_once(self, first: bytes, codings: tuple[str, ...]) -> bool:
        """Whether the body is a compressed layer as it is stored."""
        if not self.blob.media_type.endswith(_COMPRESSED):
            return False
        try:
            inner = next(iter_decoded([first], codings, self.caller.endpoint.name, self.what), b"")
        except RegistryError:
            return True  # then the digest decides
        return not inner.startswith(_MAGIC)

    def _check_page(self, response: Response) -> None:
        """Raise RegistryError for a web page in place of the blob."""
        size = parse_decimal(response.headers.get("Content-Length", ""))
        if response.status == 200 and size != self.blob.size:
            _check_page(response, self.caller.endpoint.name, self.what)


def _check_page(response: Response, host: str, what: str) -> None:
    """Raise RegistryError for an answer that says it is a web page, and names no digest."""
    if is_page_type(response.headers) and "Docker-Content-Digest" not in response.headers:
        page = read_body(response, MAX_ERROR_BODY, host, what)
        raise page_error(host, f"the pull of {what}", page)


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
    what = f"the blob {digest} of {caller.repository}"
    expected = frozenset({200, 206, 404, 416})
    call = _call("GET", caller, digest, expected, {"Range": "bytes=0-0"})
    with closing(caller.open(call)) as response:
        if response.status == 404:
            return None
        if response.status == 200:
            return _size_of_whole(response, caller.endpoint.name, what, digest)
        match = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
        total = None if match is None else parse_decimal(match[1])
    if total is not None:
        return total
    with closing(caller.open(_call("GET", caller, digest, frozenset({200})))) as response:
        return _size_of_whole(response, caller.endpoint.name, what, digest)


def _size_of_whole(response: Response, host: str, what: str, digest: Digest) -> int:
    _check_page(response, host, what)
    size = parse_decimal(response.headers.get("Content-Length", ""))
    return _counted(response, host, what, digest) if size is None else size


def _counted(response: Response, host: str, what: str, digest: Digest) -> int:
    """The size of a body without a stated length; the digest shows whether it is whole.

    An endless body is not read to its end.
    """
    hasher = Hasher(digest)
    pieces = iter_decoded(iter_body(response, host, what), codings_of(response.headers), host, what)
    for piece in pieces:
        hasher.update(piece)
        if hasher.size > _MOST_COUNTED:
            raise RegistryError(
                f"{host} does not say how large {what} is, and sent more than {_MOST_COUNTED} "
                "bytes",
                advice="see what it, or a proxy before it, answers",
            )
    if hasher.digest != digest:
        raise cut_error(host, what)
    return hasher.size


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
