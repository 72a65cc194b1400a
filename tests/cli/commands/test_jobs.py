"""`squashproxy worker` and `squashproxy jobs`, with a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.automation.fleet import fleet_settings
from squashproxy.config.read import parse_configuration
from squashproxy.errors import NotFound
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.job import JobKind, JobRequest, QueueName
from squashproxy.fleet.records import Records, Refusal, TakenJob
from tests.cli.command_line import InProcess, run_process
from tests.fleet.redis_server import RedisServer, free_port, redis_server

CONFIG = """engine: {{kind: celery, broker: "{url}", lease: 5s, drain: 1s}}
state: state
promote: [{{name: {rule}, from: a.example.com/b, to: c.example.com/d}}]
"""
WITHOUT_EXTRA = """import sys
sys.modules.update(dict.fromkeys(("celery", "kombu", "redis"), None))
from squashproxy.cli.main import run
print([run(line.split()) for line in sys.argv[1:]])
"""
"""Runs command lines without the packages of the extra `fleet`, and prints their exit codes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def write(folder: Path, url: str, rule: str = "apps") -> str:
    path = folder / f"{rule}.yml"
    path.write_text(CONFIG.format(url=url, rule=rule))
    return str(path)


@pytest.fixture
def config(server: RedisServer, tmp_path: Path) -> str:
    with server.client as client:
        client.flushall()
    return write(tmp_path, server.url)


@pytest.fixture
def broker(config: str) -> Iterator[Broker]:
    found = parse_configuration(Path(config).read_text(), config, Path(), {})
    opened = Broker(fleet_settings(found))
    yield opened
    opened.close()


def fill(broker: Broker) -> dict[str, str]:
    """A job in each state; their IDs by title."""
    records = Records(broker)
    ids = {}
    for title in ("running", "failed", "parked", "queued"):
        job = JobRequest(JobKind.PROMOTE, title, title)
        records.submit(job, "")
        ids[title] = job.id
        for number in range({"queued": 0, "parked": 3}.get(title, 1)):
            taken = records.take(job.id, f"{title}{number}", "host:1:aa")
            assert isinstance(taken, TakenJob)
            if title == "failed":
                records.finish(taken, None, NotFound("there is none", advice="look"), [])
            elif title == "parked":
                broker.ask("DEL", broker.key("lease", job.id))
            else:
                records.renew(taken, [[1, "layers", 10, 4, None]], None)
    assert records.take(ids["parked"], "t", "w") is Refusal.PARKED
    records.submit(JobRequest(JobKind.SQUASH, "q", "pull", {}, QueueName.INTERACTIVE), "")
    return ids


def test_jobs_lists_each_job_with_its_state(
    squashproxy: InProcess, config: str, broker: Broker
) -> None:
    ids = fill(broker)
    outcome = squashproxy("jobs", "--json", config)
    assert (outcome.code, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    for state in ("running", "failed", "parked"):
        (job,) = document[state]
        assert (job["id"], job["title"], job["state"]) == (ids[state], state, state)
        assert job["kind"] == "promote"
        assert job["worker"] == "host:1:aa"
        assert 0 <= job["age_seconds"] < 60
    assert {job["title"] for job in document["queued"]} == {"queued", "pull"}
    assert document["running"][0]["progress"] == {"label": "layers", "done": 4, "total": 10}
    assert document["failed"][0]["error"] == "there is none; look"
    assert document["parked"][0]["deliveries"] == 3
    assert document["queues"]["interactive"]["queued"] == 1
    assert "a worker of version" in document["queued"][0]["waits_for"]
    assert document["counts"] == {"queued": 2, "running": 1, "done": 0, "failed": 1, "parked": 1}
    assert (document["workers"], document["leader"]) == ([], None)


def test_jobs_shows_people_the_same(squashproxy: InProcess, config: str, broker: Broker) -> None:
    ids = fill(broker)
    outcome = squashproxy("jobs", config)
    assert outcome.code == 0
    for text in (
        *("no worker is alive", "interactive 1 job queued", "layers 40 %", "there is none; look"),
        *("running (1)", "failed (1)", "parked (1)", "queued (2)", ids["parked"]),
    ):
        assert text in outcome.out


def test_a_parked_job_is_retried(squashproxy: InProcess, config: str, broker: Broker) -> None:
    ids = fill(broker)
    outcome = squashproxy("jobs", "--json", "--retry", ids["parked"], config)
    document = json.loads(outcome.out)
    assert document["retried"] == [ids["parked"]]
    assert document["parked"] == []
    assert "parked" in {job["title"] for job in document["queued"]}


def test_a_job_that_is_not_there_cannot_be_retried(squashproxy: InProcess, config: str) -> None:
    outcome = squashproxy("jobs", "--retry", "nothing", config)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "squashproxy: there is no job nothing; name one that failed or is parked, as `jobs` lists "
        "them\n"
    )


@pytest.mark.parametrize("verb", ["worker", "jobs"])
def test_without_the_engine_there_are_no_workers(
    squashproxy: InProcess, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "sp.yml").write_text("engine: {kind: local}")
    outcome = squashproxy(verb, str(tmp_path / "sp.yml"))
    assert (outcome.code, outcome.out) == (2, "")
    assert "there are no workers, since engine.kind is local; write `engine: {kind" in outcome.err


@pytest.mark.parametrize("verb", ["worker", "jobs"])
def test_a_broker_without_a_scheme_is_a_wrong_configuration(
    squashproxy: InProcess, tmp_path: Path, verb: str
) -> None:
    outcome = squashproxy(verb, write(tmp_path, ":s3cret@127.0.0.1:6379/0"))
    assert (outcome.code, outcome.out) == (2, "")
    assert "apps.yml:1: engine.broker: this is no URL of a broker" in outcome.err
    assert "s3cret" not in outcome.err


@pytest.mark.parametrize("verb", ["worker", "jobs"])
def test_a_wrong_password_is_an_error_that_does_not_show_it(
    squashproxy: InProcess, tmp_path: Path, verb: str
) -> None:
    with redis_server(tmp_path, ("--requirepass", "another")) as server:
        outcome = squashproxy(verb, write(tmp_path, f"redis://:s3cret@127.0.0.1:{server.port}/0"))
    assert (outcome.code, outcome.out) == (1, "")
    assert "does not accept the password; mend that of `engine.broker`" in outcome.err
    assert "s3cret" not in outcome.err


def test_jobs_of_a_broker_that_is_away_is_an_error_at_once(
    squashproxy: InProcess, tmp_path: Path
) -> None:
    port = free_port()
    outcome = squashproxy("jobs", write(tmp_path, f"redis://127.0.0.1:{port}/0"))
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"squashproxy: the broker redis://127.0.0.1:{port} cannot be reached: connection refused; "
        "is it up?\n"
    )


def test_the_packages_of_the_fleet_are_asked_for_where_they_are_missing(config: str) -> None:
    outcome = run_process((f"worker {config}", f"jobs {config}"), code=WITHOUT_EXTRA)
    assert outcome.out == "[2, 2]\n"
    assert outcome.err == 2 * (
        "squashproxy: engine.kind is celery, but celery and redis are not installed; install "
        "squashproxy[fleet]\n"
    )


def test_nothing_of_the_fleet_is_needed_without_the_engine(tmp_path: Path) -> None:
    config = tmp_path / "sp.yml"
    config.write_text("state: state\npromote: [{name: a, from: 127.0.0.1:1/b, to: 127.0.0.1:1/c}]")
    outcome = run_process(
        (
            *(f"config check {config}", "worker --help", "jobs --help", "--version -v"),
            f"promote --retry-for 0s --dry-run {config}",
        ),
        code=WITHOUT_EXTRA,
    )
    assert outcome.out.endswith("[0, 0, 0, 0, 1]\n")
    assert "cannot reach 127.0.0.1:1" in outcome.out + outcome.err


class Started:
    """`squashproxy worker` as a process."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "squashproxy", "worker", *arguments],
                stdout=log,
                stderr=log,
            )

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)


def test_a_worker_starts_is_seen_and_ends(
    squashproxy: InProcess, config: str, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    worker = Started(tmp_path, "--liveness", str(alive), config)
    worker.wait_for("takes interactive and bulk jobs of version")
    (seen,) = json.loads(squashproxy("jobs", "--json", config).out)["workers"]
    assert (seen["queues"], seen["processes"]) == (["interactive", "bulk"], 2)
    assert alive.exists()
    stranger = run_process(("worker", write(tmp_path, _url_in(config), "strangers")))
    assert stranger.code == 2
    assert "belongs to another configuration, which" in stranger.err
    worker.process.terminate()
    assert worker.process.wait(30) == 0
    assert json.loads(squashproxy("jobs", "--json", config).out)["workers"] == []
    said = worker.log.read_text().splitlines()
    assert all(line.startswith("squashproxy: ") for line in said), said


def _url_in(config: str) -> str:
    return Path(config).read_text().split('"')[1]


@pytest.mark.long
def test_a_worker_waits_for_a_broker_that_is_not_up_yet(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        server.stop()
        worker = Started(tmp_path, "--queue", "bulk", write(tmp_path, server.url))
        worker.wait_for("cannot be reached: connection refused; waiting for it for up to 300 s")
        server.start()
        worker.wait_for("takes bulk jobs of version")
        worker.process.terminate()
        assert worker.process.wait(30) == 0
