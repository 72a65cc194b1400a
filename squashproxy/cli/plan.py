"""`squashproxy plan`."""

from __future__ import annotations

from typing import Any

import click

from squashproxy.cli.images import make_limits, parse_target, squash_options
from squashproxy.cli.options import CommonOptions, common_options
from squashproxy.cli.session import open_session, watching
from squashproxy.cli.verbs import examples
from squashproxy.location import Location, parse_location
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.plan import plan_image
from squashproxy.report.documents import to_json
from squashproxy.report.planning import show_plan
from squashproxy.report.screen import Screen


@click.command(
    epilog=examples(
        "squashproxy plan docker.io/library/app:1",
        "squashproxy plan --base none HOST/app:1 OTHER/app:1",
    )
)
@click.argument("source", type=parse_location)
@click.argument("target", type=parse_target, required=False)
@squash_options
@common_options
def plan(
    common: CommonOptions, /, source: Location, target: Location | None, **values: Any
) -> None:
    """Show what copying SOURCE would do, layer by layer; move nothing.

    With TARGET, also what a copy would reuse, mount and upload there.
    """
    limits = make_limits(
        *(values.pop(name) for name in ("memory", "max_unpacked", "max_entries", "max_ratio"))
    )
    options = CopyOptions(limits=limits, jobs=common.jobs, **values)
    with open_session(common) as session:
        with watching(common) as observer:
            result = plan_image(
                session.open_source(source),
                session.open_sink(target) if target else None,
                options,
                open_source=session.open_source,
                peek_source=session.peek_source,
                observer=observer,
            )
        for warning in result.warnings:
            observer.warn(warning)
    if common.as_json:
        click.echo(to_json(result))
    else:
        show_plan(Screen(), result)
