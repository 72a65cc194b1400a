"""The jobs of a worker's process: each is taken under a lease, kept, and ended.

1. The lease is renewed from a thread, and with it the progress is told.
2. A job ends in one of four ways: with a result, with an error, handed back, or lost.
3. It is handed back, without a count, where the worker ends or the broker cannot be reached: the
   job is not to blame.
4. The job is cancelled before its lease can have ended, by this machine's clock that only runs
   forward. Then another worker may take it, and this one changes nothing any more.
5. A record that the broker lost is written again, so that whoever submits the job anew joins it.
   After the broker has started again, nobody takes a job until those that run had the time for it.
6. A message wakes a process, which takes one job after another until no job is queued. Whoever
   takes one sends the messages that wake others for the rest.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Self, TypeVar

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.errors import SquashproxyError
from squashproxy.fleet.drain import Drain, Stage
from squashproxy.fleet.errors import BrokerAway, FleetError, JobFailed
from squashproxy.fleet.handlers import Handlers
from squashproxy.fleet.job import QueueName
from squashproxy.fleet.progress import ProgressRecorder
from squashproxy.fleet.records import (
    Message,
    OtherServer,
    Records,
    Refusal,
    Renewal,
    TakenJob,
    Wish,
    pack,
)
from squashproxy.fleet.settings import FleetSettings

_LOG = logging.getLogger("squashproxy.fleet")
_T = TypeVar("_T")
_TURN = 0.25
_TELL = 1.0
_PAUSE = 1.0


class Ending(Enum):
    """Why a job was cancelled."""

    DRAINED = "the worker ends"
    LOST = "its lease was lost"
    UNWANTED = "nobody waits for it any more"


class JobRun:
    """Runs jobs of `queues`, one after another, in a process of a worker, whose name is `worker`.

    `server` names the run of the broker with which the worker began.
    """

    def __init__(
        self,
        settings: FleetSettings,
        records: Records,
        send: Callable[[Message], object],
        worker: str,
        drain: Drain,
        *,
        queues: Sequence[QueueName] = (),
        server: str = "",
    ) -> None:
        self._settings = settings
        self._records = records
        self._send = send
        self._worker = worker
        self._drain = drain
        self._queues = queues
        self._server = server

    def run(self, job: str, handlers: Callable[[], Handlers]) -> None:
        """Run the job that a message named, if it is still to be had, and then those that wait.

        Ends where none is queued, where the worker ends, and after a job was handed back: then its
        new message decides who is next.
        """
        named = job
        while (begun := self._next(named)) is not None:
            taken, began = begun
            if self._drain.stage is not Stage.RUNS:
                self._hand_back(taken)
                return
            if not self._work(taken, began, handlers) or self._drain.stage is not Stage.RUNS:
                return
            named = ""

    def _next(self, named: str) -> tuple[TakenJob, float] | None:
        """The next job, and the moment before it was asked for."""
        token = f"{self._worker} {secrets.token_hex(8)}"
        began = 0.0

        def ask() -> tuple[TakenJob | Refusal, list[Message]]:
            nonlocal began
            while True:
                began = time.monotonic()
                wish = Wish(named, self._queues, self._server)
                try:
                    return self._records.next(wish, token, self._worker)
                except OtherServer as error:
                    self._settle(error.server)

        answer = self._patiently(ask)
        if answer is None:
            return None
        taken, messages = answer
        for message in messages:
            self._send(message)
        if isinstance(taken, Refusal):
            _LOG.debug("no job is taken: %s is %s", named or "the next", taken.value)
            return None
        return taken, began

    def _settle(self, server: str) -> None:
        """Wait where the broker is not the one of the last job, and so may have lost some."""
        _LOG.info("the broker has started again; its jobs are sorted out first")
        time.sleep(2 * self._settings.renewal)
        self._server = server

    def _work(self, job: TakenJob, began: float, handlers: Callable[[], Handlers]) -> bool:
        """Run a job; whether it came to its end."""
        _LOG.info("%s begins (%s)", job.title, job.id)
        with _Keeper(
            self._settings,
            self._records,
            job,
            worker=self._worker,
            drain=self._drain,
            began=began,
        ) as kept:
            result, error = self._attempt(job, kept, handlers)
            self._end(job, kept, result, error)
        _LOG.info("%s: %s", job.title, kept.outcome)
        return result is not None or error is not None

    def _attempt(
        self, job: TakenJob, kept: _Keeper, handlers: Callable[[], Handlers]
    ) -> tuple[Mapping[str, Any] | None, SquashproxyError | None]:
        """The job's result or error; neither where it is to be handed back."""
        try:
            handler = handlers().get(job.kind)
            if handler is None:
                return None, FleetError(f"this worker does no {job.kind.value} jobs")
            result = handler(job.body, kept.progress, kept.cancellation)
            pack(result)  # what cannot be sent is an error of the job
        except BrokerAway as error:
            _LOG.warning("%s: %s", job.title, error)
            return None, None
        except Cancelled:
            unwanted = FleetError("it was cancelled, since nobody waited for it any more")
            return None, unwanted if kept.ending is Ending.UNWANTED else None
        except SquashproxyError as error:
            return None, error
        except Exception as error:  # noqa: BLE001 - the outermost edge: a bug ends its job alone
            _LOG.exception("a bug in the job %s (%s)", job.title, job.id)
            text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
            return None, JobFailed(
                f"this is a bug ({text})", advice="report the worker's traceback"
            )
        return result, None

    def _end(
        self,
        job: TakenJob,
        kept: _Keeper,
        result: Mapping[str, Any] | None,
        error: SquashproxyError | None,
    ) -> None:
        if result is None and error is None:
            kept.outcome = "handed back, since " + (
                "the broker is away" if kept.ending is None else kept.ending.value
            )
            self._patiently(lambda: self._hand_back(job))
            return
        warnings = kept.progress.warnings
        kept.outcome = "done" if error is None else f"failed: {error}"
        told = self._patiently(lambda: self._records.finish(job, result, error, warnings))
        if told is None:
            kept.outcome += "; the broker could not be told, so it will run again"
        elif not told:
            kept.outcome += ", but its lease was lost, and nobody wants the result"

    def _hand_back(self, job: TakenJob) -> None:
        message = self._records.hand_back(job)
        if message is not None:
            self._send(message)

    def _patiently(self, question: Callable[[], _T]) -> _T | None:
        """The answer, for which an absent broker is waited; None where that takes too long."""
        until = time.monotonic() + self._settings.patience
        while True:
            try:
                return question()
            except BrokerAway as error:
                if time.monotonic() >= until or self._drain.stage is Stage.HANDS_BACK:
                    _LOG.warning("%s", error)
                    return None
            except FleetError as error:
                _LOG.warning("%s", error)
                return None
            time.sleep(_PAUSE)


class _Keeper:
    """Keeps a job's lease from a thread while the block runs."""

    def __init__(
        self,
        settings: FleetSettings,
        records: Records,
        job: TakenJob,
        *,
        worker: str,
        drain: Drain,
        began: float,
    ) -> None:
        self.progress = ProgressRecorder()
        self.cancellation = Cancellation()
        self.ending: Ending | None = None
        self.outcome = ""
        self._records = records
        self._job = job
        self._worker = worker
        self._drain = drain
        self._lease = settings.lease
        self._renewal = settings.renewal
        self._until = began + settings.lease
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fleet-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        renewed = told = time.monotonic()
        turn = min(_TURN, self._lease / 8)
        while not self._ended.wait(turn):
            now = time.monotonic()
            if self._drain.stage is Stage.HANDS_BACK:
                self._cancel(Ending.DRAINED)
            if now >= self._until - self._lease / 4:
                self._cancel(Ending.LOST)
            is_news = self.progress.is_changed and now - told >= min(_TELL, self._lease / 4)
            if is_news or now - renewed >= self._renewal:
                renewed = told = now
                self._renew(now)

    def _renew(self, now: float) -> None:
        changes = self.progress.changes()
        try:
            outcome = self._records.renew(self._job, *changes)
            if outcome is Renewal.VANISHED:
                outcome = self._records.restore(self._job, self._worker)
        except FleetError as error:
            self.progress.tell_again()
            _LOG.debug("%s", error)
            return
        if outcome is Renewal.LOST:
            self._until = 0.0
            self._cancel(Ending.LOST)
        elif outcome is Renewal.UNWANTED:
            self._until = now + self._lease
            self._cancel(Ending.UNWANTED)
        else:
            self._until = now + self._lease

    def _cancel(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.cancellation.cancel()
