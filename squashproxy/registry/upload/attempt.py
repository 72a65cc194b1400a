"""One attempt to send a blob whose digest is known only at its end, in the ways that registries
accept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from squashproxy.digest import Chunk, Digest, Hasher
from squashproxy.errors import IntegrityError, RegistryError, SquashproxyError
from squashproxy.registry.caller import Caller
from squashproxy.registry.options import UploadMode
from squashproxy.registry.upload.bodies import Beginning, HashedChunks, Spool, Stream, Window
from squashproxy.registry.upload.landing import LANDING_SECONDS, launch
from squashproxy.registry.upload.session import UploadLost, UploadSession
from squashproxy.registry.upload.start import begin_upload

_CHUNK = 4 << 20
"""The bytes of a chunk; GHCR accepts no more in one ranged request."""

_MAX_CHUNK = 64 << 20
"""The most bytes of a chunk, which is kept in memory; if a registry asks for more, we stream."""

_RANGE_REFUSED = frozenset({400, 405, 411, 413, 415, 416, 422, 501})
"""Statuses of the first ranged PATCH that may only mean that the registry supports no ranges."""

_MOST_PARTS = 64
"""How often a registry may keep only a part of what it was sent, for each window."""

_OUT_OF_STEP = 416


@dataclass(frozen=True, slots=True)
class Expected:
    """The digest and the size in bytes that a blob must have; None if not known beforehand."""

    digest: Digest | None = None
    size: int | None = None


class Attempt:
    """One attempt to upload a blob to a repository.

    The blob must begin as it did `before`. After an attempt that was lost, the connection may be
    one that always breaks after some time or some megabytes. So an `alone` attempt has a
    connection for each chunk.
    """

    def __init__(
        self,
        caller: Caller,
        chunks: Iterable[Chunk],
        expected: Expected,
        before: Beginning | None = None,
    ) -> None:
        self._caller = caller
        self._name = caller.repository
        self._expected = expected
        self._alone = before is not None
        self._hasher = Hasher(expected.digest)
        self._chunks = HashedChunks(chunks, self._hasher, before)
        self._session: UploadSession | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._flight: Future[int | None] | None = None
        self.streams = False
        """Whether the registry accepted a stream after it had refused a range."""

    @property
    def beginning(self) -> Beginning:
        """What was read of the blob so far."""
        return Beginning(self._hasher.size, self._hasher.digest, f"the blob for {self._name}")

    def run(self, mode: UploadMode) -> tuple[Digest, int]:
        """Send the blob; return its digest and its size in bytes.

        The session is cancelled whatever goes wrong, Ctrl-C included. Raises UploadLost,
        RegistryError, IntegrityError for other bytes than expected, and what the source of the
        chunks raises.
        """
        try:
            if mode is UploadMode.MONOLITHIC:
                self._send_whole()
            else:
                self._send_parts(mode)
                self._check()
                self._in_session().end(self._hasher.digest, self._hasher.size)
            self._session = None
        finally:
            self._land()
            self._cancel()
        return self._hasher.digest, self._hasher.size

    def _send_parts(self, mode: UploadMode) -> None:
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
            self.streams = True
            return
        self._send_rest(window.end, size, more=more)

    def _try_ranges(self, window: Window, mode: UploadMode) -> bool:
        """Send the first window; False if the registry refused its range and AUTO may stream."""
        try:
            self._send_window(window, self._launch(window))
        except RegistryError as error:
            if mode is UploadMode.AUTO and error.status in _RANGE_REFUSED:
                return False
            raise
        return True

    def _send_rest(self, start: int, size: int, *, more: bool) -> None:
        """Send window after window; the next one is filled while one is being sent."""
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
        except (RegistryError, UploadLost) as error:
            if stream.failure is not None:
                raise stream.failure from error
            if isinstance(error, RegistryError) and error.temporary:
                raise UploadLost(error) from error
            raise
        if stream.failure is not None:
            raise stream.failure

    def _send_window(self, window: Window, flight: Future[int | None]) -> None:
        """Wait until the registry has all of a window; resume after each interruption."""
        failures = parts = 0
        attempts = self._caller.retry.begin(self._name.host)
        while True:
            before = window.position
            try:
                held = flight.result()
            except RegistryError as error:
                failures += 1
                attempts.wait(error)
                self._resume(window, error, failures)
            except UploadLost as lost:
                failures += 1
                if failures > self._caller.retry.retries:
                    raise lost.error from lost
                self._resume(window, lost.error, failures)
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
            if window.position > before:
                attempts.progress()
            flight = self._launch(window)

    def _launch(self, window: Window) -> Future[int | None]:
        """Send the rest of a window by one PATCH, in the thread of this upload.

        In the main thread, Ctrl-C could interrupt the PATCH. Its answer holds the next Location,
        without which the session could not be cancelled. An interrupt may also come while the
        thread starts: a PATCH that nobody could wait for is not sent.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "upload")
        return launch(
            self._thread, partial(self._attempt, self._in_session(), window), self._note_flight
        )

    def _note_flight(self, flight: Future[int | None]) -> None:
        self._flight = flight

    def _attempt(self, session: UploadSession, window: Window) -> int | None:
        if not len(window):
            return None
        return session.send(window, (window.position, window.end), alone=self._alone)

    def _land(self) -> None:
        """Wait a few seconds for the running PATCH, so that its session can be cancelled."""
        if self._flight is not None:
            wait([self._flight], LANDING_SECONDS)
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _resume(self, window: Window, error: RegistryError, failures: int) -> None:
        """Ask the registry where to continue after `error`, one of so many in a row.

        If the session is gone, begin another one; that is possible only with the first window.
        Raises UploadLost for a later one, and `error` if the registry refuses what it asks for.
        """
        try:
            held = self._in_session().ask_position()
        except RegistryError as lost:
            if lost.temporary:
                raise error from lost
            if window.start:
                raise UploadLost(error) from lost
            self._begin()
            held = 0
        else:
            if error.status == _OUT_OF_STEP and held == window.position:
                if failures == 1 or held:
                    raise error
                self._begin()  # it may hold one byte: `0-0` stands for none as well
        if not window.start <= held <= window.end:
            raise UploadLost(
                RegistryError(
                    f"{self._name.host} holds {held} bytes of a blob for {self._name.path} of "
                    f"which {window.start} to {window.end} were sent, so it cannot be gone on with",
                    advice="try again",
                )
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
            self._send_spool(Spool(file, self._hasher.size))

    def _send_spool(self, spool: Spool) -> None:
        """Send a file by one PUT, and once more in another session if one is lost."""
        failures = 0
        while True:
            try:
                self._begin().end(self._hasher.digest, len(spool), spool if len(spool) else None)
            except UploadLost as lost:
                failures += 1
                await_turn(self._caller, lost, failures)
            else:
                return

    def _check(self) -> None:
        """Raise IntegrityError if the bytes are not the expected ones."""
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
        return begin_upload(self._caller, self._keep)

    def _keep(self, session: UploadSession) -> None:
        self._session = session

    def _in_session(self) -> UploadSession:
        assert self._session is not None, "a session was begun"
        return self._session

    def _cancel(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.cancel()


def await_turn(caller: Caller, lost: UploadLost, failures: int) -> None:
    """Wait before another attempt, or raise the error of the last one if there is none.

    How long an attempt took does not matter, only how many were lost: bytes moved in each.
    """
    if failures > caller.retry.retries:
        raise lost.error from lost
    try:
        caller.retry.begin(caller.repository.host).wait(lost.as_temporary)
    except RegistryError:
        raise lost.error from lost
