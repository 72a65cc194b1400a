"""`squashproxy cleanup`."""

from __future__ import annotations

from pathlib import Path

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.errors import UsageError

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
    from squashproxy.cli import cleanup_modes as modes  # noqa: PLC0415 - loads pydantic

    if undo is not None:
        if applies or plan_file is not None or rule is not None:
            raise UsageError(
                "--undo goes by its log alone", advice="leave --plan, --apply and --rule out"
            )
        modes.undo(common, configuration, undo)
    elif applies:
        modes.apply(common, configuration, rule, plan_file)
    else:
        modes.plan(common, configuration, rule, plan_file)
