"""The records of jobs in the broker, which are the truth about them.

1. A record changes by one script at a time (scripts/), so always as a whole.
2. A message only wakes a process of a worker. Lost, late or doubled, it costs time, no job. A
   process that ends a job takes the next from its queue itself, so a few messages do for many jobs.
3. A job runs under a lease, which its worker renews. One that runs without a lease is queued again.
4. Each delivery is counted. A job that ended its worker as often as settings allow is parked.
5. Records of jobs that are over expire; parked ones after a week.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from squashproxy.errors import SquashproxyError
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import FleetError
from squashproxy.fleet.job import JobBody, JobKind, JobRequest, JobState, QueueName
from squashproxy.fleet.queue_names import message_list

DONE_SECONDS = 3600.0
FAILED_SECONDS = 24 * 3600.0
PARKED_SECONDS = 7 * 24 * 3600.0

_BIG = 16 << 10
_MOST_BYTES = 64 << 20
_PACKED = b"z"
_FORGOTTEN = 1000
"""The most entries of jobs that have expired that one turn looks for."""


class Submitted(Enum):
    """What became of a request."""

    NEW = "new"
    JOINED = "joined"
    MOVED = "moved"
    """It was queued for another version, or a slower queue."""
    PARKED = "parked"


class Refusal(Enum):
    """Why a worker does not get a job that it was told of, or any."""

    NONE = "none"
    """It asked for any job, and no job is queued."""
    GONE = "gone"
    OVER = "over"
    LEASED = "leased"
    VERSION = "version"
    PARKED = "parked"


class Renewal(Enum):
    """What became of a lease."""

    HELD = "held"
    LOST = "lost"
    VANISHED = "vanished"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is to be sent: the job, and the queue and version of its workers."""

    job: str
    queue: QueueName
    version: str


class OtherServer(FleetError):
    """The broker has started again, or another one took its place: `server` is its name now."""

    def __init__(self, server: str) -> None:
        super().__init__("the broker has started again")
        self.server = server


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A job that a worker holds under a lease with that token."""

    id: str
    token: str
    kind: JobKind
    title: str
    body: JobBody
    queue: QueueName


@dataclass(frozen=True, slots=True)
class Wish:
    """What a process of a worker that has nothing to do asks for.

    `job` is the one that a message named; where it is not to be had, or is empty, it is the first
    of `queues`. `server` is the name of the broker's run that it knows, empty for any.
    """

    job: str
    queues: Sequence[QueueName] = ()
    server: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What a record says to those who wait for it; `state` is None where there is no record.

    `attempt` counts the workers that began; `progress` is of the present one.
    """

    state: JobState | None
    attempt: int = 0
    progress: Sequence[Any] = ()
    warnings: Sequence[str] = ()
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None


class Records:
    """The records of a broker; all methods raise BrokerAway and BrokerRefused."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._settings = broker.settings
        self._lease = _ms(broker.settings.lease)
        self._messages = message_list(broker.settings)

    def submit(self, request: JobRequest, waiter: str) -> tuple[Submitted, Message | None]:
        """Join a live job, or begin it anew; with the message to send, if any.

        `waiter` is the channel on which changes are told, or empty. Where messages enough wait
        for workers already, no other one is needed: a worker that ends a job takes the next.
        """
        version = self._settings.version
        answer = self._broker.run(
            "submit",
            *(request.id, request.kind.value, request.title, pack(request.body)),
            *(request.queue.value, version, waiter, self._messages),
        )
        outcome = Submitted(_text(answer[0]))
        if len(answer) == 1 or not answer[2]:
            return outcome, None
        return outcome, Message(request.id, QueueName(_text(answer[1])), version)

    def look(self, job: str) -> Look:
        """Read a record."""
        fields = ("state", "attempt", "progress", "warnings", "result", "error")
        values = self._broker.ask("HMGET", self._broker.key("job", job), *fields)
        if values[0] is None:
            return Look(None)
        return Look(
            JobState(_text(values[0])),
            int(values[1] or 0),
            unpack(values[2]) or (),
            unpack(values[3]) or (),
            unpack(values[4]),
            unpack(values[5]),
        )

    def take(self, job: str, token: str, worker: str) -> TakenJob | Refusal:
        """Give a certain job to a worker; the call may be repeated with the same token."""
        return self.next(Wish(job), token, worker)[0]

    def next(self, wish: Wish, token: str, worker: str) -> tuple[TakenJob | Refusal, list[Message]]:
        """Give a job to a worker; with the messages to send, so that others come for the rest.

        The call may be repeated with the same token. Raises OtherServer.
        """
        answer = self._broker.run(
            "take",
            *(wish.job, token, worker, self._settings.version, self._lease),
            *(self._settings.deliveries, _ms(PARKED_SECONDS), self._poisoned, wish.server),
            *(" ".join(queue.value for queue in wish.queues), self._messages),
        )
        outcome = _text(answer[0])
        if outcome == "server":
            raise OtherServer(_text(answer[1]))
        if outcome != "taken":
            return Refusal(outcome), []
        job, kind, title, body, queue, messages = answer[1:]
        taken = TakenJob(
            *(_text(job), token, JobKind(_text(kind)), _text(title)),
            *(unpack(body), QueueName(_text(queue))),
        )
        return taken, [message for each in messages if (message := _message(each)) is not None]

    def renew(
        self, job: TakenJob, progress: Sequence[Any] | None, warnings: Sequence[str] | None
    ) -> Renewal:
        """Extend the lease; write progress and warnings where they are not None."""
        answer = self._broker.run(
            "renew",
            *(job.id, job.token, self._lease),
            b"" if progress is None else pack(progress),
            b"" if warnings is None else pack(warnings),
        )
        return Renewal(_text(answer))

    def restore(self, job: TakenJob, worker: str) -> Renewal:
        """Write the record of a job that runs, which the broker has lost."""
        answer = self._broker.run(
            "restore",
            *(job.id, job.token, self._lease, worker, job.kind.value, job.title),
            *(pack(job.body), job.queue.value, self._settings.version),
        )
        return Renewal(_text(answer))

    def finish(
        self,
        job: TakenJob,
        result: Mapping[str, Any] | None,
        error: SquashproxyError | None,
        warnings: Sequence[str],
    ) -> bool:
        """End a job; False if its lease was lost, so that the result is not wanted any more."""
        state, keep = JobState.DONE, DONE_SECONDS
        if error is not None:
            state, keep = JobState.FAILED, FAILED_SECONDS
        answer = self._broker.run(
            "finish",
            *(job.id, job.token, state.value),
            b"" if result is None else pack(result),
            b"" if error is None else pack(error_document(error)),
            pack(warnings),
            _ms(keep),
        )
        return _text(answer) == "finished"

    def hand_back(self, job: TakenJob) -> Message | None:
        """Queue a job again, as if it had not been delivered; None if it is not held any more."""
        return _message(self._broker.run("hand_back", job.id, job.token))

    def reap(self, me: str, pause: float) -> list[Message]:
        """Queue jobs whose worker is gone; the messages that are to be sent.

        Only one of those who call it within `pause` seconds does it.
        """
        answer = self._broker.run(
            "reap",
            *(me, _ms(pause), self._settings.deliveries, _ms(PARKED_SECONDS), self._poisoned),
            *(self._messages, _FORGOTTEN),
        )
        return [message for entry in answer if (message := _message(entry)) is not None]

    def retry(self, job: str) -> Message:
        """Queue a job that failed or was parked. Raises FleetError where it is in no such state."""
        version = self._settings.version
        answer = self._broker.run("retry", job, version)
        if _text(answer[0]) == "again":
            return Message(job, QueueName(_text(answer[1])), version)
        state = _text(answer[0])
        fact = f"there is no job {job}" if not state else f"the job {job} is {state}"
        raise FleetError(fact, advice="name one that failed or is parked, as `jobs` lists them")

    def leave(self, job: str, waiter: str) -> None:
        """Wait no longer; a job that nobody waits for any more is not wanted."""
        self._broker.run("leave", job, waiter)

    @property
    def _poisoned(self) -> bytes:
        count = self._settings.deliveries
        return pack(
            {
                "fact": f"it was given to a worker {count} times, and none of them came to its end",
                "advice": "see the workers' logs, then retry it with `jobs --retry`",
                "kind": "",
                "temporary": False,
            }
        )


def error_document(error: SquashproxyError) -> dict[str, Any]:
    """An error as JSON."""
    return {
        "fact": error.fact,
        "advice": error.advice,
        "kind": type(error).__name__,
        "temporary": error.temporary,
    }


def pack(value: Any) -> bytes:
    """A value as JSON, compressed if it is large. Raises FleetError where it is much too large."""
    data = json.dumps(value, separators=(",", ":")).encode("ascii")
    if len(data) > _MOST_BYTES:
        raise FleetError(
            f"a job's document has {len(data)} bytes, of which {_MOST_BYTES} may be sent"
        )
    return data if len(data) < _BIG else _PACKED + zlib.compress(data, 1)


def unpack(data: bytes | None) -> Any:
    """The value that was packed; None for nothing. Raises FleetError for what is no JSON."""
    if not data:
        return None
    try:
        if data.startswith(_PACKED):
            inflating = zlib.decompressobj()
            data = inflating.decompress(data[1:], _MOST_BYTES)
        return json.loads(data)
    except (ValueError, zlib.error) as error:
        raise FleetError("a record in the broker is damaged") from error


def _message(answer: Sequence[bytes]) -> Message | None:
    if not answer:
        return None
    job, queue, version = map(_text, answer)
    return Message(job, QueueName(queue), version)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
