"""Mirroring deletions: what a rule promoted and the source lost, with cleanup's guards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from squashproxy.catalog.tags import side_by_side
from squashproxy.cleanup.load_graph import GraphLoader, Wanted
from squashproxy.cleanup.make_plan import find_heads, make_plan
from squashproxy.cleanup.plan import RepositoryPlan, RulePlan
from squashproxy.cleanup.retention import NOTHING_IN_USE, Decision
from squashproxy.config.cleanup import Action, CleanupRule
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import FormatError, SquashproxyError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.promotion.plan import RuleSteps
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.state.promotions import Promoted, PromotionMemory


def plan_mirroring(
    found: RuleSteps,
    client: RegistryClient,
    graph_loader: GraphLoader,
    memory: PromotionMemory,
    now: Callable[[], float],
) -> RulePlan | None:
    """What to delete at the targets of a rule; None where the rule mirrors no deletions.

    Only tags that this rule wrote, that are unchanged since, that no other rule wrote, and whose
    source tag is gone from a repository that was listed without an error and still has tags. Each
    such source tag is also asked for by name. Raises FormatError where it exists: a list that lacks
    one tag may lack others.
    """
    mirror = found.rule.mirror_deletions
    if mirror is None:
        return None
    cleanup = _as_cleanup(found.rule)
    lost = _lost(found, memory)
    _check_lost(client, [promoted.source for each in lost.values() for promoted in each])
    plans = [
        _of_repository(repository, each, cleanup, graph_loader, now())
        for repository, each in lost.items()
    ]
    plan = RulePlan(found.rule.name, Action.DELETE.value, round(now(), 3), tuple(plans))
    if plan.deletions <= mirror.max_deletions:
        return plan
    return replace(
        plan,
        refusal=f"{found.rule.name} would delete {plan.deletions} tags and manifests that the "
        f"source lost, more than its max_deletions of {mirror.max_deletions}; look at the source, "
        "then raise that",
    )


def _lost(found: RuleSteps, memory: PromotionMemory) -> dict[Repository, list[Promoted]]:
    there = {each.repository: set(each.tags) for each in found.seen if each.tags and each.is_sound}
    wanted = {step.target for step in found.steps}
    lost: dict[Repository, list[Promoted]] = {}
    for promoted in memory.all_of(found.rule.name):
        tags = there.get(promoted.source.repository)
        if tags is None or promoted.source.tag in tags or promoted.target in wanted:
            continue
        if memory.owners(promoted.target) != [found.rule.name]:
            continue
        lost.setdefault(promoted.target.repository, []).append(promoted)
    return lost


def _check_lost(client: RegistryClient, sources: Sequence[Reference]) -> None:
    def find(source: Reference) -> Descriptor | None:
        return client.repository(source.repository).find_manifest(source.selector)

    for source, there in zip(sources, side_by_side(find, sources), strict=True):
        if there is not None:
            raise FormatError(
                f"{source.repository.host} does not list {source}, although it is there, so its "
                "list is not whole; no deletion is mirrored by it"
            )


def _of_repository(
    repository: Repository,
    lost: list[Promoted],
    rule: CleanupRule,
    graph_loader: GraphLoader,
    now: float,
) -> RepositoryPlan:
    try:
        graph = graph_loader.graph(
            repository, Wanted(created=False, pushed=False, pulled=False), now
        )
        ours = {each.target.tag: each.digest for each in lost}
        going = sorted(tag for tag, digest in graph.tags.items() if ours.get(tag) == digest)
        companions = graph.companions
        kept = {
            tag: "the source has it, or this rule did not put it there"
            for tag in sorted(graph.tags)
            if tag not in going and tag not in companions
        }
        decision = Decision(kept, tuple(going))
        heads = find_heads(graph, decision, rule, now)
        graph = graph_loader.with_referrers(graph, graph.below(heads))
    except SquashproxyError as error:
        return RepositoryPlan(str(repository), {}, problem=str(error))
    return make_plan(graph, decision, rule, NOTHING_IN_USE, heads)


def _as_cleanup(rule: PromoteRule) -> CleanupRule:
    return CleanupRule(name=rule.name, repositories=(rule.target,), action=Action.DELETE)
