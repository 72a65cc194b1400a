"""`squashproxy run`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.cli.output import tell_addresses


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
    from squashproxy.automation import daemon  # noqa: PLC0415 - loads pydantic and aiohttp

    if not common.quiet:
        daemon.show_progress_lines()
    daemon.run_until_signalled(
        configuration,
        common.run,
        access_log=None if common.quiet else sys.stdout,
        on_ready=partial(tell_addresses, common),
    )
