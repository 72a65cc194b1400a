"""Planning a cleanup rule over all its repositories, and applying the plan."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from squashproxy.catalog.repositories import find_repositories, is_listed
from squashproxy.catalog.tags import side_by_side
from squashproxy.cleanup.apply.apply import RepositoryApplier
from squashproxy.cleanup.in_use import InUseLists
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.plan import RepositoryPlan, RulePlan
from squashproxy.cleanup.repository_planner import PlanQuery, RepositoryPlanner
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.config.cleanup import CleanupRule
from squashproxy.digest import Digest
from squashproxy.errors import PlanRefused, SquashproxyError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Tally, silent_tally
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.rules.patterns import unmatched


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans rules; `now` gives unix seconds, `tally` counts repositories.

    Repositories are planned by `repositories`, `at_once` at a time.
    """

    client: RegistryClient
    graph_loader: GraphLoader
    repositories: RepositoryPlanner
    now: Callable[[], float]
    tally: Tally = silent_tally
    at_once: int = 1

    def plan(self, rule: CleanupRule) -> RulePlan:
        """The plan of a rule. A repository that cannot be read completely has a problem instead of
        a plan.

        Raises UsageError where a list of images in use cannot be read.
        """
        now = self.now()
        lists = InUseLists(rule.keep.in_use)
        plans: list[RepositoryPlan] = []
        hosts = (pattern.host for pattern in rule.repositories)
        warnings = [f"{rule.name}: {text}" for text in lists.strangers(hosts)]
        repositories: dict[Repository, None] = {}
        listed: set[Repository] = set()
        for pattern in rule.repositories:
            try:
                found = find_repositories(self.client, [pattern])
            except SquashproxyError as error:
                plans.append(RepositoryPlan(str(pattern), {}, problem=str(error)))
                continue
            repositories.update(dict.fromkeys(found.repositories))
            listed |= found.listed
            warnings += found.warnings
        task = self.tally(f"{rule.name}: repositories", len(repositories))

        def plan_one(repository: Repository) -> RepositoryPlan:
            query = PlanQuery(repository, rule, lists.of(repository), now)
            found = self.repositories.plan(query)
            if found.problem and self._has_no_tags(repository, listed):
                found = RepositoryPlan(str(repository), {})
            task.advance(1)
            return found

        plans += side_by_side(plan_one, repositories, self.at_once)
        task.finish()
        plan = RulePlan(
            rule.name,
            rule.action.value,
            round(now, 3),
            tuple(plans),
            (*warnings, *chain(*(each.warnings for each in plans)), *_vain_patterns(rule, plans)),
        )
        return replace(plan, refusal=refusal_of(plan, rule))

    def _has_no_tags(self, repository: Repository, listed: Container[Repository]) -> bool:
        """Whether a repository exists, although the registry knows no tags of it."""
        return self.graph_loader.has_no_tags(repository) and (
            repository in listed or is_listed(self.client, repository)
        )

    def plan_again(
        self,
        repository: Repository,
        rule: CleanupRule,
        orphans: frozenset[Digest] = frozenset(),
    ) -> RepositoryPlan:
        """The current plan of one repository; for `orphans` see PlanQuery.

        Raises UsageError where a list of images in use cannot be read.
        """
        in_use = InUseLists(rule.keep.in_use).of(repository)
        return self.repositories.plan(PlanQuery(repository, rule, in_use, self.now(), orphans))


def apply_plan(
    plan: RulePlan, applier: RepositoryApplier, options: CopyOptions, at_once: int = 1
) -> list[RepositoryResult]:
    """Apply a plan that was just made, `at_once` repositories at a time.

    Raises PlanRefused where the plan exceeds the rule's limits.
    """
    if plan.refusal is not None:
        raise PlanRefused(plan.refusal)

    def apply(each: RepositoryPlan) -> RepositoryResult:
        return applier.apply(plan.rule, each, options)

    return side_by_side(apply, plan.repositories, at_once)


def refusal_of(plan: RulePlan, rule: CleanupRule) -> str | None:
    """Why a plan may not be applied; None where it may."""
    return refusal_by(rule, plan.deletions)


def refusal_by(rule: CleanupRule, deletions: int) -> str | None:
    """Why so many deletions at once may not be; None where they may."""
    if rule.max_deletions is None or deletions <= rule.max_deletions:
        return None
    return (
        f"{rule.name} would take {deletions} tags and manifests away, more than its "
        f"max_deletions of {rule.max_deletions}; look at the plan, then raise that or keep more"
    )


def _vain_patterns(rule: CleanupRule, plans: Sequence[RepositoryPlan]) -> list[str]:
    """Yield a sentence for each pattern that no tag matches, often a typing error."""
    tags = sorted({tag for plan in plans for tag in plan.tags})
    patterns = (*rule.keep.tags, *rule.tags.include, *rule.tags.exclude)
    return [f"{rule.name}: {sentence}" for sentence in unmatched(patterns, tags)]
