"""The reports of cleanup, for people."""

from __future__ import annotations

from squashproxy.cleanup.apply.undo import UndoResult
from squashproxy.cleanup.plan import CleanupPlan, RepositoryPlan
from squashproxy.cleanup.results import CleanupResult, RepositoryResult, Step, StepOutcome
from squashproxy.report.distinct import distinct_text
from squashproxy.report.screen import Screen, Table, short_digest
from squashproxy.report.sizes import UNIT_NOTE, count_text, size_text

_SPACE = "the registry's own garbage collection brings the space back"

_SHOWN = (
    StepOutcome.DELETED,
    StepOutcome.UNTAGGED,
    StepOutcome.SQUASHED,
    StepOutcome.GONE,
    StepOutcome.LEFT,
)


def show_plan(screen: Screen, plan: CleanupPlan) -> None:
    """Write the steps of a plan with their reasons, repository by repository."""
    for rule in plan.rules:
        screen.line(f"Rule {rule.rule}: {rule.action}", "bold")
        table = Table(("repository", "tags", "kept", "remove", "untag", "squash", "frees"), names=1)
        for each in rule.repositories:
            table.add_row(
                each.repository,
                f"{len(each.tags):,}",
                f"{len(each.kept):,}",
                f"{len(each.remove):,}",
                f"{len(each.untag):,}",
                f"{len(each.squash):,}",
                size_text(each.freed_bytes),
            )
        screen.show(table)
        for each in rule.repositories:
            _show_repository(screen, each)
        if rule.refusal is not None:
            screen.line(f"refused: {rule.refusal}", "bold red")
        screen.line()
    count = sum(rule.deletions for rule in plan.rules)
    freed = sum(each.freed_bytes for rule in plan.rules for each in rule.repositories)
    screen.fact("plan", f"{count_text(count, 'change')}; nothing was changed")
    if freed:
        screen.fact("frees", f"{size_text(freed)}, when {_SPACE}; {UNIT_NOTE}")


def _show_repository(screen: Screen, plan: RepositoryPlan) -> None:
    if plan.problem is not None:
        screen.line(f"  {plan.repository}: nothing is planned: {plan.problem}", "red")
    for removal in plan.remove:
        tags = ", ".join(removal.tags) or "no tag"
        what = f"{removal.kind} {short_digest(removal.digest)} ({tags})"
        screen.line(f"  {plan.repository}: remove {what}: {removal.why}")
    for untag in plan.untag:
        screen.line(f"  {plan.repository}: untag {untag.tag}: {untag.why}")
    for squash in plan.squash:
        tags = ", ".join(squash.tags)
        screen.line(f"  {plan.repository}: squash {tags}, {size_text(squash.size)}")
    for left in plan.left:
        screen.line(f"  {plan.repository}: leave {left.tag}: {left.why}")


def show_cleanup(screen: Screen, result: CleanupResult, undo_command: str) -> None:
    """Write the steps done; `undo_command` takes the audit log as its last argument."""
    table = Table(("repository", *(outcome.value for outcome in _SHOWN), "saved"), names=1)
    for each in result.repositories:
        table.add_row(
            each.repository,
            *(f"{each.count(outcome):,}" for outcome in _SHOWN),
            size_text(each.saved_bytes + each.freed_bytes),
        )
    screen.show(table)
    for each in result.repositories:
        _show_trouble(screen, each)
        if each.distinct_before:
            text = distinct_text(each.distinct_before, each.distinct_after)
            screen.line(f"  {each.repository}: the squashed images hold {text}")
        signed = sum(one.is_new for step in each.steps for one in step.signatures)
        if signed:
            screen.line(f"  {each.repository}: {count_text(signed, 'new signature')}")
    screen.line()
    if result.log is not None:
        screen.fact("log", result.log)
        screen.fact("to undo", f"{undo_command} {result.log}")
    freed = sum(each.freed_bytes for each in result.repositories)
    if freed:
        screen.fact("frees", f"{size_text(freed)}, when {_SPACE}; {UNIT_NOTE}")
    screen.fact("took", f"{result.seconds:.1f} s")


def _show_trouble(screen: Screen, result: RepositoryResult) -> None:
    for step in result.steps:
        if step.outcome == StepOutcome.LEFT:
            name = ", ".join(step.tags) or short_digest(step.digest)
            screen.line(f"  {result.repository}: {name} was left: {step.why}")
    if result.problem is not None:
        screen.line(f"  {result.repository} stopped: {result.problem}", "red")


def show_undo(screen: Screen, result: UndoResult) -> None:
    """Write the manifests and tags that were put back."""
    for step in result.steps:
        name = ", ".join(step.tags) or "no tag"
        why = f": {step.why}" if step.outcome != StepOutcome.RESTORED else ""
        screen.line(f"{step.outcome} {short_digest(step.digest)} ({name}){why}")
    restored = sum(step.outcome == StepOutcome.RESTORED for step in result.steps)
    screen.fact("restored", count_text(restored, "manifest"))


def step_line(repository: str, step: Step) -> str:
    """A log line for one step."""
    name = ", ".join(step.tags) or short_digest(step.digest)
    why = f" ({step.why})" if step.why else ""
    signed = ", signed" if step.signatures else ""
    return f"{repository}: {step.action} {name}: {step.outcome}{signed}{why}"
