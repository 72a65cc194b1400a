"""Faults of brokers and workers, each with a seed, and what must hold whatever happens.

Real workers take jobs from a real broker while something goes wrong. Every job notes in another
broker, which nothing happens to, when it begins and ends and in which process.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from squashproxy.cancellation import Cancellation
from squashproxy.fleet.errors import FleetError, JobParked
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobKind, JobRequest, QueueName
from squashproxy.fleet.records import Message
from squashproxy.fleet.settings import FleetSettings
from squashproxy.progress import SilentObserver
from tests.fleet.redis_server import redis_server
from tests.fleet.slow_proxy import SlowProxy, slow_proxy
from tests.fleet.worker_process import EVENTS, WorkerProcess

LEASE = 4.0


@dataclass(slots=True)
class Tally:
    """What became of the jobs of a run.

    `overlaps` are jobs that two workers ran at once, each believing in its lease; `stuck` are those
    that had not ended when the run was given up.
    """

    submitted: int = 0
    done: int = 0
    failed: int = 0
    parked: int = 0
    stuck: int = 0
    again: int = 0
    overlaps: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether no job was lost, run by two at once, or left standing."""
        ended = self.done + self.parked
        return (ended, self.failed, self.stuck, self.overlaps) == (self.submitted, 0, 0, 0)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


class Scene:
    """A broker, workers and callers; `random` decides when what happens."""

    def __init__(self, folder: Path, seed: int, stack: ExitStack) -> None:
        self.random = random.Random(seed)
        self._folder = folder
        self._stack = stack
        for name in ("broker", "notes"):
            (folder / name).mkdir()
        self.broker = stack.enter_context(redis_server(folder / "broker"))
        self.notes = stack.enter_context(redis_server(folder / "notes"))
        self.proxy: SlowProxy = stack.enter_context(slow_proxy(self.broker.port))
        self.settings = FleetSettings(self.proxy.url, lease=LEASE, drain=2.0, patience=90.0, jobs=2)
        self.workers: list[WorkerProcess] = []
        self.tally = Tally()
        self._threads: list[threading.Thread] = []
        self._fleets: list[Fleet] = []
        self._lock = threading.Lock()
        self._started = 0

    def pause(self, shortest: float, longest: float) -> None:
        """Let some time go by, as the seed says."""
        time.sleep(self.random.uniform(shortest, longest))

    def start_worker(self, **options: object) -> WorkerProcess:
        """One more worker, which is ready."""
        self._started += 1
        settings = replace(self.settings, **options)  # type: ignore[arg-type]
        worker = WorkerProcess(
            settings, self._folder / f"worker-{self._started}.log", notes=self.notes.url
        )
        self._stack.callback(worker.kill)
        worker.wait_ready()
        self.workers.append(worker)
        return worker

    def kill(self, worker: WorkerProcess) -> None:
        """End a worker with all its processes, at once."""
        worker.kill()
        self.workers.remove(worker)
        with self.notes.client as client:
            client.rpush(EVENTS, f"killed {worker.process.pid} all 0")

    def fleet(self) -> Fleet:
        """One more process, as it were, that submits jobs."""
        fleet = Fleet(self.settings)
        self._fleets.append(fleet)
        return fleet

    def ask(self, fleet: Fleet, name: str, **body: object) -> None:
        """Submit a job, and wait for it in a thread."""
        job = JobRequest(JobKind.PROMOTE, name, name, {"name": name, **body})
        thread = threading.Thread(target=self._wait, args=(fleet, job), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wait(self, fleet: Fleet, job: JobRequest) -> None:
        with self._lock:
            self.tally.submitted += 1
        try:
            fleet.run(job, SilentObserver(), Cancellation())
        except JobParked:
            with self._lock:
                self.tally.parked += 1
        except FleetError as error:
            with self._lock:
                self.tally.failed += 1
                self.tally.errors.append(str(error))
        else:
            with self._lock:
                self.tally.done += 1

    def join(self, seconds: float = 60.0) -> None:
        """Wait until all jobs have ended, or too long."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self.tally.stuck = sum(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """End the callers."""
        for fleet in self._fleets:
            fleet.close()

    def count(self) -> None:
        """See in the notes how often jobs began, and whether two ran at once."""
        with self.notes.client as client:
            lines = [str(line).split(" ") for line in client.lrange(EVENTS, 0, -1)]
        running: dict[str, dict[str, str]] = {}
        begun: Counter[str] = Counter()
        for what, name, process, session in lines:
            if what == "begin":
                begun[name] += 1
                self.tally.overlaps += bool(running.setdefault(name, {}))
                running[name][process] = session
            elif what in ("end", "died"):
                running[name].pop(process, None)
            else:
                for by_process in running.values():
                    for each, of_session in list(by_process.items()):
                        if (name, process) in ((of_session, "all"), (of_session, each)):
                            del by_process[each]
        self.tally.again = sum(count - 1 for count in begun.values())


Fault = Callable[[Scene], None]


def _ask_all(scene: Scene, count: int = 12, longest: float = 0.6, name: str = "job") -> None:
    fleet = scene.fleet()
    for number in range(count):
        scene.ask(fleet, f"{name}-{number}", seconds=scene.random.uniform(0.0, longest))


def worker_killed(scene: Scene) -> None:
    """One of three workers is killed at any moment, twice."""
    for _ in range(3):
        scene.start_worker()
    _ask_all(scene)
    for _ in range(2):
        scene.pause(0.0, 1.0)
        scene.kill(scene.random.choice(scene.workers))
    scene.start_worker()


def all_workers_killed(scene: Scene) -> None:
    """All workers are killed at any moment, and others begin."""
    for _ in range(2):
        scene.start_worker()
    _ask_all(scene)
    scene.pause(0.0, 1.0)
    for worker in list(scene.workers):
        scene.kill(worker)
    scene.start_worker()


def process_killed(scene: Scene) -> None:
    """Processes that run jobs are killed, while their workers live."""
    for _ in range(2):
        scene.start_worker()
    _ask_all(scene, longest=1.0)
    for _ in range(3):
        scene.pause(0.1, 0.6)
        with scene.notes.client as client:
            begun = [str(line).split(" ") for line in client.lrange(EVENTS, 0, -1)]
        if not begun:
            continue
        _, _, process, session = scene.random.choice(begun)
        if _is_child(scene, int(process)):
            os.kill(int(process), signal.SIGKILL)
            with scene.notes.client as client:
                client.rpush(EVENTS, f"killed {session} {process} 0")


def _is_child(scene: Scene, process: int) -> bool:
    try:
        return os.getsid(process) in {worker.process.pid for worker in scene.workers}
    except ProcessLookupError:
        return False


def broker_restarted_with_data(scene: Scene) -> None:
    """The broker saves its data, and starts again."""
    _restart(scene, with_data=True)


def broker_restarted_without_data(scene: Scene) -> None:
    """The broker starts again, and knows nothing."""
    _restart(scene, with_data=False)


def _restart(scene: Scene, *, with_data: bool) -> None:
    for _ in range(2):
        scene.start_worker()
    _ask_all(scene, 8, longest=4.0)
    scene.pause(0.0, 1.5)
    scene.broker.stop(with_data=with_data)
    scene.pause(0.0, 0.5)
    scene.broker.start()


def broker_full(scene: Scene) -> None:
    """The broker takes no writes for a while."""
    for _ in range(2):
        scene.start_worker()
    with scene.broker.client as client:
        _ask_all(scene, 6, longest=1.0)
        scene.pause(0.0, 0.5)
        client.config_set("maxmemory", "1mb")
        _ask_all(scene, 6, name="late")
        scene.pause(1.0, 2.0)
        client.config_set("maxmemory", "0")


def broker_slow(scene: Scene) -> None:
    """Each answer of the broker takes its time."""
    for _ in range(2):
        scene.start_worker()
    scene.proxy.delay = scene.random.uniform(0.02, 0.15)
    _ask_all(scene)
    scene.join()


def broker_out_of_reach(scene: Scene) -> None:
    """Nothing comes through for longer than a lease; then it does."""
    for _ in range(2):
        scene.start_worker()
    _ask_all(scene, 8, longest=6.0)
    scene.pause(0.0, 1.0)
    scene.proxy.cut()
    scene.pause(1.5 * LEASE, 2.5 * LEASE)
    scene.proxy.mend()


def broker_frozen(scene: Scene) -> None:
    """The broker itself stands still for longer than a lease; then it goes on."""
    for _ in range(2):
        scene.start_worker()
    _ask_all(scene, 8, longest=6.0)
    scene.pause(0.0, 1.0)
    scene.broker.freeze()
    scene.pause(1.5 * LEASE, 2.0 * LEASE)
    scene.broker.thaw()


def submitted_a_hundred_times(scene: Scene) -> None:
    """The same three jobs are asked for a hundred times each, by several processes."""
    for _ in range(2):
        scene.start_worker()
    fleets = [scene.fleet() for _ in range(4)]
    for number in range(300):
        scene.ask(fleets[number % 4], f"job-{number % 3}", seconds=2.0)


def poisoned_job(scene: Scene) -> None:
    """A job kills its process each time, and others wait behind it."""
    for _ in range(2):
        scene.start_worker()
    fleet = scene.fleet()
    scene.ask(fleet, "poison", die=True)
    _ask_all(scene)


def strange_clocks(scene: Scene) -> None:
    """The clocks of two workers are ten minutes off, one each way."""
    scene.start_worker()
    for skew in (600.0, -600.0):
        os.environ["SKEW"] = str(skew)
        try:
            scene.start_worker(visibility=120)
        finally:
            del os.environ["SKEW"]
    _ask_all(scene, 24, longest=1.0)


def worker_of_another_version(scene: Scene) -> None:
    """An older worker is there, and the last newer one is killed and comes back."""
    scene.start_worker(version="4.1")
    scene.start_worker()
    _ask_all(scene)
    scene.pause(0.0, 1.0)
    scene.kill(scene.workers[1])
    scene.start_worker()


def messages_doubled(scene: Scene) -> None:
    """Each message comes several times, as after the visibility time-out of a long job."""
    for _ in range(2):
        scene.start_worker()
    _ask_all(scene)
    fleet = scene.fleet()
    version = scene.settings.version
    with scene.broker.client as client:
        for _ in range(5):
            scene.pause(0.0, 0.3)
            for key in ("state:running", f"queued:bulk:{version}"):
                for job in client.zrange(f"squashproxy:{key}", 0, -1):
                    fleet._messenger.send(Message(str(job), QueueName.BULK, version))


def messages_lost(scene: Scene) -> None:
    """All messages are lost; the records are not."""
    _ask_all(scene)
    scene.pause(0.3, 0.6)
    with scene.broker.client as client:
        client.delete(f"squashproxy:celery:squashproxy.bulk.{scene.settings.version}")
    scene.start_worker()


FAULTS: dict[str, Fault] = {
    "a worker killed": worker_killed,
    "all workers killed": all_workers_killed,
    "a worker's process killed": process_killed,
    "broker restarted, with its data": broker_restarted_with_data,
    "broker restarted, without": broker_restarted_without_data,
    "broker full": broker_full,
    "broker slow": broker_slow,
    "broker out of reach": broker_out_of_reach,
    "broker frozen": broker_frozen,
    "a job submitted 100 times": submitted_a_hundred_times,
    "a poisoned job": poisoned_job,
    "clocks ten minutes off": strange_clocks,
    "a worker of another version": worker_of_another_version,
    "messages doubled": messages_doubled,
    "messages lost": messages_lost,
}


def play(fault: Fault, seed: int, folder: Path) -> Tally:
    """Let a fault happen once, and see what became of the jobs."""
    with ExitStack() as stack:
        scene = Scene(folder, seed, stack)
        began = time.monotonic()
        fault(scene)
        scene.join()
        scene.tally.seconds = time.monotonic() - began
        scene.close()
        scene.count()
    return scene.tally
