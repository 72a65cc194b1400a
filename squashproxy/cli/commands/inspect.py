"""`squashproxy inspect`."""

from __future__ import annotations

import click

from squashproxy.cli.common_options import CommonOptions, argument, common_options
from squashproxy.cli.group import image_examples
from squashproxy.cli.output import write_report
from squashproxy.cli.session import open_session
from squashproxy.location import Location, parse_location
from squashproxy.pipeline.inspect import inspect_image
from squashproxy.report.inspect import show_inspection


@click.command(
    epilog=image_examples(
        "squashproxy inspect registry.example.com/apps/web:1",
    )
)
@click.argument("reference", metavar="REF", type=argument(parse_location))
@common_options
def inspect(common: CommonOptions, reference: Location) -> None:
    """Show what REF points to: digest, platforms, layers, labels, whether it is squashed.

    Reads manifests and configs, no layers.
    """
    with open_session(common) as session:
        inspection = inspect_image(session.open_source(reference))
    write_report(common, inspection, show_inspection)
