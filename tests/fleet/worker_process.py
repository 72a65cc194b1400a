"""A worker as a process, whose handlers do what the body of a job says.

Each job notes in the broker when it begins and ends, so that tests can tell whether two ran at
once. Usage: python -m tests.fleet.worker_process SETTINGS, which is JSON.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kombu.transport.redis
import redis
from celery import signals

from squashproxy.cancellation import Cancellation
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.fleet.handlers import Handlers
from squashproxy.fleet.job import JobBody, JobKind, QueueName
from squashproxy.fleet.settings import FleetSettings
from squashproxy.fleet.worker import run_worker
from squashproxy.progress import Observer

ROOT = Path(__file__).parents[2]
EVENTS = "test:events"


class Work:
    """The handler of all kinds of jobs."""

    def __init__(self, note_url: str) -> None:
        self._notes = redis.Redis.from_url(note_url) if note_url else None

    def __call__(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, Any]:
        self._note("begin", body)
        try:
            return self._do(body, observer, cancellation)
        finally:
            self._note("end", body)

    def _note(self, what: str, body: JobBody) -> None:
        if self._notes is not None and "name" in body:
            self._notes.rpush(EVENTS, f"{what} {body['name']} {os.getpid()} {os.getsid(0)}")

    def _do(
        self, body: JobBody, observer: Observer, cancellation: Cancellation
    ) -> Mapping[str, Any]:
        if body.get("die"):
            self._note("died", body)
            os.kill(os.getpid(), signal.SIGKILL)
        if body.get("fail") == "gone":
            raise NotFound("there is no such image", advice="is its name right?")
        if body.get("fail") == "bug":
            raise ValueError("what nobody thought of")
        if warning := body.get("warn"):
            observer.warn(warning)
        task = observer.start("work", 10)
        until = time.monotonic() + body.get("seconds", 0.0)
        while (left := until - time.monotonic()) > 0:
            cancellation.check()
            task.advance(1)
            time.sleep(min(0.05, left))
        task.finish("done")
        return {"answer": body.get("answer", 42), "process": os.getpid()}


def _deafen_when_told(sender: Any, **_: object) -> None:
    """SIGUSR2 has the consumer forget its queues, as broken connections did."""

    def cancel() -> None:
        sender.task_consumer.cancel()
        logging.getLogger().info("deaf")

    def deafen(*_: object) -> None:
        sender.call_soon(cancel)

    signal.signal(signal.SIGUSR2, deafen)


def main() -> None:
    stated = json.loads(sys.argv[1])
    if skew := float(os.environ.get("SKEW", "0")):
        kombu.transport.redis.time = lambda: time.time() + skew
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    logging.getLogger("squashproxy.fleet").setLevel(logging.DEBUG)
    liveness, notes = stated.pop("liveness"), stated.pop("notes")
    signals.worker_ready.connect(_deafen_when_told, weak=False)
    queues = [QueueName(name) for name in stated.pop("queues")]
    settings = FleetSettings(**{**stated, "marks": frozenset(stated["marks"])})

    @contextmanager
    def open_handlers(_: object) -> Iterator[Handlers]:
        work = Work(notes)
        yield dict.fromkeys(JobKind, work)

    try:
        run_worker(settings, queues, open_handlers, liveness=Path(liveness) if liveness else None)
    except SquashproxyError as error:
        sys.exit(f"error: {error}")


class WorkerProcess:
    """A worker that tests start, stop and kill."""

    def __init__(
        self,
        settings: FleetSettings,
        log: Path,
        *,
        queues: tuple[QueueName, ...] = tuple(QueueName),
        liveness: Path | None = None,
        notes: str | None = None,
    ) -> None:
        self.log = log
        stated = {
            "broker": settings.broker,
            "prefix": settings.prefix,
            "lease": settings.lease,
            "drain": settings.drain,
            "jobs": settings.jobs,
            "marks": sorted(settings.marks),
            "patience": settings.patience,
            "version": settings.version,
            "deliveries": settings.deliveries,
            "visibility": settings.visibility,
            "queues": [queue.value for queue in queues],
            "liveness": None if liveness is None else str(liveness),
            "notes": settings.broker if notes is None else notes,
        }
        with log.open("ab") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fleet.worker_process", json.dumps(stated)],
                cwd=ROOT,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it listens."""
        self.wait_for("takes interactive", "takes bulk")

    def wait_for(self, *texts: str) -> None:
        """Wait until its log has one of some texts."""
        for _ in range(600):
            written = self.log.read_text()
            if any(text in written for text in texts):
                return
            assert self.process.poll() is None, written
            time.sleep(0.05)
        raise AssertionError(f"none of {texts} in:\n{self.log.read_text()}")

    def terminate(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL to it and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def workers(
    settings: FleetSettings, folder: Path, count: int = 1, **options: Any
) -> Iterator[list[WorkerProcess]]:
    """Some workers that run during the block."""
    started = [
        WorkerProcess(settings, folder / f"worker-{number}.log", **options)
        for number in range(count)
    ]
    try:
        for each in started:
            each.wait_ready()
        yield started
    finally:
        for each in started:
            each.kill()


if __name__ == "__main__":
    main()
