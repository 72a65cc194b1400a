"""`squashproxy jobs`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.cli.output import say, write_document
from squashproxy.report.jobs import jobs_document, show_jobs
from squashproxy.report.screen import Screen


@click.command(
    epilog=examples(
        "squashproxy jobs squashproxy.yml",
        "squashproxy jobs --json squashproxy.yml",
        "squashproxy jobs --retry 30a387a7c544e0456115ec24 squashproxy.yml",
    )
)
@click.argument("configuration", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option(
    "--retry",
    "retried",
    metavar="ID",
    multiple=True,
    help="Queue a job again that failed or is parked. Repeatable.",
)
@common_options
def jobs(common: CommonOptions, configuration: Path, retried: tuple[str, ...]) -> None:
    """Show the workers of CONFIG's fleet, and its jobs: queued, running, failed and parked.

    A job is parked once it has ended its worker three times; nobody takes it then
    until it is retried.
    """
    from squashproxy.automation.fleet_jobs import look_at_jobs  # noqa: PLC0415 - loads pydantic
    from squashproxy.config.read import read_configuration  # noqa: PLC0415 - loads pydantic

    snapshot = look_at_jobs(read_configuration(configuration, os.environ), common.ca, retried)
    if common.as_json:
        write_document(jobs_document(snapshot, retried))
    elif not common.quiet:
        for job in retried:
            say(f"{job} is queued again")
        show_jobs(Screen(), snapshot)
