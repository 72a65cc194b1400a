"""`squashproxy cleanup`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from squashproxy.automation.cleanup import (
    apply_saved_plan,
    check_bounds,
    clean_up,
    make_plans,
    undo_log,
)
from squashproxy.automation.context import Context, choose_rules
from squashproxy.cleanup.plan_file import write_plan
from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.failures import check_failures
from squashproxy.cli.group import examples
from squashproxy.cli.output import write_report
from squashproxy.cli.rules import open_rules
from squashproxy.config.cleanup import CleanupRule
from squashproxy.errors import UsageError
from squashproxy.report.cleanup import show_cleanup, show_plan, show_undo

_FILE = click.Path(path_type=Path)


@click.command(
    epilog=examples(
        "squashproxy cleanup squashproxy.yml",
        "squashproxy cleanup --plan plan.json squashproxy.yml",
        "squashproxy cleanup --plan plan.json --apply squashproxy.yml",
        "squashproxy cleanup --undo audit/20261126T030000Z-7.jsonl squashproxy.yml",
    )
)
@click.argument("configuration", metavar="CONFIG", type=_FILE)
@click.option("--rule", metavar="NAME", help="Only this rule.  [default: all]")
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    type=_FILE,
    help="Write the plan there; with --apply, apply exactly the one that is there.",
)
@click.option("--apply", "applies", is_flag=True, help="Delete or squash what the plan says.")
@click.option(
    "--undo", metavar="LOG", type=_FILE, help="Put back what an audit log says was taken away."
)
@common_options
def cleanup(
    common: CommonOptions,
    configuration: Path,
    rule: str | None,
    plan_file: Path | None,
    undo: Path | None,
    *,
    applies: bool,
) -> None:
    """Clean up repositories by the rules of CONFIG: show the plan, or apply it.

    Nothing is changed without --apply. What anything that stays needs is never deleted, and a push
    in between wins. Space returns with the registry's own garbage collection.
    """
    if undo is not None:
        if applies or plan_file is not None or rule is not None:
            raise UsageError(
                "--undo goes by its log alone", advice="leave --plan, --apply and --rule out"
            )
        _undo(common, configuration, undo)
    elif applies:
        _apply(common, configuration, rule, plan_file)
    else:
        _plan(common, configuration, rule, plan_file)


def _plan(common: CommonOptions, configuration: Path, rule: str | None, file: Path | None) -> None:
    with open_rules(common, configuration) as context:
        plan = make_plans(context, _chosen(context, rule, configuration))
    if file is not None:
        write_plan(plan, file)
    write_report(common, plan, show_plan)
    check_bounds(plan)
    repositories = [each for rule_plan in plan.rules for each in rule_plan.repositories]
    check_failures(sum(each.problem is not None for each in repositories), len(repositories))


def _apply(common: CommonOptions, configuration: Path, rule: str | None, file: Path | None) -> None:
    with open_rules(common, configuration) as context:
        rules = _chosen(context, rule, configuration)
        if file is None:
            result = clean_up(context, rules)
        else:
            result = apply_saved_plan(context, rules, rule, file)
    undo = f"squashproxy cleanup {configuration} --undo"
    write_report(common, result, partial(show_cleanup, undo_command=undo))
    check_failures(result.failures, result.attempts, is_anything_done=result.has_changed_anything)


def _undo(common: CommonOptions, configuration: Path, log: Path) -> None:
    with open_rules(common, configuration) as context:
        result = undo_log(context, log)
    write_report(common, result, show_undo)
    check_failures(result.failures, len(result.steps))


def _chosen(context: Context, rule: str | None, configuration: Path) -> list[CleanupRule]:
    return choose_rules(context.configuration.cleanup, rule, "cleanup", configuration)
