"""The history of scheduled runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from squashproxy.database import Database
from squashproxy.state.rows import number, read_rows, text

_MOST_KEPT = 1000
_DOCUMENTS_KEPT = 20
"""How many results of a rule are kept as JSON: they are long, and only the newest are read."""
_COLUMNS = "id, section, rule, due, started, ended, outcome, summary, document"


class Outcome(Enum):
    """How a run ended."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a rule; `ended` and `outcome` are None while it runs, or where its process was
    killed.

    `due` is when it should have begun, None where a person started it; `document` is its result as
    JSON, empty for older runs. Times are unix seconds.
    """

    id: int
    section: str
    rule: str
    due: float | None
    started: float
    ended: float | None
    outcome: Outcome | None
    summary: str
    document: str


class RunHistory:
    """The last runs of each rule; usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, section: str, rule: str, due: float | None, now: float) -> int:
        """Record that a run began; returns its number."""
        return self._database.write(
            "INSERT INTO runs(section, rule, due, started) VALUES(?, ?, ?, ?)",
            (section, rule, due, now),
        )

    def end(self, run: int, now: float, outcome: Outcome, summary: str, document: str) -> None:
        """Record how a run ended; `summary` is a line for people."""
        with self._database.changes():
            self._database.write(
                "UPDATE runs SET ended = ?, outcome = ?, summary = ?, document = ? WHERE id = ?",
                (now, outcome.value, summary, document, run),
            )
            older = (
                "WHERE id IN (SELECT old.id FROM runs AS old JOIN runs AS this "
                "ON this.id = ? AND old.section = this.section AND old.rule = this.rule "
                "ORDER BY old.id DESC LIMIT -1 OFFSET ?)"
            )
            self._database.write(f"DELETE FROM runs {older}", (run, _MOST_KEPT))  # noqa: S608 - a constant
            self._database.write(
                f"UPDATE runs SET document = '' {older} AND document <> ''",  # noqa: S608 - a constant
                (run, _DOCUMENTS_KEPT),
            )

    def last(self, section: str, rule: str) -> Run | None:
        """The newest run of a rule."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM runs WHERE section = ? AND rule = ? "  # noqa: S608 - a constant
            "ORDER BY id DESC LIMIT 1",
            (section, rule),
        )
        found = read_rows(rows, _run, "runs")
        return found[0] if found else None

    def counts(self) -> list[tuple[str, str, Outcome, int, float]]:
        """For each section, rule and outcome: how many runs ended so, and when the last one did."""
        rows = self._database.read(
            "SELECT section, rule, outcome, count(*), max(ended) FROM runs "
            "WHERE outcome IS NOT NULL GROUP BY section, rule, outcome"
        )
        return read_rows(rows, _count, "runs")

    def newest(self, count: int) -> list[Run]:
        """The newest runs of all rules, newest first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM runs ORDER BY id DESC LIMIT ?",  # noqa: S608 - a constant
            (count,),
        )
        return read_rows(rows, _run, "runs")


def _count(
    section: object, rule: object, how: object, count: int, last: object
) -> tuple[str, str, Outcome, int, float]:
    return text(section), text(rule), Outcome(how), count, number(last)


def _run(id_: int, section: object, rule: object, *rest: object) -> Run:
    due, started, ended, outcome, summary, document = rest
    return Run(
        id_,
        text(section),
        text(rule),
        None if due is None else number(due),
        number(started),
        None if ended is None else number(ended),
        None if outcome is None else Outcome(outcome),
        text(summary or ""),
        text(document or ""),
    )
