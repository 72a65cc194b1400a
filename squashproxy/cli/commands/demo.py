"""`squashproxy demo`."""

from __future__ import annotations

import click

from squashproxy.cli.commands.verify import DIFFERENT
from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.cli.output import write_result
from squashproxy.cli.session import watching
from squashproxy.demo.story import run_demo
from squashproxy.report.screen import Screen


@click.command(
    epilog=examples(
        "squashproxy demo",
    )
)
@common_options
@click.pass_context
def demo(context: click.Context, common: CommonOptions) -> None:
    """Squash an image between two registries that run inside this process.

    Builds an image from files of this machine, plans, copies, and compares what both images unpack
    to with a second, independent unpacker. Reaches nothing beyond loopback. Exit code 4 if the
    trees differ.
    """
    screen = None if common.as_json or common.quiet else Screen()
    with watching(common) as observer:
        result = run_demo(screen, observer, common.jobs)
    if common.as_json:
        write_result(result)
    if not result.verify.identical:
        context.exit(DIFFERENT)
