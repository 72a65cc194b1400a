"""`squashproxy copy`."""

from __future__ import annotations

import time
from typing import Any

import click

from squashproxy.cli.common_options import CommonOptions, argument, common_options
from squashproxy.cli.copy_options import check_mode, make_options, parse_target, squash_options
from squashproxy.cli.group import image_examples
from squashproxy.cli.output import write_report
from squashproxy.cli.session import open_session, watching
from squashproxy.cli.signing_options import SIGNING_VALUES, signing_options, with_signing
from squashproxy.errors import UsageError
from squashproxy.location import ArchiveReference, Location, parse_location
from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.report.copy import show_copy


@click.command(
    epilog=image_examples(
        "squashproxy copy docker.io/library/app:1 registry.example.com/app:1",
        "squashproxy copy --base 1 --json HOST/app:1 OTHER/app:1",
        "squashproxy copy --mode copy --referrers HOST/app:1 OTHER/app:1",
        "squashproxy copy docker-archive:app.tar oci:layout:1",
        "squashproxy copy docker-archive:- docker-archive:-:app:2 <1.tar >2.tar",
    )
)
@click.argument("source", type=argument(parse_location))
@click.argument("target", type=argument(parse_target))
@squash_options
@click.option(
    "--verify",
    is_flag=True,
    help="Unpack source and result and compare them before the tag moves; exit code 4 if they "
    "differ.",
)
@click.option(
    "--referrers",
    is_flag=True,
    help="With --mode copy: signatures, attestations and all else that refers to the image go "
    "along, also tags such as sha256-DIGEST.sig.",
)
@click.option(
    "--provenance",
    is_flag=True,
    help="Push an in-toto statement of where the image came from, as its referrer.",
)
@signing_options
@click.option("--force", is_flag=True, help="Squash even if the target is up to date.")
@click.option("--no-clobber", is_flag=True, help="Leave a tag that exists alone.")
@click.option(
    "--backup",
    metavar="TEMPLATE",
    help="Keep what the tag pointed to under this tag; may hold {tag} and {digest}.",
)
@common_options
def copy(common: CommonOptions, /, source: Location, target: Location, **values: Any) -> None:
    """Squash the image SOURCE, and write it to TARGET.

    Layers above the base become one, without what upper layers deleted or replaced. The tag moves
    last. A second run finds the target up to date and does nothing.

    \b
    --mode squash  the smallest image: pulled often, built seldom
    --mode prune   layers stay apart, and shared with other versions: built often
    --mode copy    no byte changes: signed images, or nothing hidden
    `squashproxy plan` shows the figures of all three, and recommends one.
    """  # noqa: D301 - click's mark for lines that are not to be joined
    layer_memory = values.pop("layer_memory")
    named = {each: values.pop(each) for each in SIGNING_VALUES}
    options = _copy_options(common, values)
    is_piped = isinstance(target, ArchiveReference) and target.is_stream
    if is_piped and common.as_json:
        raise UsageError(
            f"--json and {target} both want standard output", advice="write the archive to a file"
        )
    with open_session(common) as session:
        with watching(common) as observer:
            options = with_signing(options, named, observer.warn)
            options = session.with_memory(options, layer_memory, observer.warn)
            result = copy_image(
                session.open_source(source),
                session.open_sink(target),
                options,
                open_source=session.open_source,
                quick_source=session.quick_source,
                observer=observer,
                clock=time.monotonic,
            )
        for warning in result.warnings:
            observer.warn(warning)
    write_report(common, result, show_copy, aside=is_piped)


def _copy_options(common: CommonOptions, values: dict[str, Any]) -> CopyOptions:
    check_mode(click.get_current_context(), values["mode"])
    if values["backup"] is not None:
        values["keeps_tags"] = True
    if values["no_clobber"] and values["backup"] is not None:
        raise UsageError(
            "--no-clobber and --backup contradict each other: one leaves an existing tag alone, "
            "the other replaces it",
            advice="give one of them",
        )
    return make_options(common, **values)
