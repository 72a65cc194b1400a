"""`squashproxy verify`."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import click

from squashproxy.cli.common_options import CommonOptions, argument, common_options
from squashproxy.cli.copy_options import platform_option
from squashproxy.cli.diagnostics import Diagnostics
from squashproxy.cli.group import image_examples
from squashproxy.cli.limit_options import limit_options, limits_of
from squashproxy.cli.output import write_report
from squashproxy.cli.session import open_session, watching
from squashproxy.errors import ReportLost, UsageError
from squashproxy.location import ArchiveReference, Location, parse_location
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.second_reading import SecondReading
from squashproxy.report.verify import show_verification
from squashproxy.verify.verification import verify_images

DIFFERENT = 4
"""The exit code for trees that are not the same."""


@click.command(
    epilog=image_examples(
        "squashproxy verify registry.dev.example.com/app:1 registry.example.com/app:1",
        "squashproxy verify --platform linux/arm64 HOST/app:1 OTHER/app:1",
        "squashproxy verify docker-archive:app.tar oci:layout:1",
    )
)
@click.argument("a", type=argument(parse_location))
@click.argument("b", type=argument(parse_location))
@platform_option
@limit_options
@common_options
@click.pass_context
def verify(
    context: click.Context,
    common: CommonOptions,
    /,
    a: Location,
    b: Location,
    platforms: tuple[Platform, ...],
    **values: Any,
) -> None:
    """Compare what the images A and B unpack to.

    Reads both and compares every path: type, mode, owner, time, extended attributes, hard links,
    content. Exit code 4 if they differ.
    """
    if all(isinstance(image, ArchiveReference) and image.is_stream for image in (a, b)):
        raise UsageError(
            "A and B cannot both come from standard input", advice="write one to a file"
        )
    with open_session(common) as session, watching(common) as observer:
        compare = partial(
            verify_images,
            session.open_source(a),
            session.open_source(b),
            platforms=platforms,
            observer=observer,
            clock=time.monotonic,
            limits=limits_of(**values),
        )
        result = SecondReading(observer).run(compare)
    try:
        write_report(common, result, show_verification)
    except (ReportLost, BrokenPipeError) as error:
        if result.identical:
            raise
        if isinstance(error, ReportLost):
            context.ensure_object(Diagnostics).fail(str(error))
    if not result.identical:
        context.exit(DIFFERENT)
