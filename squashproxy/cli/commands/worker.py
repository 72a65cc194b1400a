"""`squashproxy worker`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.fleet.job import QueueName


@click.command(
    epilog=examples(
        "squashproxy worker squashproxy.yml",
        "squashproxy worker --queue interactive squashproxy.yml",
    )
)
@click.argument("configuration", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option(
    "--queue",
    "queues",
    type=click.Choice([queue.value for queue in QueueName]),
    multiple=True,
    metavar="NAME",
    help="Take only jobs of this queue: interactive (pulls wait for them) or bulk. Repeatable."
    "  [default: both, interactive first]",
)
@click.option(
    "--liveness",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Touch FILE every few seconds as long as the worker listens to its queues.",
)
@common_options
def worker(
    common: CommonOptions, configuration: Path, queues: tuple[str, ...], liveness: Path | None
) -> None:
    """Run the jobs that promote, cleanup, run and serve hand out, until SIGTERM.

    CONFIG has `engine: {kind: celery, broker: redis://HOST:PORT/0}`, and the rules
    and registries that those commands have. At SIGTERM running jobs may finish for
    `engine.drain`; then they go back into their queues.
    """
    from squashproxy.automation import worker as automation  # noqa: PLC0415 - loads pydantic
    from squashproxy.config.read import read_configuration  # noqa: PLC0415 - loads pydantic

    if not common.quiet:
        automation.show_progress_lines()
    automation.work_until_signalled(
        read_configuration(configuration, os.environ),
        common.run,
        tuple(QueueName(name) for name in queues) or tuple(QueueName),
        liveness,
    )
