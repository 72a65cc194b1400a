"""Deleting at targets what the source lost: of what a rule promoted, with cleanup's guards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squashproxy.cleanup.gathering import Gatherer, Wanted
from squashproxy.cleanup.keeping import Decision, InUse
from squashproxy.cleanup.planning import make_plan, removable
from squashproxy.cleanup.plans import RepositoryPlan, RulePlan
from squashproxy.config.cleanup import Action, CleanupRule
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import SquashproxyError
from squashproxy.promotion.planning import RuleSteps
from squashproxy.reference import Repository
from squashproxy.state.promotions import Promoted, PromotionMemory


def plan_mirroring(
    found: RuleSteps,
    gatherer: Gatherer,
    memory: PromotionMemory,
    now: Callable[[], float],
) -> RulePlan | None:
    """What goes at the targets of a rule, None where the rule mirrors no deletions.

    Only what this rule put there, what still is as it was put there, and whose source tag is gone
    from a repository that was listed without an error and still has tags.
    """
    mirror = found.rule.mirror_deletions
    if mirror is None:
        return None
    cleanup = _as_cleanup(found.rule)
    plans = [
        _of_repository(repository, lost, cleanup, gatherer, now())
        for repository, lost in _lost(found, memory).items()
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
    there = {each.repository: set(each.tags) for each in found.seen if each.tags}
    wanted = {step.target for step in found.steps}
    lost: dict[Repository, list[Promoted]] = {}
    for promoted in memory.all_of(found.rule.name):
        tags = there.get(promoted.source.repository)
        if tags is None or promoted.source.tag in tags or promoted.target in wanted:
            continue
        lost.setdefault(promoted.target.repository, []).append(promoted)
    return lost


def _of_repository(
    repository: Repository,
    lost: list[Promoted],
    rule: CleanupRule,
    gatherer: Gatherer,
    now: float,
) -> RepositoryPlan:
    try:
        graph = gatherer.graph(repository, Wanted(created=False, pushed=False, pulled=False), now)
        ours = {each.target.tag: each.digest for each in lost}
        going = sorted(tag for tag, digest in graph.tags.items() if ours.get(tag) == digest)
        companions = graph.companions
        kept = {
            tag: "the source has it, or this rule did not put it there"
            for tag in sorted(graph.tags)
            if tag not in going and tag not in companions
        }
        decision = Decision(kept, tuple(going))
        graph = gatherer.with_referrers(graph, removable(graph, decision, rule, now))
    except SquashproxyError as error:
        return RepositoryPlan(str(repository), {}, problem=str(error))
    return make_plan(graph, decision, rule, InUse(), now)


def _as_cleanup(rule: PromoteRule) -> CleanupRule:
    return CleanupRule(name=rule.name, repositories=(rule.target,), action=Action.DELETE)
