"""The journal of a cleanup: what a worker is about to delete reaches the log of who asked."""

from __future__ import annotations

import time
from pathlib import Path

from squashproxy.automation.workers.audit_journal import JournalCopy, JournalTrail
from squashproxy.cleanup.apply.audit_log import AuditLog, Entry, read_log
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.results import StepOutcome
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.patience import Patience
from squashproxy.fleet.settings import FleetSettings
from squashproxy.reference import Repository
from tests.cleanup.room import image
from tests.fleet.redis_server import RedisServer

PLACE = Repository("new.example.com", "app")


def _entry(tag: str) -> Entry:
    built = image(tag)
    return Entry("delete", "old", PLACE, built.digest, (tag,), "why", built.manifest)


def _trail(fleet: Fleet, log: AuditLog) -> JournalTrail:
    patience = Patience(1.0, lambda _: None, time.monotonic, time.sleep)
    return JournalTrail(log, fleet.journal("j"), patience)


def test_entries_arrive_once_also_after_the_broker_lost_its_data(
    broker: RedisServer, tmp_path: Path
) -> None:
    with (
        Fleet(FleetSettings(broker.url)) as fleet,
        AuditLog(tmp_path, "asked.jsonl") as asked,
        AuditLog(tmp_path, "first.jsonl") as one,
        AuditLog(tmp_path, "second.jsonl") as two,
    ):
        fleet.journal("j").forget()
        copy = JournalCopy(fleet.journal("j"), asked, RepositoryPlan(str(PLACE), {}), "old")
        first = _trail(fleet, one)
        first.end(first.begin(_entry("a")), StepOutcome.DELETED, ("a",))
        copy.catch_up()
        fleet.journal("j").forget()
        first.end(first.begin(_entry("b")), StepOutcome.DELETED, ("b",))
        first.begin(_entry("c"))
        second = _trail(fleet, two)
        second.end(second.begin(_entry("d")), StepOutcome.LEFT, ("d",))
        copy.catch_up()
        copy.catch_up()
    found = [(each.tags[0], each.is_done) for each in read_log(tmp_path / "asked.jsonl")]
    assert found == [("a", True), ("b", True), ("c", None), ("d", False)]
    own = [each.tags[0] for each in read_log(tmp_path / "first.jsonl")]
    assert own == ["a", "b", "c"]
