"""Applying a plan that nobody vouches for, as a worker gets it from the broker.

1. The worker plans the repository again: by the rule, the lists of images in use and the clock of
   its own. What it would not take away itself, the plan cannot either.
2. A plan that takes away what the rule keeps is refused as a whole, and so is one that takes away
   more than the rule's bound.
3. Since when a manifest has had no tag, only the memory of whoever asks tells. So a manifest
   without a tag is left to them, unless the rule takes it at once, or it goes with what it
   belongs to.
4. What a rule keeps, a worker may not know: it lacks a list of images in use, or its own reading
   would count as a pull. Then it does nothing, and whoever asks does all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from squashproxy.cleanup.apply.agreement import CLOCK_SECONDS, Agreement
from squashproxy.cleanup.in_use import InUseLists
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.repository_planner import LocalRepositoryPlanner, PlanQuery
from squashproxy.cleanup.retention import InUse
from squashproxy.cleanup.rule_planner import refusal_by
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused, SquashproxyError, UsageError
from squashproxy.reference import Repository, parse_repository
from squashproxy.registry.client import RegistryClient


class CannotJudge(SquashproxyError):
    """A process cannot know what a rule keeps, so another one has to apply its plans."""


@dataclass(frozen=True, slots=True)
class Distrust:
    """Finds out which steps of a plan the rule would do now.

    The loader's memory of tags must say of no manifest that it lost its tag before this moment.
    `now` gives unix seconds.
    """

    client: RegistryClient
    graph_loader: GraphLoader
    now: Callable[[], float]

    def sure_part(self, plan: RepositoryPlan, rule: CleanupRule, stated: float) -> RepositoryPlan:
        """The part of a plan that is sure to be the rule's; `stated` is its time, unix seconds.

        Raises NotPlannedNow and PlanRefused for a plan that the rule would not make, CannotJudge
        where that cannot be known, and the error of a repository that cannot be read.
        """
        refusal = refusal_by(rule, plan.deletions)
        if refusal is not None:
            raise PlanRefused(refusal)
        repository = parse_repository(plan.repository)
        now = min(stated, self.now() + CLOCK_SECONDS)
        query = PlanQuery(repository, rule, _in_use(rule, repository), now)
        own = LocalRepositoryPlanner(self.graph_loader).plan(query)
        if own.problem is not None:
            raise SquashproxyError(own.problem)
        return Agreement(plan, own, self.client.repository(repository)).sure_part()


def _in_use(rule: CleanupRule, repository: Repository) -> InUse:
    if rule.keep.pulled_within is not None:
        raise CannotJudge(
            f"{rule.name} keeps what was pulled lately, and if a worker read {repository} again, "
            "that would count as a pull"
        )
    try:
        return InUseLists(rule.keep.in_use).of(repository)
    except UsageError as error:
        raise CannotJudge(
            f"a worker has no list of the images in use that {rule.name} keeps: {error.fact}"
        ) from error
