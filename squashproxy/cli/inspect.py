"""`squashproxy inspect`."""

from __future__ import annotations

import click

from squashproxy.cli.options import CommonOptions, common_options
from squashproxy.cli.session import open_session
from squashproxy.cli.verbs import examples
from squashproxy.pipeline.inspect import inspect_image
from squashproxy.reference import Reference, parse_reference
from squashproxy.report.documents import to_json
from squashproxy.report.inspection import show_inspection
from squashproxy.report.screen import Screen


@click.command(
    epilog=examples(
        "squashproxy inspect registry.example.com/apps/web:1",
    )
)
@click.argument("reference", metavar="REF", type=parse_reference)
@common_options
def inspect(common: CommonOptions, reference: Reference) -> None:
    """Show what REF points to: digest, platforms, layers, labels, whether it is squashed.

    Reads manifests and configs, no layers.
    """
    with open_session(common) as session:
        inspection = inspect_image(session.open_source(reference))
    if common.as_json:
        click.echo(to_json(inspection))
    else:
        show_inspection(Screen(), inspection)
