"""The three modes of `squashproxy cleanup`: show a plan, apply one, or undo one.

Apart from its options, so that the command's help need not load what reads a configuration.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from squashproxy.automation.cleanup import (
    apply_saved_plan,
    check_bounds,
    clean_up,
    make_plans,
    undo_log,
)
from squashproxy.automation.context import Context, choose_rules
from squashproxy.cleanup.plan_file import write_plan
from squashproxy.cli.common_options import CommonOptions
from squashproxy.cli.failures import check_failures
from squashproxy.cli.output import write_report
from squashproxy.cli.rules import open_rules
from squashproxy.config.cleanup import CleanupRule
from squashproxy.report.cleanup import show_cleanup, show_plan, show_undo


def plan(common: CommonOptions, configuration: Path, rule: str | None, file: Path | None) -> None:
    """Show the plan, and write it to `file` if there is one."""
    with open_rules(common, configuration) as context:
        planned = make_plans(context, _chosen(context, rule, configuration))
    if file is not None:
        write_plan(planned, file)
    write_report(common, planned, show_plan)
    check_bounds(planned)
    repositories = [each for rule_plan in planned.rules for each in rule_plan.repositories]
    check_failures(sum(each.problem is not None for each in repositories), len(repositories))


def apply(common: CommonOptions, configuration: Path, rule: str | None, file: Path | None) -> None:
    """Plan and apply, or apply the plan that is in `file`."""
    with open_rules(common, configuration) as context:
        rules = _chosen(context, rule, configuration)
        if file is None:
            result = clean_up(context, rules)
        else:
            result = apply_saved_plan(context, rules, rule, file)
    undo_command = f"squashproxy cleanup {configuration} --undo"
    write_report(common, result, partial(show_cleanup, undo_command=undo_command))
    check_failures(result.failures, result.attempts, is_anything_done=result.has_changed_anything)


def undo(common: CommonOptions, configuration: Path, log: Path) -> None:
    """Put back what the audit log `log` says was taken away."""
    with open_rules(common, configuration) as context:
        result = undo_log(context, log)
    write_report(common, result, show_undo)
    check_failures(result.failures, len(result.steps))


def _chosen(context: Context, rule: str | None, configuration: Path) -> list[CleanupRule]:
    return choose_rules(context.configuration.cleanup, rule, "cleanup", configuration)
