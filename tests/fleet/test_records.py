"""The records of jobs, in a real broker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from squashproxy.errors import NotFound
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import BrokerAway, FleetError
from squashproxy.fleet.job import JobKind, JobRequest, JobState, QueueName
from squashproxy.fleet.queue_names import queue_list
from squashproxy.fleet.records import (
    Message,
    OtherServer,
    Records,
    Refusal,
    Renewal,
    Submitted,
    TakenJob,
    Wish,
    pack,
    unpack,
)
from squashproxy.fleet.settings import FleetSettings
from squashproxy.fleet.view import read_snapshot
from tests.fleet.redis_server import RedisServer, redis_server

REQUEST = JobRequest(JobKind.PROMOTE, "key", "promote apps/web:1", {"rule": "apps"})
JOB = REQUEST.id
BULK, INTERACTIVE = QueueName.BULK, QueueName.INTERACTIVE


class Room:
    """Records, with the broker's own view of them."""

    def __init__(self, settings: FleetSettings) -> None:
        self.broker = Broker(settings)
        self.records = Records(self.broker)
        self.settings = settings

    def submit(self, request: JobRequest = REQUEST) -> Submitted:
        return self.records.submit(request, "somebody")[0]

    def take(self, token: str = "mine") -> TakenJob:
        taken = self.records.take(JOB, token, "worker-1")
        assert isinstance(taken, TakenJob)
        return taken

    def end_lease(self) -> None:
        """As time does."""
        self.broker.ask("DEL", self.broker.key("lease", JOB))

    def reap(self) -> list[Message]:
        """Not held up by an earlier turn."""
        self.broker.ask("DEL", self.broker.key("reaper"))
        return self.records.reap("me", 60.0)

    @property
    def state(self) -> JobState | None:
        return self.records.look(JOB).state

    @property
    def exists(self) -> bool:
        return bool(self.broker.ask("EXISTS", self.broker.key("job", JOB)))

    @property
    def deliveries(self) -> int:
        return int(self.broker.ask("HGET", self.broker.key("job", JOB), "deliveries"))

    def count(self, state: JobState) -> int:
        return read_snapshot(self.broker).counts[state]

    def lose_everything(self) -> None:
        self.broker.ask("FLUSHALL")


@pytest.fixture
def room(settings: FleetSettings) -> Iterator[Room]:
    opened = Room(settings)
    yield opened
    opened.broker.close()


def other_version(settings: FleetSettings) -> FleetSettings:
    return FleetSettings(settings.broker, version="4.1")


def test_one_kind_and_key_are_one_job_whatever_the_rest() -> None:
    other = JobRequest(JobKind.PROMOTE, "key", "another title", {"x": 1}, INTERACTIVE)
    assert other.id == JOB
    assert JobRequest(JobKind.PLAN, "key", "t").id != JOB
    assert JobRequest(JobKind.PROMOTE, "key2", "t").id != JOB


def test_a_new_job_is_queued_and_has_a_message(room: Room) -> None:
    outcome, message = room.records.submit(REQUEST, "me")
    assert outcome is Submitted.NEW
    assert message == Message(JOB, BULK, room.settings.version)
    assert (room.state, room.count(JobState.QUEUED)) == (JobState.QUEUED, 1)


def test_a_live_job_is_joined_and_needs_no_other_message(room: Room) -> None:
    room.submit()
    assert room.records.submit(REQUEST, "another") == (Submitted.JOINED, None)
    room.take()
    assert room.records.submit(REQUEST, "a third") == (Submitted.JOINED, None)
    assert room.count(JobState.RUNNING) == 1


@pytest.mark.parametrize("error", [None, NotFound("there is none")], ids=["done", "failed"])
def test_a_job_that_is_over_begins_anew(room: Room, error: NotFound | None) -> None:
    room.submit()
    assert room.records.finish(room.take(), {"a": 1}, error, ["odd"])
    assert room.submit() is Submitted.NEW
    found = room.records.look(JOB)
    assert (found.state, found.result, found.error, found.warnings) == (
        *(JobState.QUEUED, None, None),
        (),
    )
    assert room.count(JobState.DONE) == room.count(JobState.FAILED) == 0


def test_a_job_that_somebody_waits_for_overtakes_those_of_its_bulk(room: Room) -> None:
    room.submit()
    sooner = JobRequest(JobKind.PROMOTE, "key", "t", {}, INTERACTIVE)
    outcome, message = room.records.submit(sooner, "pull")
    assert (outcome, message) == (
        Submitted.MOVED,
        Message(JOB, INTERACTIVE, room.settings.version),
    )
    assert read_snapshot(room.broker).queues[BULK].queued == 0
    assert room.submit() is Submitted.JOINED
    assert read_snapshot(room.broker).queues[INTERACTIVE].queued == 1


def test_a_queued_job_follows_the_version_of_who_asks_last(room: Room) -> None:
    old = Room(other_version(room.settings))
    old.submit()
    assert room.submit() is Submitted.MOVED
    assert old.records.take(JOB, "t", "w") is Refusal.VERSION
    assert isinstance(room.records.take(JOB, "t", "w"), TakenJob)
    assert old.submit() is Submitted.JOINED
    old.broker.close()


def test_a_worker_gets_what_was_submitted_and_the_delivery_counts(room: Room) -> None:
    room.submit()
    assert room.take("t") == TakenJob(JOB, "t", JobKind.PROMOTE, REQUEST.title, REQUEST.body, BULK)
    assert (room.state, room.deliveries) == (JobState.RUNNING, 1)


def test_taking_again_with_the_same_token_is_the_same_delivery(room: Room) -> None:
    room.submit()
    assert room.take("t") == room.take("t")
    assert room.deliveries == 1
    assert room.records.look(JOB).attempt == 1


def test_a_message_for_nothing_is_dropped(room: Room) -> None:
    assert room.records.take(JOB, "t", "w") is Refusal.GONE
    room.submit()
    job = room.take("t")
    assert room.records.take(JOB, "another", "w") is Refusal.LEASED
    room.records.finish(job, {}, None, [])
    assert room.records.take(JOB, "another", "w") is Refusal.OVER


def test_a_lease_is_renewed_by_its_token_alone(room: Room) -> None:
    room.submit()
    job = room.take("t")
    assert room.records.renew(job, None, None) is Renewal.HELD
    thief = TakenJob(JOB, "another", job.kind, job.title, job.body, job.queue)
    assert room.records.renew(thief, None, None) is Renewal.LOST
    assert room.records.finish(thief, {}, None, []) is False
    assert room.records.hand_back(thief) is None
    assert room.state is JobState.RUNNING


def test_a_lease_that_ended_and_that_nobody_took_is_regained(room: Room) -> None:
    room.submit()
    job = room.take()
    room.end_lease()
    assert room.records.renew(job, None, None) is Renewal.HELD
    assert room.records.take(JOB, "another", "w") is Refusal.LEASED


def test_whoever_lost_the_lease_to_another_changes_nothing_any_more(room: Room) -> None:
    room.submit()
    first = room.take("first")
    room.end_lease()
    second = room.take("second")
    assert room.records.renew(first, [[1, "x", 1, 1, None]], ["w"]) is Renewal.LOST
    assert room.records.restore(first, "w") is Renewal.LOST
    assert room.records.finish(first, {"a": 1}, None, []) is False
    assert room.records.finish(second, {"a": 2}, None, [])
    assert room.records.look(JOB).result == {"a": 2}
    assert room.records.finish(first, {"a": 1}, None, []) is False


def test_ending_a_job_twice_is_ending_it_once(room: Room) -> None:
    room.submit()
    job = room.take()
    assert room.records.finish(job, {"a": 1}, None, ["odd"])
    assert room.records.finish(job, {"a": 1}, None, ["odd"])
    found = room.records.look(JOB)
    assert (found.state, found.result, found.warnings) == (JobState.DONE, {"a": 1}, ["odd"])
    assert room.count(JobState.DONE) == 1


def test_a_result_counts_although_its_lease_ended_if_nobody_else_began(room: Room) -> None:
    room.submit()
    job = room.take()
    room.end_lease()
    room.reap()
    assert room.state is JobState.QUEUED
    assert room.records.finish(job, {"a": 1}, None, [])
    assert (room.state, room.count(JobState.QUEUED)) == (JobState.DONE, 0)


def test_a_record_that_the_broker_lost_is_written_again(room: Room) -> None:
    room.submit()
    job = room.take()
    room.lose_everything()
    assert room.records.renew(job, None, None) is Renewal.VANISHED
    assert room.records.restore(job, "worker-1") is Renewal.HELD
    assert room.submit() is Submitted.JOINED
    assert room.records.take(JOB, "another", "w") is Refusal.LEASED
    assert room.records.finish(job, {"a": 1}, None, [])
    assert room.records.look(JOB).result == {"a": 1}


def test_a_job_submitted_anew_after_the_loss_is_the_one_that_still_runs(room: Room) -> None:
    room.submit()
    job = room.take()
    room.lose_everything()
    room.submit()
    assert room.records.renew(job, None, None) is Renewal.VANISHED
    assert room.records.restore(job, "worker-1") is Renewal.HELD
    assert (room.count(JobState.QUEUED), room.count(JobState.RUNNING)) == (0, 1)
    assert room.records.finish(job, {"a": 1}, None, [])


def test_a_job_that_is_lost_to_everybody_ends_without_a_trace(room: Room) -> None:
    room.submit()
    job = room.take()
    room.lose_everything()
    assert room.records.finish(job, {}, None, [])
    assert room.state is None


def test_a_job_that_is_handed_back_is_queued_in_its_place_and_not_counted(room: Room) -> None:
    room.submit()
    room.submit(JobRequest(JobKind.PLAN, "later", "later"))
    job = room.take()
    assert room.records.hand_back(job) == Message(JOB, BULK, room.settings.version)
    assert (room.state, room.deliveries) == (JobState.QUEUED, 0)
    assert read_snapshot(room.broker).queued[0].id == JOB
    assert room.records.hand_back(job) is None


def test_a_job_whose_lease_ended_first_is_not_counted_either(room: Room) -> None:
    room.submit()
    job = room.take()
    room.end_lease()
    room.reap()
    assert room.deliveries == 1
    assert room.records.hand_back(job) is None
    assert room.deliveries == 0


def test_a_job_without_a_lease_is_queued_again_with_a_message(room: Room) -> None:
    room.submit()
    room.take()
    assert room.reap() == []
    room.end_lease()
    assert room.reap() == [Message(JOB, BULK, room.settings.version)]
    assert (room.state, room.deliveries) == (JobState.QUEUED, 1)


def test_only_one_process_looks_for_lost_jobs_at_a_time(room: Room) -> None:
    room.submit()
    room.take()
    room.reap()
    room.end_lease()
    assert room.records.reap("another", 60.0) == []


@pytest.mark.parametrize("is_reaped", [True, False], ids=["found without a lease", "delivered"])
def test_a_job_that_ended_three_workers_is_parked(room: Room, *, is_reaped: bool) -> None:
    room.submit()
    for token in ("first", "second", "third"):
        room.take(token)
        room.end_lease()
    if is_reaped:
        assert room.reap() == []
    else:
        assert room.records.take(JOB, "fourth", "w") is Refusal.PARKED
    found = room.records.look(JOB)
    assert found.state is JobState.PARKED
    assert found.error is not None
    assert "given to a worker 3 times" in found.error["fact"]
    assert room.submit() is Submitted.PARKED
    assert room.records.take(JOB, "fifth", "w") is Refusal.OVER


def test_a_parked_job_runs_again_when_it_is_retried(room: Room) -> None:
    room.submit()
    for token in ("first", "second", "third"):
        room.take(token)
        room.end_lease()
    room.reap()
    assert room.records.retry(JOB) == Message(JOB, BULK, room.settings.version)
    assert (room.state, room.deliveries) == (JobState.QUEUED, 0)
    assert room.records.finish(room.take(), {}, None, [])
    assert room.count(JobState.PARKED) == 0


def test_only_what_failed_or_is_parked_can_be_retried(room: Room) -> None:
    with pytest.raises(FleetError, match=f"there is no job {JOB}; name one that failed"):
        room.records.retry(JOB)
    room.submit()
    with pytest.raises(FleetError, match="is queued; name one"):
        room.records.retry(JOB)
    room.records.finish(room.take(), None, NotFound("no"), [])
    room.records.retry(JOB)
    assert room.state is JobState.QUEUED


def several(room: Room, count: int) -> list[Message | None]:
    """Submit several jobs; what messages that needs."""
    requests = (JobRequest(JobKind.SCAN, str(number), "scan") for number in range(count))
    return [room.records.submit(each, "somebody")[1] for each in requests]


def send(room: Room, count: int) -> None:
    """As if so many messages waited in the list."""
    name = queue_list(room.settings, BULK)
    room.broker.ask("DEL", name)
    for number in range(count):
        room.broker.ask("RPUSH", name, str(number))


def next_job(
    room: Room, token: str, named: str = "", queues: Sequence[QueueName] = (INTERACTIVE, BULK)
) -> tuple[TakenJob | Refusal, list[Message]]:
    return room.records.next(Wish(named, queues), token, "worker-1")


def test_two_messages_that_wait_do_for_all_jobs_of_a_queue(room: Room) -> None:
    assert None not in several(room, 1)
    send(room, 2)
    assert several(room, 3) == [None] * 3, "the first was joined, two are new"
    assert room.reap() == []


def test_a_queue_whose_messages_were_lost_gets_others(room: Room) -> None:
    several(room, 3)
    assert len(room.reap()) == 2
    send(room, 1)
    assert len(room.reap()) == 1


@pytest.mark.parametrize(("waiting", "sent"), [(0, 2), (1, 1), (2, 0), (3, 0)])
def test_whoever_takes_a_job_wakes_others_for_the_rest(room: Room, waiting: int, sent: int) -> None:
    several(room, 5)
    send(room, waiting)
    taken, messages = next_job(room, "t")
    assert isinstance(taken, TakenJob)
    assert len(messages) == sent


def test_whoever_takes_the_last_job_wakes_nobody(room: Room) -> None:
    several(room, 1)
    taken, messages = next_job(room, "t")
    assert isinstance(taken, TakenJob)
    assert messages == []
    assert next_job(room, "u") == (Refusal.NONE, [])


def test_the_next_job_is_the_first_of_the_first_queue(room: Room) -> None:
    several(room, 2)
    room.records.submit(JobRequest(JobKind.SQUASH, "q", "q", {}, INTERACTIVE), "pull")
    titles: list[str] = []
    while isinstance(taken := next_job(room, f"t{len(titles)}")[0], TakenJob):
        titles.append(taken.title)
    assert titles == ["q", "scan", "scan"]


def test_a_worker_of_one_queue_gets_no_job_of_another(room: Room) -> None:
    several(room, 1)
    assert next_job(room, "t", queues=(INTERACTIVE,))[0] is Refusal.NONE


def test_a_message_for_a_job_that_is_over_brings_the_next_one(room: Room) -> None:
    room.submit()
    room.records.finish(room.take(), {}, None, [])
    several(room, 1)
    taken, _ = next_job(room, "t", named=JOB)
    assert isinstance(taken, TakenJob)
    assert taken.title == "scan"


def test_asking_again_after_a_lost_answer_brings_no_second_job(room: Room) -> None:
    several(room, 2)
    first, _ = next_job(room, "t")
    again, _ = room.records.next(Wish("", (BULK,)), "t", "worker-1")
    assert again == first
    assert room.count(JobState.RUNNING) == 1


def test_a_job_that_is_given_again_has_a_whole_lease(room: Room) -> None:
    several(room, 1)
    first, _ = next_job(room, "t")
    assert isinstance(first, TakenJob)
    key = room.broker.key("lease", first.id)
    room.broker.ask("PEXPIRE", key, 500)
    assert next_job(room, "t")[0] == first
    assert room.broker.ask("PTTL", key) > 500


def test_a_poisoned_job_is_parked_by_whoever_looks_for_the_next(room: Room) -> None:
    room.submit()
    for token in ("first", "second", "third"):
        room.take(token)
        room.end_lease()
        room.records._broker.ask("DEL", room.broker.key("reaper"))
        if token != "third":
            room.reap()
    room.broker.ask("ZADD", room.broker.key("queued", "bulk", room.settings.version), 0, JOB)
    several(room, 1)
    taken, _ = next_job(room, "t")
    assert isinstance(taken, TakenJob)
    assert (taken.title, room.state) == ("scan", JobState.PARKED)


def test_a_broker_that_started_again_gives_no_job_before_that_was_noticed(room: Room) -> None:
    several(room, 1)
    with pytest.raises(OtherServer) as caught:
        room.records.next(Wish("", (BULK,), "another"), "t", "worker-1")
    assert caught.value.server == room.broker.run_id()
    wish = Wish("", (BULK,), room.broker.run_id())
    assert isinstance(room.records.next(wish, "t", "worker-1")[0], TakenJob)


def test_a_job_of_another_version_waits_for_a_worker_of_its_own(room: Room) -> None:
    old = Room(other_version(room.settings))
    old.submit()
    assert room.reap() == [Message(JOB, BULK, "4.1")]
    assert read_snapshot(room.broker).queued[0].waits_for == (
        "a worker of version 4.1 for bulk jobs"
    )
    old.broker.close()


def test_records_that_expired_leave_their_lists(room: Room) -> None:
    room.submit()
    room.records.finish(room.take(), {}, None, [])
    room.broker.ask("DEL", room.broker.key("job", JOB))
    room.reap()
    assert room.count(JobState.DONE) == 0


@pytest.mark.parametrize(
    ("error", "hours"), [(None, 1), (NotFound("no"), 24)], ids=["done", "failed"]
)
def test_a_job_that_is_over_is_kept_for_a_while(
    room: Room, error: NotFound | None, hours: int
) -> None:
    room.submit()
    room.records.finish(room.take(), {}, error, [])
    seconds = room.broker.ask("TTL", room.broker.key("job", JOB))
    assert hours * 3600 - 60 < seconds <= hours * 3600


def test_a_live_job_never_expires(room: Room) -> None:
    room.submit()
    room.records.finish(room.take(), {}, None, [])
    room.submit()
    assert room.broker.ask("TTL", room.broker.key("job", JOB)) == -1


def test_a_queued_job_that_nobody_waits_for_any_more_goes(room: Room) -> None:
    room.records.submit(REQUEST, "a")
    room.records.submit(REQUEST, "b")
    room.records.leave(JOB, "a")
    assert room.state is JobState.QUEUED
    room.records.leave(JOB, "b")
    assert not room.exists
    assert room.count(JobState.QUEUED) == 0


def test_a_job_that_somebody_ordered_without_waiting_is_not_given_up(room: Room) -> None:
    room.records.submit(REQUEST, "")
    room.records.submit(REQUEST, "a")
    room.records.leave(JOB, "a")
    assert room.state is JobState.QUEUED
    job = room.take()
    room.records.submit(REQUEST, "b")
    room.records.leave(JOB, "b")
    assert room.records.renew(job, None, None) is Renewal.HELD


def test_a_running_job_that_nobody_waits_for_any_more_is_unwanted(room: Room) -> None:
    room.records.submit(REQUEST, "a")
    job = room.take()
    room.records.leave(JOB, "a")
    assert room.records.renew(job, None, None) is Renewal.UNWANTED
    room.records.submit(REQUEST, "b")
    assert room.records.renew(job, None, None) is Renewal.HELD


def test_an_unwanted_job_whose_worker_is_gone_is_forgotten(room: Room) -> None:
    room.records.submit(REQUEST, "a")
    room.take()
    room.records.leave(JOB, "a")
    room.end_lease()
    assert room.reap() == []
    assert not room.exists
    assert room.count(JobState.RUNNING) == 0


def test_a_document_of_any_size_comes_back_as_it_was() -> None:
    for value in ({}, {"a": ["ä", 1, None]}, {"plan": ["x" * 100_000]}):
        assert unpack(pack(value)) == value
    assert len(pack({"plan": ["x" * 100_000]})) < 1000


@pytest.mark.parametrize("data", [b"{", b"z", b"zz", b"\xff"], ids=repr)
def test_a_damaged_record_is_a_sentence(data: bytes) -> None:
    with pytest.raises(FleetError, match="a record in the broker is damaged"):
        unpack(data)


@pytest.fixture(scope="module")
def full_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("full"), ("--maxmemory", "3mb")) as server:
        yield server


def fill(room: Room) -> None:
    for number in range(1000):
        room.submit(JobRequest(JobKind.PLAN, str(number), "t", {"x": list(range(30_000))}))


def test_a_full_broker_takes_no_new_job_but_lets_those_that_run_end(
    full_server: RedisServer,
) -> None:
    """Its writes are refused from a limit on; a script that began with a deletion goes on."""
    room = Room(FleetSettings(full_server.url))
    room.submit()
    job = room.take()
    with pytest.raises(BrokerAway, match="it is full; give it more memory"):
        fill(room)
    assert room.records.renew(job, [[1, "x", 2, 1, None]], ["odd"]) is Renewal.HELD
    room.end_lease()
    room.reap()
    assert room.records.finish(room.take("again"), {"a": 1}, None, ["odd"])
    assert room.records.look(JOB).result == {"a": 1}
    room.broker.close()
