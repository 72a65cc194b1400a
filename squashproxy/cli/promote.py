"""`squashproxy promote`."""

from __future__ import annotations

from pathlib import Path

import click

from squashproxy.cli.options import CommonOptions, common_options
from squashproxy.cli.verbs import examples


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
    from squashproxy.cli.promoting import run_promotion  # noqa: PLC0415 - loads pydantic

    run_promotion(common, configuration, rule, junit, dry_run=dry_run)
