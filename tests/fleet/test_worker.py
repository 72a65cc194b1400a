"""Workers as processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.fleet.errors import JobFailed, JobParked
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobKind, JobRequest, JobState, QueueName
from squashproxy.fleet.records import Message
from squashproxy.fleet.settings import FleetSettings
from squashproxy.progress import Observer, SilentObserver
from tests.fleet.redis_server import redis_server
from tests.fleet.test_fleet import Recorder
from tests.fleet.worker_process import EVENTS, WorkerProcess, workers


def request(name: str, **body: object) -> JobRequest:
    return JobRequest(JobKind.PROMOTE, name, f"promote {name}", {"name": name, **body})


class Asking:
    """A caller in a thread."""

    def __init__(self, fleet: Fleet, job: JobRequest) -> None:
        self.result: Mapping[str, Any] = {}
        self.cancellation = Cancellation()
        self.observer = Recorder()
        self._fleet = fleet
        self._job = job
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        try:
            self.result = self._fleet.run(self._job, self.observer, self.cancellation)
        except Cancelled:
            self.result = {"cancelled": True}

    def join(self) -> Mapping[str, Any]:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.result


def run(fleet: Fleet, job: JobRequest, observer: Observer | None = None) -> Mapping[str, Any]:
    return fleet.run(job, observer or SilentObserver(), Cancellation())


def wait_running(fleet: Fleet, count: int = 1) -> None:
    while fleet.snapshot().counts[JobState.RUNNING] < count:
        pass


@pytest.fixture(scope="module")
def one_worker(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FleetSettings, WorkerProcess]]:
    """A worker that several tests use, with a broker of its own that nobody empties meanwhile."""
    folder = tmp_path_factory.mktemp("worker")
    with redis_server(folder) as server:
        settings = FleetSettings(server.url, lease=2.0, drain=2.0)
        with workers(settings, folder, liveness=folder / "alive") as (worker,):
            yield settings, worker


@pytest.fixture
def shared(one_worker: tuple[FleetSettings, WorkerProcess]) -> Iterator[Fleet]:
    with Fleet(one_worker[0]) as fleet:
        yield fleet


def test_a_job_runs_on_a_worker(shared: Fleet) -> None:
    assert run(shared, request("plain", answer=7))["answer"] == 7


def test_one_message_brings_a_worker_all_jobs_that_are_queued(shared: Fleet) -> None:
    several = [request(f"several {number}", answer=number) for number in range(20)]
    for job in several:
        shared._records.submit(job, "")
    shared._messenger.send(Message(several[0].id, QueueName.BULK, shared.settings.version))
    assert [run(shared, job)["answer"] for job in several] == list(range(20))


def test_what_the_worker_reports_is_shown(shared: Fleet) -> None:
    recorder = Recorder()
    run(shared, request("told", warn="odd layer", seconds=0.2), recorder)
    assert recorder.shown.count("warn odd layer") == 1


def test_an_error_of_the_worker_is_told_with_its_sentence(shared: Fleet) -> None:
    with pytest.raises(JobFailed, match="there is no such image; is its name right") as caught:
        run(shared, request("gone", fail="gone"))
    assert caught.value.kind == "NotFound"


def test_a_bug_ends_its_job_alone(
    shared: Fleet, one_worker: tuple[FleetSettings, WorkerProcess]
) -> None:
    with pytest.raises(JobFailed, match=r"this is a bug \(ValueError: what nobody thought of\)"):
        run(shared, request("bug", fail="bug"))
    assert "Traceback" in one_worker[1].log.read_text()
    assert run(shared, request("after the bug"))["answer"] == 42


def test_a_job_that_nobody_waits_for_any_more_is_cancelled(
    shared: Fleet, one_worker: tuple[FleetSettings, WorkerProcess]
) -> None:
    asking = Asking(shared, request("long", seconds=60.0))
    one_worker[1].wait_for("promote long begins")
    asking.cancellation.cancel()
    assert asking.join() == {"cancelled": True}
    one_worker[1].wait_for("promote long: failed: it was cancelled, since nobody waited for it")


def test_a_poisoned_job_is_parked_and_the_others_go_on(shared: Fleet) -> None:
    """It kills the process that runs it, three times; the worker makes new processes."""
    poisoned = request("poisoned", die=True)
    asking = [Asking(shared, request(f"healthy {number}")) for number in range(4)]
    with pytest.raises(JobParked, match="it was given to a worker 3 times"):
        run(shared, poisoned)
    assert [each.join()["answer"] for each in asking] == [42] * 4
    assert run(shared, request("healthy after all"))["answer"] == 42


def test_a_worker_that_listens_gives_its_sign_of_life(
    one_worker: tuple[FleetSettings, WorkerProcess],
) -> None:
    assert (one_worker[1].log.parent / "alive").exists()


@pytest.mark.parametrize("seconds", [0.8, 60.0], ids=["finishes", "hands back"])
def test_a_worker_that_is_to_end_lets_its_job_finish_or_hands_it_back(
    settings: FleetSettings, tmp_path: Path, seconds: float
) -> None:
    is_long = seconds > settings.drain
    with workers(settings, tmp_path) as (worker,), Fleet(settings) as fleet:
        asking = Asking(fleet, request("job", seconds=seconds))
        worker.wait_for("promote job begins")
        assert worker.terminate() == 0
        assert ("handed back, since the worker ends" in worker.log.read_text()) is is_long
        snapshot = fleet.snapshot()
        assert snapshot.workers == ()
        assert snapshot.counts[JobState.QUEUED if is_long else JobState.DONE] == 1
        if is_long:
            assert snapshot.queued[0].deliveries == 0
            asking.cancellation.cancel()
        asking.join()


@pytest.mark.long
def test_the_second_signal_hands_back_at_once(settings: FleetSettings, tmp_path: Path) -> None:
    patient = replace(settings, drain=600.0)
    with workers(patient, tmp_path) as (worker,), Fleet(settings) as fleet:
        asking = Asking(fleet, request("job", seconds=60.0))
        worker.wait_for("promote job begins")
        worker.process.send_signal(signal.SIGINT)
        worker.wait_for("running jobs may go on for 600 s")
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(30) == 0
        assert fleet.snapshot().counts[JobState.QUEUED] == 1
        asking.cancellation.cancel()
        asking.join()


@pytest.mark.long
def test_a_worker_takes_only_the_queues_it_is_told(settings: FleetSettings, tmp_path: Path) -> None:
    queues = (QueueName.INTERACTIVE,)
    pull = JobRequest(JobKind.SQUASH, "pull", "squash debian", {}, QueueName.INTERACTIVE)
    with workers(settings, tmp_path, queues=queues), Fleet(settings) as fleet:
        fleet.submit(request("bulk"))
        assert run(fleet, pull)["answer"] == 42
        (waiting,) = fleet.snapshot().queued
        assert waiting.waits_for == f"a worker of version {settings.version} for bulk jobs"


def test_a_worker_of_another_version_takes_no_job(settings: FleetSettings, tmp_path: Path) -> None:
    old = replace(settings, version="4.1")
    with workers(old, tmp_path), Fleet(settings) as fleet, Fleet(old) as old_fleet:
        fleet.submit(request("new"))
        assert run(old_fleet, request("old"))["answer"] == 42
        (waiting,) = fleet.snapshot().queued
        assert waiting.title == "promote new"
        assert waiting.waits_for == f"a worker of version {settings.version} for bulk jobs"


def test_a_killed_process_of_a_worker_costs_a_delivery(
    settings: FleetSettings, tmp_path: Path
) -> None:
    with workers(settings, tmp_path, notes=settings.broker) as (worker,), Fleet(settings) as fleet:
        asking = Asking(fleet, request("job", seconds=0.5))
        while not (notes := fleet._broker.ask("LRANGE", EVENTS, 0, 0)):
            assert worker.process.poll() is None
        os.kill(int(notes[0].decode().split(" ")[2]), signal.SIGKILL)
        assert asking.join()["answer"] == 42
        assert fleet.snapshot().redeliveries == 1


@pytest.mark.long
def test_a_worker_that_has_gone_deaf_hears_again(settings: FleetSettings, tmp_path: Path) -> None:
    """Nothing else tells of it: the process lives, and so does its connection."""
    with workers(settings, tmp_path) as (worker,), Fleet(settings) as fleet:
        assert run(fleet, request("before"))["answer"] == 42
        worker.process.send_signal(signal.SIGUSR2)
        worker.wait_for("deaf")
        for number in range(3):
            asking = Asking(fleet, request(f"after-{number}"))
            assert asking.join()["answer"] == 42
        assert "that this worker does not hear; it connects anew" in worker.log.read_text()


@pytest.mark.long
def test_a_worker_ends_in_time_although_its_broker_is_away(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        settings = FleetSettings(server.url, lease=4.0, drain=1.0, patience=0.0)
        with workers(settings, tmp_path, notes="") as (worker,), Fleet(settings) as fleet:
            fleet.submit(request("job", seconds=60.0))
            worker.wait_for("promote job begins")
            server.stop()
            worker.wait_for("the broker cannot be reached")
            assert worker.terminate() == 0
            assert "handed back, since the worker ends" in worker.log.read_text()
