"""Faults of a fake registry: deterministic, each for a number of requests."""

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
    """The kinds of fault.

    - ANSWER: do not carry out the request; answer `status` with `headers` and `body`. Without a
      `body`, send the error document of the specification.
    - ALTER: carry out the request, but replace headers of the answer by those of the same name in
      `headers`, and its body by `body` if there is one.
    - RAW: do not carry out the request; send the bytes of `body` and close the connection.
    - DROP: do not carry out the request; close the connection without an answer.
    - DROP_REQUEST: close the connection after `after_bytes` of the request's body. An upload keeps
      these bytes.
    - LOSE_ANSWER: carry out the request, then close the connection without an answer.
    - DROP_RESPONSE: close the connection after `after_bytes` of the answer's body.
    - CORRUPT: flip a bit of byte `after_bytes` of the answer's body.
    - CUT: send only the first `after_bytes` of the answer's body, with a Content-Length to match.
    - SEVER: carry out the request, send only the first `after_bytes` of the answer, head and body
      together as they go over the wire, and close the connection as a server does that is done.
    - RESET: as SEVER, but reset the connection, as a server does that was killed.
    - HANG: wait for `release()`, before the request is carried out or, with `after_bytes`, after so
      many bytes of the answer's body.
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
    SEVER = "sever"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for requests with a certain method and path.

    `method` is `*` for any method. `path_pattern` is a regular expression, searched for in the path
    with its query. The first `skip` requests that match are answered as usual; the next `times`
    meet the fault. `after_bytes` counts bytes of a body, from 0. A Content-Length or
    Transfer-Encoding in `headers` is sent instead of the true length; then the connection is closed
    after the answer.
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
        """Whether a request has the fault's method and path."""
        return self.method in ("*", method) and re.search(self.path_pattern, path) is not None


class ArmedFault:
    """A fault that waits for its requests.

    `reached` is set as soon as a request meets it. `answer` is the whole answer that SEVER or
    RESET cut last, head and body.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.reached = threading.Event()
        self.answer = b""
        self._released = threading.Event()
        self._seen = 0

    @property
    def remaining(self) -> int:
        """How many requests will still meet the fault."""
        return self.fault.times - max(self._seen - self.fault.skip, 0)

    def release(self) -> None:
        """Let the requests that hang go on; later ones do not hang at all."""
        self._released.set()

    def take(self, method: str, path: str) -> bool:
        """Count a request that matches; return whether it meets the fault."""
        if not self.remaining or not self.fault.matches(method, path):
            return False
        self._seen += 1
        return self._seen > self.fault.skip

    @property
    def break_after(self) -> int | None:
        """The number of bytes after which the request's body breaks off; None if it does not."""
        if self.fault.kind is FaultKind.DROP_REQUEST:
            return self.fault.after_bytes or 0
        return None

    @property
    def sever_after(self) -> int | None:
        """The number of bytes of the answer, head included, that are sent; None for all."""
        if self.fault.kind in (FaultKind.SEVER, FaultKind.RESET):
            return self.fault.after_bytes or 0
        return None

    @property
    def raw(self) -> bytes | None:
        """The bytes to send in place of an answer; None if there is an answer."""
        return (self.fault.body or b"") if self.fault.kind is FaultKind.RAW else None

    def before(self) -> Answer | None:
        """Act out the part before the request is carried out; the answer, if it has one already.

        Raises ConnectionAbortedError if the connection is to be dropped.
        """
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
        """The answer as the fault changes it.

        Raises ConnectionAbortedError if the answer is to be lost, as may reading its body.
        """
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
    """The faults of a registry, in the order in which they were armed."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._lock = threading.Lock()

    def arm(self, fault: Fault) -> ArmedFault:
        """Arm a fault; it waits for its requests."""
        armed = ArmedFault(fault)
        with self._lock:
            self._armed.append(armed)
        return armed

    def take(self, method: str, path: str) -> ArmedFault | None:
        """The fault that a request meets: the first that matches and is not used up."""
        with self._lock:
            return next((armed for armed in self._armed if armed.take(method, path)), None)

    def clear(self) -> None:
        """Forget all faults, and let the requests that hang go on."""
        self.release()
        with self._lock:
            self._armed.clear()

    def release(self) -> None:
        """Let the requests that hang go on."""
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
