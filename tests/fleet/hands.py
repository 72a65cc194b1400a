"""A worker in a thread: it takes jobs from the records as a worker's process does, without Celery.

Each script says how a job goes; a test that needs processes has worker_process.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from squashproxy.fleet.broker import Broker
from squashproxy.fleet.records import Records, TakenJob
from squashproxy.fleet.settings import FleetSettings

Script = Callable[[Records, TakenJob], None]


class Hands:
    """Takes the jobs with these IDs as they come to be queued, one script after another."""

    def __init__(self, settings: FleetSettings, job: str, scripts: tuple[Script, ...]) -> None:
        self.broker = Broker(settings)
        self.records = Records(self.broker)
        self._job = job
        self._scripts = scripts
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        for number, script in enumerate(self._scripts):
            while not self._ended.wait(0.005):
                taken = self.records.take(self._job, f"token-{number}", f"worker-{number}")
                if isinstance(taken, TakenJob):
                    script(self.records, taken)
                    break

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self.broker.close()


@contextmanager
def hands(settings: FleetSettings, job: str, *scripts: Script) -> Iterator[Hands]:
    """A worker that carries out the scripts during the block, for one delivery each."""
    working = Hands(settings, job, scripts)
    working.start()
    try:
        yield working
    finally:
        working.end()
