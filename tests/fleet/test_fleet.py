"""The fleet as those see it who submit jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.errors import NotFound, Unreachable
from squashproxy.fleet.errors import BrokerAway, JobFailed, JobParked, LeaseLost
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobKind, JobRequest, JobState, QueueName
from squashproxy.fleet.records import Message, Records, Submitted, TakenJob
from squashproxy.fleet.settings import FleetSettings
from squashproxy.progress import Observer, SilentObserver, Task
from squashproxy.state.locks import RuleBusy
from tests.fleet.hands import Script, hands
from tests.fleet.redis_server import RedisServer, redis_server

REQUEST = JobRequest(JobKind.PROMOTE, "key", "promote apps/web:1", {"rule": "apps"})
JOB = REQUEST.id


class Recorder:
    """An observer that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.warned = threading.Event()

    def start(self, label: str, total: int | None) -> Task:
        self.shown.append(f"start {label} {total}")
        return RecordedTask(self, label)

    def warn(self, sentence: str) -> None:
        self.shown.append(f"warn {sentence}")
        self.warned.set()


class RecordedTask:
    def __init__(self, recorder: Recorder, label: str) -> None:
        self._recorder = recorder
        self._label = label

    def advance(self, count: int) -> None:
        self._recorder.shown.append(f"{self._label} +{count}")

    def finish(self, outcome: str = "") -> None:
        self._recorder.shown.append(f"end {self._label} {outcome}".rstrip())


@pytest.fixture
def fleet(settings: FleetSettings) -> Iterator[Fleet]:
    with Fleet(settings, name="host:1:aa") as opened:
        yield opened


def done(result: object) -> Script:
    def script(records: Records, job: TakenJob) -> None:
        records.finish(job, {"answer": result}, None, [])

    return script


def run(fleet: Fleet, observer: Observer | None = None) -> object:
    return fleet.run(REQUEST, observer or SilentObserver(), Cancellation())["answer"]


def test_a_job_gives_its_result(fleet: Fleet, settings: FleetSettings) -> None:
    def script(records: Records, job: TakenJob) -> None:
        records.finish(job, {"answer": job.body["rule"]}, None, [])

    with hands(settings, JOB, script):
        assert run(fleet) == "apps"


def test_everyone_who_asks_for_a_job_gets_the_result_of_one(
    fleet: Fleet, settings: FleetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred at once, in a hundred threads; the job ends when all have joined it."""
    found: list[object] = []
    joined = threading.Semaphore(0)
    submit = fleet._records.submit

    def counted(request: JobRequest, waiter: str) -> tuple[Submitted, Message | None]:
        outcome = submit(request, waiter)
        joined.release()
        return outcome

    monkeypatch.setattr(fleet._records, "submit", counted)

    def ask() -> None:
        found.append(run(fleet))

    def script(records: Records, job: TakenJob) -> None:
        for _ in range(100):
            joined.acquire(timeout=30)
        records.finish(job, {"answer": 7}, None, [])

    threads = [threading.Thread(target=ask) for _ in range(100)]
    with hands(settings, JOB, script) as working:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [7] * 100
        assert working.broker.ask("HGET", working.broker.key("counters"), "deliveries") == b"1"


def test_progress_and_warnings_of_the_worker_are_shown(
    fleet: Fleet, settings: FleetSettings
) -> None:
    recorder = Recorder()

    def script(records: Records, job: TakenJob) -> None:
        records.renew(job, [[1, "layers", 10, 4, None]], ["odd layer"])
        recorder.warned.wait(10)
        records.renew(job, [[1, "layers", 10, 10, "done"], [2, "config", None, 1, None]], None)
        records.finish(job, {"answer": 1}, None, ["odd layer", "late"])

    with hands(settings, JOB, script):
        assert run(fleet, recorder) == 1
    assert recorder.shown[:3] == ["warn odd layer", "start layers 10", "layers +4"]
    assert recorder.shown.count("warn odd layer") == 1
    assert "warn late" in recorder.shown
    begun = [line for line in recorder.shown if line.startswith("start")]
    assert sum(line.startswith("end") for line in recorder.shown) == len(begun)


@pytest.mark.parametrize(
    ("error", "is_temporary"),
    [
        (NotFound("there is no such image", advice="is its name right?"), False),
        (Unreachable("cannot reach registry.example.com"), True),
    ],
    ids=["for good", "temporary"],
)
def test_the_workers_error_is_raised_with_its_sentence(
    fleet: Fleet, settings: FleetSettings, error: NotFound | Unreachable, *, is_temporary: bool
) -> None:
    def script(records: Records, job: TakenJob) -> None:
        records.finish(job, None, error, [])

    with hands(settings, JOB, script), pytest.raises(JobFailed) as caught:
        run(fleet)
    assert str(caught.value) == str(error)
    assert caught.value.kind == type(error).__name__
    assert caught.value.temporary is is_temporary


def test_a_job_that_the_broker_lost_is_submitted_again(
    fleet: Fleet, settings: FleetSettings
) -> None:
    def lose(records: Records, job: TakenJob) -> None:  # noqa: ARG001 - a script
        records._broker.ask("FLUSHALL")

    with hands(settings, JOB, lose, done("again")):
        assert run(fleet) == "again"


def test_a_job_whose_worker_goes_is_done_by_the_next(fleet: Fleet, settings: FleetSettings) -> None:
    def go(records: Records, job: TakenJob) -> None:
        records.renew(job, [[1, "layers", 10, 4, None]], None)
        records._broker.ask("DEL", records._broker.key("lease", JOB))

    recorder = Recorder()
    with hands(settings, JOB, go, done(2)):
        assert run(fleet, recorder) == 2
    begun = sum(line.startswith("start") for line in recorder.shown)
    assert sum(line.startswith("end") for line in recorder.shown) == begun


def test_a_parked_job_says_how_to_go_on(fleet: Fleet, settings: FleetSettings) -> None:
    def go(records: Records, job: TakenJob) -> None:
        records._broker.ask("DEL", records._broker.key("lease", job.id))

    with hands(settings, JOB, go, go, go, go), pytest.raises(JobParked) as caught:
        run(fleet)
    assert str(caught.value) == (
        "promote apps/web:1 is parked: it was given to a worker 3 times, and none of them came to "
        f"its end; see the workers' logs, then retry it with `jobs --retry {JOB}`"
    )
    assert [job.id for job in fleet.snapshot().parked] == [JOB]
    with pytest.raises(JobParked, match="is parked: it was given to a worker 3 times"):
        run(fleet)
    fleet.retry(JOB)
    with hands(settings, JOB, done(3)):
        assert run(fleet) == 3


def test_whoever_is_cancelled_takes_a_job_along_that_nobody_else_wants(fleet: Fleet) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    fleet._submit(REQUEST, fleet._changes.channel)
    with pytest.raises(Cancelled):
        fleet.run(REQUEST, SilentObserver(), cancellation)
    assert fleet.snapshot().counts[JobState.QUEUED] == 0


def test_whoever_is_cancelled_leaves_a_job_to_others(fleet: Fleet, settings: FleetSettings) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with Fleet(settings) as other:
        other._submit(REQUEST, other._changes.channel)
        with pytest.raises(Cancelled):
            fleet.run(REQUEST, SilentObserver(), cancellation)
        assert fleet.snapshot().counts[JobState.QUEUED] == 1


def test_an_absent_broker_is_waited_for_which_is_said_and_then_an_error() -> None:
    now = [0.0]
    settings = FleetSettings("redis://127.0.0.1:1/0", patience=3.0)

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    recorder = Recorder()
    with (
        Fleet(settings, clock=clock) as fleet,
        pytest.raises(BrokerAway, match=r"redis://127\.0\.0\.1:1 cannot be reached: connection re"),
    ):
        run(fleet, recorder)
    (told,) = recorder.shown
    assert told == (
        "warn the broker redis://127.0.0.1:1 cannot be reached: connection refused; waiting for it "
        "for up to 3 s"
    )


def test_a_broker_that_comes_back_is_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with redis_server(tmp_path_factory.mktemp("back")) as server:
        settings = FleetSettings(server.url, lease=2.0, patience=60.0)
        recorder = Recorder()
        with Fleet(settings) as fleet:
            server.stop()
            found: list[object] = []
            thread = threading.Thread(target=lambda: found.append(run(fleet, recorder)))
            thread.start()
            assert recorder.warned.wait(10)
            server.start()
            with hands(settings, JOB, done(4)):
                thread.join(30)
            assert found == [4]


def test_a_rule_runs_in_one_process_at_a_time(fleet: Fleet, settings: FleetSettings) -> None:
    with Fleet(settings, name="host:2:bb") as other:
        with fleet.hold("promote", ["apps", "base"]) as hold:
            hold.check()
            with (
                pytest.raises(RuleBusy, match="the promote rule apps runs already in host:1:aa"),
                other.hold("promote", ["apps"]),
            ):
                pass
            with other.hold("promote", ["others"]), other.hold("cleanup", ["apps"]):
                pass
        with other.hold("promote", ["apps"]):
            pass


def test_a_hold_that_may_be_lost_says_so(server: RedisServer) -> None:
    now = [100.0]
    settings = FleetSettings(server.url, lease=60.0)
    with (
        Fleet(settings, clock=lambda: now[0]) as fleet,
        fleet.hold("promote", ["apps"]) as hold,
    ):
        now[0] += 59.0
        hold.check()
        now[0] += 2.0
        with pytest.raises(LeaseLost, match=r"the lease of lock:promote:apps was lost"):
            hold.check()


def test_one_process_leads_and_another_takes_over(fleet: Fleet, settings: FleetSettings) -> None:
    with Fleet(settings, name="host:2:bb") as other, other.lead() as second:
        assert second.is_leader
        with fleet.lead() as first:
            assert not first.is_leader
            assert fleet.snapshot().leader == "host:2:bb"
            fleet._broker.ask("DEL", fleet._broker.key("leader"))
            assert first.try_now()
            assert not second.try_now()
            assert fleet.snapshot().leader == "host:1:aa"


def test_nobody_leads_while_the_broker_is_away() -> None:
    with Fleet(FleetSettings("redis://127.0.0.1:1/0")) as fleet, fleet.lead() as leadership:
        assert not leadership.is_leader


def test_all_processes_share_the_rate_of_a_registry(fleet: Fleet, settings: FleetSettings) -> None:
    slept: list[float] = []
    with Fleet(settings) as other:
        for each in (fleet, other, fleet, other):
            each.pacer({"registry.example.com": 0.1}, slept.append).wait("registry.example.com")
    assert [round(seconds, 0) for seconds in slept] == [10, 20, 30]
    waited = fleet.snapshot().registry_waits["registry.example.com"]
    assert waited == pytest.approx(sum(slept), abs=0.01)


def test_a_registry_without_a_rate_is_not_waited_for(fleet: Fleet) -> None:
    slept: list[float] = []
    pacer = fleet.pacer({"registry.example.com": 0.001}, slept.append)
    for _ in range(3):
        pacer.wait("other.example.com")
    assert slept == []


def test_without_a_broker_each_process_keeps_to_the_rate_for_itself() -> None:
    slept: list[float] = []
    with Fleet(FleetSettings("redis://127.0.0.1:1/0")) as fleet:
        pacer = fleet.pacer({"registry.example.com": 0.1}, slept.append, lambda: 0.0)
        for _ in range(3):
            pacer.wait("registry.example.com")
    assert slept == [10.0, 20.0]


def test_a_journal_outlives_who_writes_it(fleet: Fleet, settings: FleetSettings) -> None:
    fleet.journal("audit-1").append({"deleted": "sha256:1"})
    fleet.journal("audit-1").append({"deleted": "sha256:2"})
    with Fleet(settings) as other:
        journal = other.journal("audit-1")
        assert journal.read() == [{"deleted": "sha256:1"}, {"deleted": "sha256:2"}]
        assert journal.read(1) == [{"deleted": "sha256:2"}]
        journal.forget()
        assert journal.read() == []


def test_the_state_of_a_fleet_shows_each_job(fleet: Fleet, settings: FleetSettings) -> None:
    def busy(records: Records, job: TakenJob) -> None:
        records.renew(job, [[1, "layers", 10, 4, None]], None)

    fleet.submit(REQUEST)
    fleet.submit(JobRequest(JobKind.SQUASH, "q", "squash debian:12", {}, QueueName.INTERACTIVE))
    with hands(settings, JOB, busy) as working:
        while not fleet.snapshot().running or not fleet.snapshot().running[0].doing:
            pass
        (running,) = fleet.snapshot().running
        (queued,) = fleet.snapshot().queued
        assert (running.title, running.worker, running.deliveries) == (
            *("promote apps/web:1", "worker-0"),
            1,
        )
        assert (running.doing, running.done, running.total) == ("layers", 4, 10)
        assert (queued.title, queued.waits_for) == (
            "squash debian:12",
            f"a worker of version {settings.version} for interactive jobs",
        )
        assert fleet.snapshot().queues[QueueName.INTERACTIVE].queued == 1
        assert working is not None


def test_a_fleet_shows_no_password() -> None:
    settings = FleetSettings("redis://u:s3cret@127.0.0.1:1/0", password=None)
    with Fleet(settings) as fleet:
        for text in (repr(fleet), repr(settings), repr(fleet._broker), fleet.address):
            assert "s3cret" not in text
        with pytest.raises(BrokerAway) as caught:
            fleet.check()
    assert "s3cret" not in str(caught.value)
