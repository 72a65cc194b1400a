"""Planning the cleanup of one repository: in this process, or wherever a RepositoryPlanner does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from squashproxy.cleanup.graph import Graph
from squashproxy.cleanup.load_graph import GraphLoader, wanted_by
from squashproxy.cleanup.make_plan import find_heads, make_plan, to_squash
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.retention import InUse, dated_ahead, decide
from squashproxy.config.cleanup import CleanupRule
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.reference import Repository


@dataclass(frozen=True, slots=True)
class PlanQuery:
    """What to plan: a repository by a rule at the time `now`, in unix seconds.

    `orphans` are deleted as well if they are known to have lost their tag or index and nothing that
    remains needs them: an interrupted run may have left them.
    """

    repository: Repository
    rule: CleanupRule
    in_use: InUse
    now: float
    orphans: frozenset[Digest] = frozenset()


class RepositoryPlanner(Protocol):
    """Plans single repositories; usable from several threads."""

    def plan(self, query: PlanQuery) -> RepositoryPlan:
        """The plan, or one with a problem where the repository cannot be read completely."""
        ...


@dataclass(frozen=True, slots=True)
class LocalRepositoryPlanner:
    """Plans repositories in this process."""

    graph_loader: GraphLoader

    def plan(self, query: PlanQuery) -> RepositoryPlan:
        """The plan, or one with a problem where the repository cannot be read completely."""
        rule, in_use, now = query.rule, query.in_use, query.now
        loader = self.graph_loader
        try:
            graph = loader.graph(query.repository, wanted_by(rule.keep), now, in_use)
            decision = decide(graph, rule, in_use, now)
            heads = find_heads(graph, decision, rule, now)
            heads |= query.orphans & graph.untagged.keys()
            touched = heads | {graph.tags[tag] for tag in decision.candidates}
            graph = loader.with_referrers(graph, graph.below(touched))
            graph = loader.with_systems(graph, to_squash(graph, decision, rule))
        except SquashproxyError as error:
            return RepositoryPlan(str(query.repository), {}, problem=str(error))
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
