"""Scanning one source repository: which of its images a rule chooses, and what is to be done.

Names that collide, and tags that belong to others, only show when all repositories are known: that
is left to the plan.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol

from squashproxy.catalog.tags import batches_side_by_side
from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Key, Route, key_of
from squashproxy.pipeline.options import CopyOptions
from squashproxy.promotion.compare import Comparer
from squashproxy.promotion.pairs import Pair
from squashproxy.promotion.steps import Sighting, Step
from squashproxy.promotion.survey import Survey
from squashproxy.reference import Repository

Names = tuple[Key, Key]
"""The source and the target of an image, in a form that can be compared."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found; no sighting where the repository could not be listed.

    `warnings` and `problems` are whole sentences. There is a step for each pair.
    """

    sighting: Sighting | None
    pairs: tuple[Pair, ...] = ()
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class RepositoryScanner(Protocol):
    """Scans repositories; usable from several threads, `at_once` of them."""

    @property
    def at_once(self) -> int:
        """How many repositories are scanned at once."""
        ...

    def scan(
        self,
        rule: PromoteRule,
        options: CopyOptions,
        listed: Container[Repository],
        repository: Repository,
    ) -> Scan:
        """Scan a repository; `listed` are those that the registry lists. Errors are problems."""
        ...


def names_of(item: Pair | Step) -> Names:
    """The names of a pair or a step."""
    return key_of(item.source), key_of(item.target)


def scan_repository(
    survey: Survey, repository: Repository, options: CopyOptions, *, is_listed: bool
) -> Scan:
    """Scan a repository for the survey's rule, in this process."""
    listed = frozenset({repository} if is_listed else ())
    sighting = survey.look_at(listed, repository)
    pairs: tuple[Pair, ...] = ()
    if sighting is not None:
        pairs = tuple(survey.choose(Route(survey.rule), sighting))
    comparer = Comparer(survey.client)
    steps = batches_side_by_side(lambda batch: comparer.steps(survey.rule, batch, options), pairs)
    return Scan(sighting, pairs, tuple(steps), tuple(survey.warnings), tuple(survey.problems))
