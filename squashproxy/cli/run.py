"""`squashproxy run`."""

from __future__ import annotations

from pathlib import Path

import click

from squashproxy.cli.options import CommonOptions, common_options
from squashproxy.cli.verbs import examples


@click.command(
    epilog=examples(
        "squashproxy run squashproxy.yml",
        "squashproxy run --log-format json -v /etc/squashproxy",
    )
)
@click.argument("configuration", metavar="CONFIG", type=click.Path(path_type=Path))
@common_options
def run(common: CommonOptions, configuration: Path) -> None:
    """Serve, promote and clean up on the schedules of CONFIG, until SIGTERM.

    A rule never overlaps itself; a time that passed while nothing ran is caught up once. SIGHUP
    reads CONFIG again and keeps the old one where the new one is not valid. Standard error gets a
    line when a run begins and one when it ends; -v adds one for each image and deletion.
    """
    from squashproxy.cli.running import run_rules  # noqa: PLC0415 - loads pydantic and aiohttp

    run_rules(common, configuration)
