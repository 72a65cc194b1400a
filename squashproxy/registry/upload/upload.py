"""Uploads of blobs whose digest is only known at their end, in each of the ways registries take."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.errors import IntegrityError, RegistryError, SquashproxyError
from squashproxy.registry.caller import Caller
from squashproxy.registry.options import UploadMode
from squashproxy.registry.upload.bodies import HashedChunks, Spool, Stream, Window
from squashproxy.registry.upload.session import UploadSession, begin_upload

_CHUNK = 4 << 20
"""GHCR takes no more in one ranged request."""

_MAX_CHUNK = 64 << 20
"""Registries that ask for larger chunks than this get a stream: a chunk is kept in memory."""

_RANGE_REFUSED = frozenset({400, 405, 411, 413, 415, 416, 422, 501})
"""Answers to a first ranged PATCH that may mean that only its form is not taken."""

_MOST_PARTS = 64
"""How often a registry may take only a part of what it was sent of one window."""

_LANDING_SECONDS = 5.0
_SESSION_GONE = 404
_OUT_OF_STEP = 416


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known about a blob beforehand; `size` in bytes."""

    digest: Digest | None = None
    size: int | None = None


class Upload:
    """One blob on its way to one repository."""

    def __init__(self, caller: Caller, chunks: Iterable[Chunk], expected: Expected) -> None:
        self._caller = caller
        self._name = caller.repository
        self._expected = expected
        self._hasher = Hasher(expected.digest)
        self._chunks = HashedChunks(chunks, self._hasher)
        self._session: UploadSession | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._flight: Future[int | None] | None = None

    def run(self, mode: UploadMode, on_stream: Callable[[], None]) -> tuple[Digest, int]:
        """Send the blob; returns its digest and its size in bytes.

        `on_stream` is called where AUTO found that the registry takes a stream but no ranges.
        Whatever goes wrong, also Ctrl-C, the session is cancelled.
        """
        try:
            if mode is UploadMode.MONOLITHIC:
                self._send_whole()
            else:
                self._send_parts(mode, on_stream)
                self._check()
                self._in_session().end(self._hasher.digest, self._hasher.size)
            self._session = None
        finally:
            self._land()
            self._cancel()
        return self._hasher.digest, self._hasher.size

    def _send_parts(self, mode: UploadMode, on_stream: Callable[[], None]) -> None:
        session = self._begin()
        size = max(_CHUNK, session.least_chunk)
        window = Window(0)
        if mode is UploadMode.STREAM or size > _MAX_CHUNK:
            self._send_stream(window)
            return
        more = window.fill(self._chunks, size)
        if not self._try_ranges(window, mode):
            window.send_from(0)
            self._begin()
            self._send_stream(window)
            on_stream()
            return
        self._send_rest(window.end, size, more=more)

    def _try_ranges(self, window: Window, mode: UploadMode) -> bool:
        """Send the first window; False where AUTO should rather stream."""
        try:
            self._send_window(window, self._launch(window))
        except RegistryError as error:
            if mode is UploadMode.AUTO and error.status in _RANGE_REFUSED:
                return False
            raise
        return True

    def _send_rest(self, start: int, size: int, *, more: bool) -> None:
        """Send window after window; each is on its way while the next one fills."""
        sent: Window | None = None
        flight: Future[int | None] | None = None
        while more:
            window = Window(start)
            more = window.fill(self._chunks, size)
            start = window.end
            if sent is not None and flight is not None:
                self._send_window(sent, flight)
            sent, flight = window, self._launch(window)
        if sent is not None and flight is not None:
            self._send_window(sent, flight)

    def _send_stream(self, window: Window) -> None:
        stream = Stream(window, self._chunks)
        try:
            self._in_session().send(stream, None)
        except RegistryError as error:
            if stream.failure is not None:
                raise stream.failure from error
            raise
        if stream.failure is not None:
            raise stream.failure

    def _send_window(self, window: Window, flight: Future[int | None]) -> None:
        """Wait until the registry has all of a window, however often that breaks off."""
        failures = parts = 0
        while True:
            try:
                held = flight.result()
            except RegistryError as error:
                failures += 1
                if error.status not in (_SESSION_GONE, _OUT_OF_STEP):
                    self._caller.retry.wait(error, failures, self._name.host)
                elif failures > self._caller.retry.retries:
                    raise
                self._resume(window, error)
            else:
                partial = held is not None and window.position < held < window.end
                window.send_from(held if held is not None and partial else window.end)
                parts += partial
                if parts > _MOST_PARTS:
                    raise RegistryError(
                        f"{self._name.host} takes a blob for {self._name.path} in ever smaller "
                        "parts",
                        advice="see what it, or a proxy before it, answers",
                    )
            if not len(window):
                return
            flight = self._launch(window)

    def _launch(self, window: Window) -> Future[int | None]:
        """Send what is left of a window, once, in the thread of this upload.

        A PATCH that Ctrl-C cut in two would lead to a session that cannot be cancelled, since the
        next Location is in its answer.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "upload")
        session = self._in_session()
        flight = self._thread.submit(self._attempt, session, window)
        self._flight = flight
        return flight

    @staticmethod
    def _attempt(session: UploadSession, window: Window) -> int | None:
        if not len(window):
            return None
        return session.send(window, (window.position, window.end))

    def _land(self) -> None:
        """Wait for the PATCH that is on its way, but not for long."""
        if self._thread is not None and self._flight is not None:
            wait([self._flight], _LANDING_SECONDS)
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _resume(self, window: Window, error: RegistryError) -> None:
        """Ask where to go on; a session that is gone can be begun anew from a first window."""
        try:
            held = self._in_session().ask_position()
        except RegistryError as lost:
            if lost.temporary or window.start:
                raise error from lost
            self._begin()
            held = 0
        else:
            if error.status == _OUT_OF_STEP and held == window.position:
                raise error
        if not window.start <= held <= window.end:
            raise RegistryError(
                f"{self._name.host} holds {held} bytes of a blob for {self._name.path} of which "
                f"{window.start} to {window.end} were sent, so it cannot be gone on with",
                advice="try again",
            ) from error
        window.send_from(held)

    def _send_whole(self) -> None:
        with tempfile.TemporaryFile(prefix="squashproxy-") as file:
            try:
                for piece in self._chunks.iter_pieces():
                    file.write(piece)
                file.flush()
            except OSError as error:
                if self._chunks.failure is not None:
                    raise
                raise SquashproxyError(
                    f"the blob for {self._name} does not fit into a temporary file: "
                    f"{error.strerror}",
                    advice="name a roomier directory in $TMPDIR",
                ) from error
            self._check()
            size = self._hasher.size
            body = Spool(file, size) if size else None
            self._begin().end(self._hasher.digest, size, body)

    def _check(self) -> None:
        """Refuse to end an upload of other bytes than were announced."""
        what = f"the blob that was being pushed to {self._name}"
        size, digest = self._expected.size, self._expected.digest
        if size is not None and size != self._hasher.size:
            raise IntegrityError(
                f"{what} has {self._hasher.size} bytes instead of {size}; it was not kept"
            )
        if digest is not None and digest != self._hasher.digest:
            raise IntegrityError(
                f"{what} has the digest {self._hasher.digest} instead of {digest}; it was not kept"
            )

    def _begin(self) -> UploadSession:
        self._cancel()
        self._session = begin_upload(self._caller)
        return self._session

    def _in_session(self) -> UploadSession:
        assert self._session is not None, "a session was begun"
        return self._session

    def _cancel(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.cancel()
