"""`squashproxy plan`."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from squashproxy.analysis.plan import plan_image
from squashproxy.analysis.thresholds import Threshold, parse_threshold
from squashproxy.cli.common_options import CommonOptions, argument, common_options, value_of
from squashproxy.cli.copy_options import check_mode, make_options, parse_target, squash_options
from squashproxy.cli.diagnostics import Diagnostics
from squashproxy.cli.group import image_examples
from squashproxy.cli.output import write_report
from squashproxy.cli.plan_page import check_apart, parse_page, write_page
from squashproxy.cli.session import open_session, watching
from squashproxy.cli.signing_options import SIGNING_VALUES, signing_options, with_signing
from squashproxy.config.values import parse_size
from squashproxy.location import Location, parse_location
from squashproxy.report.plan import show_plan
from squashproxy.report.violations import iter_violations

_FAILED = 1


@click.command(
    epilog=image_examples(
        "squashproxy plan docker.io/library/app:1",
        "squashproxy plan --base none HOST/app:1 OTHER/app:1",
        "docker save app:1 | squashproxy plan docker-archive:-",
        "squashproxy plan --fail-over 'secrets>0' --html plan.html HOST/app:1",
    )
)
@click.argument("source", type=argument(parse_location))
@click.argument("target", type=argument(parse_target), required=False)
@squash_options
@signing_options
@click.option(
    "--fail-over",
    "thresholds",
    type=value_of("--fail-over:", partial(parse_threshold, parse_size=parse_size)),
    multiple=True,
    metavar="FIGURE>LIMIT",
    help="Fail where it holds, as 'hidden>20MB', 'efficiency<0.9' or 'secrets>0'; also >=, <, <=. "
    "Repeatable.",
)
@click.option(
    "--html",
    "page",
    type=parse_page,
    metavar="FILE",
    help="Also write a page with charts and tables that needs no network.",
)
@common_options
def plan(
    common: CommonOptions,
    /,
    source: Location,
    target: Location | None,
    thresholds: tuple[Threshold, ...],
    page: Path | None,
    **values: Any,
) -> None:
    """Show what copying SOURCE would do, layer by layer; move nothing.

    With TARGET, also what a copy would reuse, mount and upload there.
    """
    check_mode(click.get_current_context(), values["mode"])
    check_apart(common, page)
    layer_memory = values.pop("layer_memory")
    named = {each: values.pop(each) for each in SIGNING_VALUES}
    options = make_options(common, **values)
    with open_session(common) as session:
        with watching(common) as observer:
            options = with_signing(options, named, observer.warn)
            result = plan_image(
                session.open_source(source),
                session.open_sink(target) if target else None,
                session.with_memory(options, layer_memory, observer.warn),
                open_source=session.open_source,
                quick_source=session.quick_source,
                observer=observer,
            )
        for warning in result.warnings:
            observer.warn(warning)
    violations = list(iter_violations(result, thresholds))
    with ExitStack() as outputs:  # each is written even if one before it fails
        outputs.callback(_tell, violations)
        outputs.callback(write_report, common, result, show_plan)
        if page is not None:
            write_page(page, result)
    if violations:
        click.get_current_context().exit(_FAILED)


def _tell(violations: list[str]) -> None:
    diagnostics = click.get_current_context().ensure_object(Diagnostics)
    for sentence in violations:
        diagnostics.fail(sentence)
