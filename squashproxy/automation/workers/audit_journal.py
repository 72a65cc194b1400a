"""The audit trail of a job: kept twice before each deletion, and taken over by whoever asked.

1. The worker writes an entry into an audit log of its own, then into the job's journal in the
   broker, and only then deletes. Without either nothing is deleted.
2. A worker that takes the job over from a lost one goes on with the same journal. A broker that
   lost its data gets all entries of this worker again.
3. Whoever asked copies the journal into its own audit log while the job runs and at its end. So an
   undo knows of every deletion, also of those of a worker that was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from squashproxy.cleanup.apply.audit_log import AuditLog, AuditTrail, Entry, entry_form, read_entry
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.results import RepositoryResult, Step, StepOutcome
from squashproxy.errors import FormatError
from squashproxy.fleet.errors import BrokerAway
from squashproxy.fleet.journal import Journal
from squashproxy.fleet.patience import Patience
from squashproxy.reference import check_tag

_DONE = {
    "delete": StepOutcome.DELETED,
    "untag": StepOutcome.UNTAGGED,
    "squash": StepOutcome.SQUASHED,
}
"""What became of a step that a later worker found done, by its action."""

_CHANGED = frozenset(_DONE.values())


class JournalTrail:
    """The audit trail of the job that this worker runs; for one thread.

    A broker that is away is waited for with `patience`.
    """

    def __init__(self, log: AuditLog, journal: Journal, patience: Patience) -> None:
        self._log = log
        self._journal = journal
        self._patience = patience
        self._worker = uuid4().hex[:8]
        self._start = len(patience.ask(journal.read))
        self._lines: list[dict[str, Any]] = []
        self.lost: BrokerAway | None = None
        """The error that ended the job, if the broker was away for too long."""

    @property
    def path(self) -> Path:
        """The worker's own log."""
        return self._log.path

    def begin(self, entry: Entry) -> int:
        """Keep what is about to be deleted; returns its number. Raises UsageError, BrokerAway."""
        number = self._log.begin(entry)
        self._append({"begin": number, "worker": self._worker, "entry": entry_form(entry)})
        return number

    def end(self, number: int, outcome: StepOutcome, tags: tuple[str, ...]) -> None:
        """Keep how the step ended, and which tags it removed. Raises UsageError and BrokerAway."""
        self._log.end(number, outcome, tags)
        self._append(
            {"end": number, "worker": self._worker, "outcome": outcome.value, "tags": list(tags)}
        )

    def _append(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        try:
            self._patience.ask(self._bring)
        except BrokerAway as error:
            self.lost = error
            raise

    def _bring(self) -> None:
        """Append the last line, and all of them where the broker lost some."""
        at = self._start + len(self._lines) - 1
        if self._journal.read(at):
            return  # it was there already: an answer got lost
        self._journal.append(self._lines[-1])
        if not self._journal.read(at):
            self._start = 0
            self._journal.forget()
            for each in self._lines:
                self._journal.append(each)


@dataclass(slots=True)
class _Copied:
    """An entry of the journal: its worker, its number in the copy, and how it ended."""

    entry: Entry
    worker: str
    number: int
    outcome: StepOutcome | None = None
    tags: tuple[str, ...] = ()


class JournalCopy:
    """Copies a journal into an audit log; usable from several threads."""

    def __init__(self, journal: Journal, log: AuditTrail, plan: RepositoryPlan, rule: str) -> None:
        self._journal = journal
        self._log = log
        self._plan = plan
        self._rule = rule
        self._lock = Lock()
        self._read = 0
        self._copied: dict[tuple[str, int], _Copied] = {}

    def catch_up(self) -> None:
        """Copy what is new. Raises BrokerAway, BrokerRefused, UsageError where the log cannot be
        written, and FormatError for what is no entry.
        """
        with self._lock:
            for line in self._journal.read(self._read):
                try:
                    self._take(line)
                except (KeyError, TypeError, ValueError) as error:
                    raise FormatError("the journal of a cleanup is malformed") from error
                self._read += 1

    def completed(self, result: RepositoryResult) -> RepositoryResult:
        """The result of the job, with what earlier workers did to it before they were lost.

        The last worker only finds that done.
        """
        last = next((each.worker for each in reversed(self._copied.values())), "")
        found = [self._completed(step, last) for step in result.steps]
        return replace(result, steps=tuple(found))

    def broken(self, problem: str) -> RepositoryResult:
        """The result of a job that failed: what was done until then."""
        steps = [
            Step(each.entry.action, each.entry.digest, each.tags, each.outcome, each.entry.why)
            for each in self._copied.values()
            if each.outcome in _CHANGED
        ]
        return RepositoryResult(self._rule, self._plan.repository, tuple(steps), 0, 0, problem)

    def _completed(self, step: Step, last: str) -> Step:
        if step.outcome is not StepOutcome.GONE:
            return step
        for each in self._copied.values():
            if each.worker == last and each.outcome is StepOutcome.GONE:
                continue
            entry = each.entry
            is_same = (entry.action, entry.digest) == (step.action, step.digest)
            if is_same and set(step.tags) <= set(entry.tags):
                done = each.outcome or _DONE[step.action]
                return replace(step, outcome=done) if done in _CHANGED else step
        return step

    def _take(self, line: Mapping[str, Any]) -> None:
        worker = str(line["worker"])
        if "begin" in line:
            entry = read_entry(line["entry"])
            if str(entry.repository) != self._plan.repository or entry.action not in _DONE:
                raise FormatError(f"the journal of {self._plan.repository} is malformed")
            key = (worker, int(line["begin"]))
            if key not in self._copied:
                self._copied[key] = _Copied(entry, worker, self._log.begin(entry))
            return
        copied = self._copied[worker, int(line["end"])]
        if copied.outcome is not None:
            return
        tags = tuple(map(str, line["tags"]))
        for tag in tags:
            check_tag(tag)
        copied.outcome, copied.tags = StepOutcome(line["outcome"]), tags
        self._log.end(copied.number, copied.outcome, tags)
