"""Faults that a fake registry is armed with: deterministic, each for a number of requests."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from squashproxy.testing.answers import (
    Answer,
    Body,
    Headers,
    bytes_answer,
    code_of,
    error_answer,
)


class FaultKind(Enum):
    """What goes wrong.

    - ANSWER: answer `status` with `headers` and `body`, without doing what was asked; without a
      `body` the answer is the specification's error document.
    - ALTER: do what was asked, but put `headers` in place of the answer's own of the same names,
      and `body`, if there is one, in place of its body.
    - RAW: send the bytes of `body` in place of an answer, as they are, and close the connection.
    - DROP: close the connection, without an answer and without doing what was asked.
    - DROP_REQUEST: close it after `after_bytes` of the request's body; the bytes count.
    - LOSE_ANSWER: do what was asked, then close the connection without an answer.
    - DROP_RESPONSE: close it after `after_bytes` of the answer's body.
    - CORRUPT: flip a bit of the answer's body, at `after_bytes`.
    - CUT: end the answer's body cleanly at `after_bytes`, with a Content-Length that agrees.
    - HANG: wait until released; before the work, or after `after_bytes` of the answer's body.
    """

    ANSWER = "answer"
    ALTER = "alter"
    RAW = "raw"
    DROP = "drop"
    DROP_REQUEST = "drop request"
    LOSE_ANSWER = "lose answer"
    DROP_RESPONSE = "drop response"
    CORRUPT = "corrupt"
    CUT = "cut"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for the requests of `method` whose path and query contain `path_pattern`.

    `method` is `*` for any, `path_pattern` a regular expression to search for. The first `skip`
    such requests pass unharmed, the next `times` meet the fault. `after_bytes` counts bytes of a
    body, from 0. A Content-Length or Transfer-Encoding in `headers` is sent in place of the true
    length, and the connection is closed behind the answer.
    """

    method: str = "*"
    path_pattern: str = ""
    kind: FaultKind = FaultKind.ANSWER
    after_bytes: int | None = None
    status: int = 500
    headers: Headers = ()
    body: bytes | None = None
    times: int = 1
    skip: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault is meant for this request."""
        return self.method in ("*", method) and re.search(self.path_pattern, path) is not None


class ArmedFault:
    """A fault that waits for its requests.

    `reached` is set when a request met it; `release()` lets hanging requests go on.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.reached = threading.Event()
        self._released = threading.Event()
        self._seen = 0

    @property
    def remaining(self) -> int:
        """How many requests will still meet the fault."""
        return self.fault.times - max(self._seen - self.fault.skip, 0)

    def release(self) -> None:
        """Let the requests that hang go on, and those to come pass."""
        self._released.set()

    def take(self, method: str, path: str) -> bool:
        """Count a request, and say whether it meets the fault."""
        if not self.remaining or not self.fault.matches(method, path):
            return False
        self._seen += 1
        return self._seen > self.fault.skip

    @property
    def break_after(self) -> int | None:
        """After how many bytes the request's body breaks off."""
        if self.fault.kind is FaultKind.DROP_REQUEST:
            return self.fault.after_bytes or 0
        return None

    @property
    def raw(self) -> bytes | None:
        """What is sent in place of an answer."""
        return (self.fault.body or b"") if self.fault.kind is FaultKind.RAW else None

    def before(self) -> Answer | None:
        """What happens before the work: an answer instead of it, a broken connection, a wait."""
        self.reached.set()
        if self.fault.kind is FaultKind.ANSWER and self.fault.body is not None:
            return bytes_answer(self.fault.status, self.fault.body, self.fault.headers)
        if self.fault.kind is FaultKind.ANSWER:
            code = code_of(self.fault.status)
            return error_answer(code, "a fault was armed", self.fault.status, self.fault.headers)
        if self.fault.kind is FaultKind.DROP:
            raise ConnectionAbortedError("a fault dropped the connection")
        if self.fault.kind is FaultKind.HANG and self.fault.after_bytes is None:
            self._released.wait()
        return None

    def after(self, answer: Answer) -> Answer:
        """What becomes of the answer on its way to the client."""
        position = self.fault.after_bytes or 0
        body = answer.body
        if self.fault.kind is FaultKind.LOSE_ANSWER:
            raise ConnectionAbortedError("a fault lost the answer")
        if self.fault.kind is FaultKind.ALTER:
            return self._altered(answer)
        if self.fault.kind is FaultKind.CUT:
            size = min(body.size, position)
            body = Body(size, _first(body.chunks, size))
        elif self.fault.kind is FaultKind.CORRUPT:
            body = Body(body.size, _corrupted(body.chunks, min(position, body.size - 1)))
        elif self.fault.kind is FaultKind.DROP_RESPONSE:
            body = Body(body.size, self._broken(body.chunks, position))
        elif self.fault.kind is FaultKind.HANG and self.fault.after_bytes is not None:
            body = Body(body.size, self._hanging(body.chunks, position))
        return replace(answer, body=body)

    def _altered(self, answer: Answer) -> Answer:
        replaced = {name.lower() for name, _ in self.fault.headers}
        kept = tuple(field for field in answer.headers if field[0].lower() not in replaced)
        data = self.fault.body
        body = answer.body if data is None else Body(len(data), (data,))
        return Answer(answer.status, (*kept, *self.fault.headers), body)

    def _broken(self, chunks: Iterable[bytes], position: int) -> Iterator[bytes]:
        yield from _first(chunks, position)
        raise ConnectionAbortedError("a fault broke the answer")

    def _hanging(self, chunks: Iterable[bytes], position: int) -> Iterator[bytes]:
        passed = 0
        for chunk in chunks:
            if passed <= position < passed + len(chunk):
                yield chunk[: position - passed]
                self._released.wait()
                yield chunk[position - passed :]
            else:
                yield chunk
            passed += len(chunk)


class Faults:
    """The faults of a registry, in the order they were armed."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault) -> ArmedFault:
        """Make a fault wait for its requests."""
        armed = ArmedFault(fault)
        with self._lock:
            self._armed.append(armed)
        return armed

    def take(self, method: str, path: str) -> ArmedFault | None:
        """The fault that this request meets: the first that is meant for it."""
        with self._lock:
            return next((armed for armed in self._armed if armed.take(method, path)), None)

    def clear(self) -> None:
        """Forget all faults; requests that hang go on."""
        self.release()
        with self._lock:
            self._armed.clear()

    def release(self) -> None:
        """Let every request that hangs go on."""
        with self._lock:
            for armed in self._armed:
                armed.release()


def _first(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = size
    for chunk in chunks:
        if left <= 0:
            return
        yield chunk[:left]
        left -= len(chunk)


def _corrupted(chunks: Iterable[bytes], position: int) -> Iterator[bytes]:
    passed = 0
    for chunk in chunks:
        if passed <= position < passed + len(chunk):
            damaged = bytearray(chunk)
            damaged[position - passed] ^= 1
            yield bytes(damaged)
        else:
            yield chunk
        passed += len(chunk)
