"""`squashproxy promote`."""

from __future__ import annotations

from pathlib import Path

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.failures import check_failures
from squashproxy.cli.group import examples
from squashproxy.cli.output import write_report
from squashproxy.report.junit import write_junit
from squashproxy.report.promote import show_promotion


@click.command(
    epilog=examples(
        "squashproxy promote --dry-run squashproxy.yml",
        "squashproxy promote --rule apps --junit promoted.xml squashproxy.yml",
    )
)
@click.argument("configuration", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--rule", metavar="NAME", help="Only this rule.  [default: all]")
@click.option("--dry-run", is_flag=True, help="Show what would be promoted; move nothing.")
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the result as JUnit XML, too: a test case for each image.",
)
@common_options
def promote(
    common: CommonOptions,
    configuration: Path,
    rule: str | None,
    junit: Path | None,
    *,
    dry_run: bool,
) -> None:
    """Promote images by the rules of CONFIG, once.

    CONFIG is a YAML file, or a folder of them, with a section `promote`. What is up to date costs
    a question on each side. An image that fails stops no other; the exit code is 3 then.
    """
    from squashproxy.automation import promote as promotion  # noqa: PLC0415 - loads pydantic
    from squashproxy.automation.context import choose_rules  # noqa: PLC0415 - loads pydantic
    from squashproxy.cli.rules import open_rules  # noqa: PLC0415 - loads pydantic

    with open_rules(common, configuration) as context:
        rules = choose_rules(context.configuration.promote, rule, "promote", configuration)
        result = promotion.promote(context, rules, dry_run=dry_run)
    write_report(common, result, show_promotion)
    if junit is not None:
        write_junit(result, junit)
    check_failures(result.failures, result.attempts)
