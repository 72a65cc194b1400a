"""Planning a cleanup rule over all its repositories, and applying the plan."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from squashproxy.catalog.repositories import find_repositories, is_listed
from squashproxy.cleanup.apply.apply import Applier
from squashproxy.cleanup.graph import Graph
from squashproxy.cleanup.in_use import InUseLists
from squashproxy.cleanup.load_graph import GraphLoader, wanted_by
from squashproxy.cleanup.make_plan import find_heads, make_plan, to_squash
from squashproxy.cleanup.plan import RepositoryPlan, RulePlan
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.cleanup.retention import dated_ahead, decide
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
    """Plans rules; `now` gives unix seconds, `tally` counts repositories."""

    client: RegistryClient
    graph_loader: GraphLoader
    now: Callable[[], float]
    tally: Tally = silent_tally

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
        for each in repositories:
            plan_of_one = self._of_repository(each, rule, lists, now)
            if plan_of_one.problem and self._has_no_tags(each, listed):
                plan_of_one = RepositoryPlan(str(each), {})
            plans.append(plan_of_one)
            task.advance(1)
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
        """The current plan of one repository.

        `orphans` are deleted as well if they are known to have lost their tag or index and nothing
        that remains needs them: an interrupted run may have left them.

        Raises UsageError where a list of images in use cannot be read.
        """
        lists = InUseLists(rule.keep.in_use)
        return self._of_repository(repository, rule, lists, self.now(), orphans)

    def _of_repository(
        self,
        repository: Repository,
        rule: CleanupRule,
        lists: InUseLists,
        now: float,
        orphans: frozenset[Digest] = frozenset(),
    ) -> RepositoryPlan:
        in_use = lists.of(repository)
        try:
            graph = self.graph_loader.graph(repository, wanted_by(rule.keep), now, in_use)
            decision = decide(graph, rule, in_use, now)
            heads = find_heads(graph, decision, rule, now) | (orphans & graph.untagged.keys())
            touched = heads | {graph.tags[tag] for tag in decision.candidates}
            graph = self.graph_loader.with_referrers(graph, graph.below(touched))
            graph = self.graph_loader.with_systems(graph, to_squash(graph, decision, rule))
        except SquashproxyError as error:
            return RepositoryPlan(str(repository), {}, problem=str(error))
        plan = make_plan(graph, decision, rule, in_use, heads)
        return replace(plan, warnings=tuple(_iter_warnings(graph, plan, now)))


def _iter_warnings(graph: Graph, plan: RepositoryPlan, now: float) -> Iterator[str]:
    """Yield a sentence for each kind of images that need a second look."""
    ahead = dated_ahead(graph, now)
    if ahead:
        yield (
            f"{graph.repository}:{ahead[0]}{_more(ahead)}: the date lies in the future, so it "
            "counts as unknown; set the clock of the machine that builds it"
        )
    sparse = sorted(tag for tag, digest in graph.tags.items() if graph.absent_from(digest))
    if sparse:
        absent = graph.absent_from(graph.tags[sparse[0]])
        yield (
            f"{graph.repository}:{sparse[0]}{_more(sparse)}: its index names {absent[0]}"
            f"{_more(absent)}, which is not there, so it is dated by what is there; push it whole "
            "again, or delete the tag"
        )
    mixed = [
        (tag, system)
        for squash in plan.squash
        for tag in squash.tags
        for system in sorted({*_systems_below(graph, squash.digest)})
    ]
    if mixed:
        tag, system = mixed[0]
        yield (
            f"{graph.repository}:{tag}{_more(mixed)}: what it holds for {system} stays as it is, "
            "since only the layers of Linux images are merged"
        )


def _more(found: Sequence[object]) -> str:
    return f" and {len(found) - 1:,} more" if len(found) > 1 else ""


def _systems_below(graph: Graph, digest: Digest) -> Iterator[str]:
    return (
        graph.systems[node.digest] for node in graph.held_by(digest) if node.digest in graph.systems
    )


def apply_plan(plan: RulePlan, applier: Applier, options: CopyOptions) -> list[RepositoryResult]:
    """Apply a plan that was just made, one repository after another.

    Raises PlanRefused where the plan exceeds the rule's limits.
    """
    if plan.refusal is not None:
        raise PlanRefused(plan.refusal)
    return [applier.apply(plan.rule, each, options) for each in plan.repositories]


def refusal_of(plan: RulePlan, rule: CleanupRule) -> str | None:
    """Why a plan may not be applied; None where it may."""
    if rule.max_deletions is None or plan.deletions <= rule.max_deletions:
        return None
    return (
        f"{rule.name} would take {plan.deletions} tags and manifests away, more than its "
        f"max_deletions of {rule.max_deletions}; look at the plan, then raise that or keep more"
    )


def _vain_patterns(rule: CleanupRule, plans: Sequence[RepositoryPlan]) -> list[str]:
    """Yield a sentence for each pattern that no tag matches, often a typing error."""
    tags = sorted({tag for plan in plans for tag in plan.tags})
    patterns = (*rule.keep.tags, *rule.tags.include, *rule.tags.exclude)
    return [f"{rule.name}: {sentence}" for sentence in unmatched(patterns, tags)]
