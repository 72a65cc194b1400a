"""A record of the images that each rule promoted. Mirrored deletions delete only these."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.reference import Reference, parse_reference


@dataclass(frozen=True, slots=True)
class Promoted:
    """An image that a rule copied to a target."""

    target: Reference
    source: Reference
    digest: Digest


class PromotionMemory:
    """The record of promotions; usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all_of(self, rule: str) -> list[Promoted]:
        """The images that a rule promoted, ordered by target."""
        rows = self._database.read(
            "SELECT target, source, digest FROM promoted WHERE rule = ? ORDER BY target", (rule,)
        )
        return [
            Promoted(parse_reference(target), parse_reference(source), Digest(digest))
            for target, source, digest in rows
        ]

    def owners(self, target: Reference) -> list[str]:
        """The names of the rules that promoted to a target."""
        rows = self._database.read(
            "SELECT rule FROM promoted WHERE target = ? ORDER BY rule", (str(target),)
        )
        return [rule for (rule,) in rows]

    def note(self, rule: str, promoted: Promoted) -> None:
        """Record that a rule promoted an image, or found it up to date."""
        self._database.write(
            "INSERT INTO promoted VALUES(?, ?, ?, ?) ON CONFLICT(rule, target) DO UPDATE SET "
            "source = excluded.source, digest = excluded.digest",
            (rule, str(promoted.target), str(promoted.source), promoted.digest),
        )

    def forget(self, rule: str, target: Reference) -> None:
        """Remove the record of an image that is gone."""
        self._database.write(
            "DELETE FROM promoted WHERE rule = ? AND target = ?", (rule, str(target))
        )
