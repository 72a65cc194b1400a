"""Uploads of blobs whose digest is only known at their end, in each of the ways registries take."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.errors import IntegrityError, NotFound, RegistryError, SquashproxyError
from squashproxy.reference import Repository
from squashproxy.registry.bodies import HashedChunks, Spool, Stream, Window
from squashproxy.registry.calls import Caller
from squashproxy.registry.options import UploadMode
from squashproxy.registry.sessions import UploadSession, begin_upload

_CHUNK = 4 << 20
"""GHCR takes no more in one ranged request."""

_MAX_CHUNK = 64 << 20
"""Registries that ask for larger chunks than this get a stream: a chunk is kept in memory."""

_RANGE_REFUSED = frozenset({400, 404, 405, 411, 413, 415, 416, 422, 501})
"""Answers to a first ranged PATCH that may mean that only its form is not taken."""

_POSITION_LOST = 416


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller knows about a blob beforehand; `size` in bytes."""

    digest: Digest | None
    size: int | None


class Upload:
    """One blob on its way to one repository."""

    def __init__(
        self, caller: Caller, name: Repository, chunks: Iterable[Chunk], expected: Expected
    ) -> None:
        self._caller = caller
        self._name = name
        self._expected = expected
        self._hasher = Hasher(expected.digest)
        self._chunks = HashedChunks(chunks, self._hasher)

    def run(self, mode: UploadMode, on_stream: Callable[[], None]) -> tuple[Digest, int]:
        """Send the blob; returns its digest and its size in bytes.

        `on_stream` is called where AUTO has found that the registry takes streams only. Whatever
        goes wrong, the session is cancelled.
        """
        match mode:
            case UploadMode.MONOLITHIC:
                self._send_whole()
            case UploadMode.STREAM:
                self._send_stream(Window(0))
            case UploadMode.CHUNKS:
                self._send_chunks(self._begin(), Window(0))
            case UploadMode.AUTO:
                self._send_as_taken(on_stream)
        return self._hasher.digest, self._hasher.size

    def _send_as_taken(self, on_stream: Callable[[], None]) -> None:
        session = self._begin()
        window = Window(0)
        if session.least_chunk <= _MAX_CHUNK:
            try:
                self._send_chunks(session, window)
            except _RangesRefused:
                session = self._begin()
            else:
                return
        self._send_stream(window, session)
        on_stream()

    def _send_chunks(self, session: UploadSession, window: Window) -> None:
        """Fill and send windows; `window` is the first, kept by the caller."""
        size = max(_CHUNK, session.least_chunk)
        while True:
            with session:
                more = window.fill(self._chunks, size)
                if window.size:
                    session = self._send_window(session, window)
                ...
            window = Window(window.end)
