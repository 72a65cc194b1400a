"""Following many jobs from two threads, over a real broker that comes and goes."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from squashproxy.errors import NotFound
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.errors import FleetError
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.follow import Follower
from squashproxy.fleet.job import JobKind, JobRequest, JobState, QueueName
from squashproxy.fleet.records import Look, Records, TakenJob
from squashproxy.fleet.settings import FleetSettings
from tests.fleet.redis_server import RedisServer


def request(name: str) -> JobRequest:
    return JobRequest(JobKind.SQUASH, name, name, {"name": name}, QueueName.INTERACTIVE)


@dataclass
class Ears:
    """Hears of jobs; `away` are the errors of the broker."""

    heard: queue.Queue[tuple[Look, bool]] = field(default_factory=queue.Queue)
    away: queue.Queue[FleetError] = field(default_factory=queue.Queue)

    def __call__(self, look: Look, *, began: bool) -> None:
        self.heard.put((look, began))

    def wait_for(self, state: JobState) -> tuple[Look, bool]:
        """The next news of that state."""
        while True:
            look, began = self.heard.get(timeout=20)
            if look.state is state:
                return look, began


@contextmanager
def following(settings: FleetSettings, ears: Ears) -> Iterator[Follower]:
    fleet = Fleet(settings)
    follower = fleet.follower(ears.away.put)
    follower.start()
    try:
        yield follower
    finally:
        assert follower.close(10)
        fleet.close()


class Hand:
    """A worker by hand."""

    def __init__(self, settings: FleetSettings) -> None:
        self.records = Records(Broker(settings))

    def take(self, name: str, token: str | None = None) -> TakenJob:
        """Take a job, as soon as it is there; each time with another token, as a worker does."""
        token = token or secrets.token_hex(8)
        deadline = time.monotonic() + 20
        while True:
            taken = self.records.take(request(name).id, token, "by hand")
            if isinstance(taken, TakenJob):
                return taken
            assert time.monotonic() < deadline, taken
            time.sleep(0.01)


def test_a_job_is_followed_from_its_beginning_to_its_end(settings: FleetSettings) -> None:
    ears, hand = Ears(), Hand(settings)
    with following(settings, ears) as follower:
        follower.follow(request("a"), ears)
        job = hand.take("a")
        look, began = ears.wait_for(JobState.RUNNING)
        assert began
        hand.records.renew(job, [[1, "layer", 100, 40, None]], ["it is odd"])
        while not look.progress:
            look, _ = ears.wait_for(JobState.RUNNING)
        assert (look.progress[0][3], look.warnings) == (40, ["it is odd"])
        hand.records.finish(job, {"answer": 7}, None, [])
        look, _ = ears.wait_for(JobState.DONE)
        assert look.result == {"answer": 7}


def test_two_servers_follow_one_job_and_one_of_them_began_it(settings: FleetSettings) -> None:
    one, two, hand = Ears(), Ears(), Hand(settings)
    with following(settings, one) as first, following(settings, two) as second:
        first.follow(request("a"), one)
        job = hand.take("a")
        one.wait_for(JobState.RUNNING)
        second.follow(request("a"), two)
        two.wait_for(JobState.RUNNING)
        hand.records.finish(job, None, NotFound("it is gone"), [])
        found = [ears.wait_for(JobState.FAILED) for ears in (one, two)]
    assert [began for _, began in found] == [True, False]
    assert [look.error and look.error["kind"] for look, _ in found] == ["NotFound"] * 2


def test_a_hundred_jobs_need_two_threads(settings: FleetSettings) -> None:
    ears, hand = Ears(), Hand(settings)
    names = [str(number) for number in range(100)]
    with following(settings, ears) as follower:
        for name in names:
            follower.follow(request(name), ears)
        for name in names:
            hand.records.finish(hand.take(name), {"name": name}, None, [])
        done = [ears.wait_for(JobState.DONE)[0].result for _ in names]
    assert sorted(str(result and result["name"]) for result in done) == sorted(names)


def test_a_job_goes_on_when_its_followers_are_gone(settings: FleetSettings) -> None:
    ears, hand = Ears(), Hand(settings)
    with following(settings, ears) as follower:
        follower.follow(request("a"), ears)
        job = hand.take("a")
    assert hand.records.renew(job, None, None).value == "held", "it is still wanted"


def test_what_is_asked_while_the_broker_is_away_is_submitted_when_it_is_back(
    settings: FleetSettings, server: RedisServer
) -> None:
    ears = Ears()
    with following(settings, ears) as follower:
        server.stop()
        follower.follow(request("a"), ears)
        assert "cannot be reached" in str(ears.away.get(timeout=20))
        server.start()
        hand = Hand(settings)
        hand.records.finish(hand.take("a"), {}, None, [])
        ears.wait_for(JobState.DONE)


def test_a_job_that_the_broker_lost_is_submitted_again(
    settings: FleetSettings, server: RedisServer
) -> None:
    ears = Ears()
    with following(settings, ears) as follower:
        follower.follow(request("a"), ears)
        Hand(settings).take("a")
        ears.wait_for(JobState.RUNNING)
        server.stop()
        server.start()
        hand = Hand(settings)
        hand.records.finish(hand.take("a"), {}, None, [])
        ears.wait_for(JobState.DONE)


def test_a_parked_job_ends_at_once(settings: FleetSettings, server: RedisServer) -> None:
    ears, hand = Ears(), Hand(settings)
    with following(settings, ears) as follower:
        follower.follow(request("a"), ears)
        for number in range(4):
            job = hand.records.take(request("a").id, f"t{number}", "by hand")
            while not isinstance(job, TakenJob) and number == 0:
                job = hand.records.take(request("a").id, f"t{number}", "by hand")
            with server.client as client:
                client.delete(f"{settings.prefix}:lease:{request('a').id}")
        assert "3 times" in str(ears.wait_for(JobState.PARKED)[0].error)
        again = Ears()
        follower.follow(request("a"), again)
        again.wait_for(JobState.PARKED)


def test_a_record_that_cannot_be_read_ends_its_job_alone(
    settings: FleetSettings, server: RedisServer
) -> None:
    ears, other, hand = Ears(), Ears(), Hand(settings)
    with following(settings, ears) as follower:
        follower.follow(request("a"), ears)
        hand.take("a")
        ears.wait_for(JobState.RUNNING)
        with server.client as client:
            client.hset(f"{settings.prefix}:job:{request('a').id}", "progress", "{")
        follower.follow(request("b"), other)
        hand.records.finish(hand.take("b"), {}, None, [])
        other.wait_for(JobState.DONE)
        assert "damaged" in str(ears.wait_for(JobState.FAILED)[0].error)
        assert ears.away.empty()
