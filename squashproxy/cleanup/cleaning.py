"""A cleanup rule as a whole: planned, and applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from squashproxy.cleanup.applying import Applier
from squashproxy.cleanup.gathering import Gatherer, wanted_by
from squashproxy.cleanup.in_use import InUseLists
from squashproxy.cleanup.keeping import decide
from squashproxy.cleanup.planning import make_plan, removable
from squashproxy.cleanup.plans import RepositoryPlan, RulePlan
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import PlanRefused, RegistryError, SquashproxyError, UsageError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Tally, untold
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.selection.patterns import unmatched
from squashproxy.survey.repositories import find_repositories, parse_repository_pattern


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans rules; `now` gives unix seconds, `tally` counts repositories."""

    client: RegistryClient
    gatherer: Gatherer
    now: Callable[[], float]
    tally: Tally = untold

    def plan(self, rule: CleanupRule) -> RulePlan:
        """The plan of a rule. What cannot be listed or looked at whole has a problem in it.

        Raises UsageError for lists of images in use that cannot be read.
        """
        now = self.now()
        patterns = [parse_repository_pattern(text) for text in rule.repositories]
        lists = InUseLists(rule.keep.in_use)
        plans: list[RepositoryPlan] = []
        warnings: list[str] = []
        repositories: dict[Repository, None] = {}
        for pattern in patterns:
            try:
                found = find_repositories(self.client, [pattern])
            except RegistryError as error:
                plans.append(RepositoryPlan(str(pattern), {}, problem=str(error)))
                continue
            repositories.update(dict.fromkeys(found.repositories))
            warnings += found.warnings
        task = self.tally(f"{rule.name}: repositories", len(repositories))
        for each in repositories:
            plans.append(self._of_repository(each, rule, lists, now))
            task.advance(1)
        task.finish()
        plan = RulePlan(
            rule.name,
            rule.action.value,
            round(now, 3),
            tuple(plans),
            (*warnings, *_vain_patterns(rule, plans)),
        )
        return replace(plan, refusal=_refusal(plan, rule))

    def plan_again(self, repository: Repository, rule: CleanupRule) -> RepositoryPlan:
        """The plan of one repository as it is now.

        Raises UsageError for lists of images in use that cannot be read.
        """
        return self._of_repository(repository, rule, InUseLists(rule.keep.in_use), self.now())

    def _of_repository(
        self, repository: Repository, rule: CleanupRule, lists: InUseLists, now: float
    ) -> RepositoryPlan:
        in_use = lists.of(repository)
        try:
            graph = self.gatherer.graph(repository, wanted_by(rule.keep), now)
            decision = decide(graph, rule, in_use, now)
            touched = removable(graph, decision, rule, now)
            touched |= {graph.tags[tag] for tag in decision.candidates}
            graph = self.gatherer.with_referrers(graph, graph.below(touched))
        except UsageError:
            raise
        except SquashproxyError as error:
            return RepositoryPlan(str(repository), {}, problem=str(error))
        return make_plan(graph, decision, rule, in_use, now)


def apply_saved(plan: RulePlan, applier: Applier, options: CopyOptions) -> list[RepositoryResult]:
    """Apply the plan of a rule, one repository after another.

    Raises PlanRefused where the plan is refused as a whole.
    """
    if plan.refusal is not None:
        raise PlanRefused(plan.refusal)
    return [applier.apply(plan.rule, each, options).result for each in plan.repositories]


def check_saved(plan: RulePlan, rules: Sequence[CleanupRule]) -> CleanupRule:
    """The rule that a saved plan was made by. Raises UsageError where it does not fit any more."""
    for rule in rules:
        if rule.name == plan.rule:
            break
    else:
        there = ", ".join(rule.name for rule in rules) or "none"
        raise UsageError(f"the plan is of the rule {plan.rule}, but the file has {there}")
    if rule.action.value != plan.action:
        raise UsageError(
            f"the plan of {plan.rule} says {plan.action}, but the rule says {rule.action.value} "
            "now; plan again"
        )
    patterns = [parse_repository_pattern(text) for text in rule.repositories]
    for each in plan.repositories:
        host, _, path = each.repository.partition("/")
        if not any(at.host == host and at.path.matches(path) for at in patterns):
            raise UsageError(
                f"the plan is about {each.repository}, which {rule.name} is not about; plan again"
            )
    refusal = _refusal(plan, rule)
    if refusal is not None:
        raise PlanRefused(refusal)
    return rule


def _refusal(plan: RulePlan, rule: CleanupRule) -> str | None:
    if rule.max_deletions is None or plan.deletions <= rule.max_deletions:
        return None
    return (
        f"{rule.name} would take {plan.deletions} tags and manifests away, more than its "
        f"max_deletions of {rule.max_deletions}; look at the plan, then raise that or keep more"
    )


def _vain_patterns(rule: CleanupRule, plans: Sequence[RepositoryPlan]) -> list[str]:
    """A sentence for each pattern that no tag matched, which is often a slip of the pen."""
    tags = sorted({tag for plan in plans for tag in plan.tags})
    patterns = (*rule.keep.tags, *rule.tags.include, *rule.tags.exclude)
    return [f"{rule.name}: {sentence}" for sentence in unmatched(patterns, tags)]
