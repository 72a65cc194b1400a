"""A record of the images that each rule promoted. Mirrored deletions delete only these."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from squashproxy.database import Database
from squashproxy.digest import Digest
from squashproxy.pipeline.distinct_layers import DistinctLayers, parse_distinct
from squashproxy.reference import Reference, parse_reference
from squashproxy.state.rows import digest, number, read_rows, text

_NOTE = (
    "INSERT INTO promoted VALUES(?, ?, ?, ?, ?) ON CONFLICT(rule, target) DO UPDATE SET "
    "source = excluded.source, digest = excluded.digest, "
    "layers = CASE WHEN digest = excluded.digest THEN coalesce(excluded.layers, layers) "
    "ELSE excluded.layers END"
)


@dataclass(frozen=True, slots=True)
class Promoted:
    """An image that a rule copied to a target.

    `layers` are those before and after; None where they are not known.
    """

    target: Reference
    source: Reference
    digest: Digest
    layers: DistinctLayers | None = None


class PromotionMemory:
    """The record of promotions; usable from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all_of(self, rule: str) -> list[Promoted]:
        """The images that a rule promoted, ordered by target."""
        rows = self._database.read(
            "SELECT target, source, digest FROM promoted WHERE rule = ? ORDER BY target", (rule,)
        )
        return read_rows(rows, _promoted, "promoted images")

    def owners(self, target: Reference) -> list[str]:
        """The names of the rules that promoted to a target."""
        rows = self._database.read(
            "SELECT rule FROM promoted WHERE target = ? ORDER BY rule", (str(target),)
        )
        return read_rows(rows, text, "promoted images")

    def note(self, rule: str, promoted: Promoted) -> None:
        """Record that a rule promoted an image, or found it up to date.

        Layers that are on record stay so if none are given and the image is the same.
        """
        self._database.write(_NOTE, _row(rule, promoted))

    def note_all(self, images: Iterable[tuple[str, Promoted]]) -> None:
        """Record many images, each with its rule, all or none."""
        with self._database.changes():
            self._database.write_many(_NOTE, (_row(*each) for each in images))

    def find_layers(self, rule: str, target: Reference, image: Digest) -> DistinctLayers | None:
        """The layers of an image that a rule promoted; None where they are not on record."""
        rows = self._database.read(
            "SELECT layers FROM promoted WHERE rule = ? AND target = ? AND digest = ? "
            "AND layers IS NOT NULL",
            (rule, str(target), image),
        )
        found = read_rows(rows[:1], _layers, "layers of promoted images")
        return found[0] if found else None

    def forget(self, rule: str, target: Reference) -> None:
        """Remove the record of an image that is gone."""
        self._database.write(
            "DELETE FROM promoted WHERE rule = ? AND target = ?", (rule, str(target))
        )


def _row(rule: str, promoted: Promoted) -> tuple[str, str, str, str, str | None]:
    layers = None if promoted.layers is None else json.dumps(promoted.layers.to_json())
    return rule, str(promoted.target), str(promoted.source), promoted.digest, layers


def _promoted(target: object, source: object, found: object) -> Promoted:
    return Promoted(parse_reference(text(target)), parse_reference(text(source)), digest(found))


def _layers(stored: object) -> DistinctLayers:
    layers = parse_distinct(json.loads(text(stored)))
    for side in (layers.plain, layers.held):
        for name, size in dict(side).items():
            digest(name)
            number(size)
    return layers
