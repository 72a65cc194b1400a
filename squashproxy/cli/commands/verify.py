"""`squashproxy verify`."""

from __future__ import annotations

import time
from dataclasses import fields
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
from squashproxy.cli.signing_options import chain_options, with_required
from squashproxy.errors import ReportLost, UsageError
from squashproxy.location import ArchiveReference, Location, parse_location
from squashproxy.oci.platform import Platform
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.second_reading import SecondReading
from squashproxy.pipeline.signatures.chain import find_chain
from squashproxy.pipeline.signatures.results import ChainedVerify
from squashproxy.report.verify import show_verification
from squashproxy.verify.verification import verify_images

DIFFERENT = 4
"""The exit code for trees that are not the same, and for a chain that does not hold."""


@click.command(
    epilog=image_examples(
        "squashproxy verify registry.dev.example.com/app:1 registry.example.com/app:1",
        "squashproxy verify --platform linux/arm64 HOST/app:1 OTHER/app:1",
        "squashproxy verify docker-archive:app.tar oci:layout:1",
        "squashproxy verify --require-signature release.pub HOST/app:1 OTHER/app:1",
    )
)
@click.argument("a", type=argument(parse_location))
@click.argument("b", type=argument(parse_location))
@platform_option
@chain_options
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
    content. Also shows the chain: what B says that it was made from, its signatures and its
    provenance. With --require-signature the chain is checked, too. Exit code 4 if the images
    differ, or the chain does not hold.
    """
    if all(isinstance(image, ArchiveReference) and image.is_stream for image in (a, b)):
        raise UsageError(
            "A and B cannot both come from standard input", advice="write one to a file"
        )
    required, signed_as = values.pop("required"), values.pop("signed_as")
    wanted = with_required(CopyOptions(platforms=platforms), required, signed_as)
    with open_session(common) as session, watching(common) as observer:
        source, target = session.open_source(a), session.open_source(b)
        compare = partial(
            verify_images,
            source,
            target,
            platforms=platforms,
            observer=observer,
            clock=time.monotonic,
            limits=limits_of(**values),
        )
        compared = SecondReading(observer).run(compare)
        chain = find_chain(source, target, compared, wanted)
        told = {each.name: getattr(compared, each.name) for each in fields(compared)}
        result = ChainedVerify(**told, chain=chain)
    holds = result.identical and not chain.broken
    try:
        write_report(common, result, show_verification)
    except (ReportLost, BrokenPipeError) as error:
        if holds:
            raise
        if isinstance(error, ReportLost):
            context.ensure_object(Diagnostics).fail(str(error))
    for sentence in chain.broken:
        context.ensure_object(Diagnostics).fail(sentence)
    if not holds:
        context.exit(DIFFERENT)
