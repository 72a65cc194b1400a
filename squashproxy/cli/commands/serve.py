"""`squashproxy serve`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from squashproxy.cli.common_options import CommonOptions, common_options
from squashproxy.cli.group import examples
from squashproxy.cli.output import tell_addresses
from squashproxy.errors import UsageError

if TYPE_CHECKING:
    from squashproxy.config.configuration import Configuration


@click.command(
    epilog=examples(
        "squashproxy serve squashproxy.yml",
        "squashproxy serve --upstream docker.io --upstream ghcr.io --store ./cache",
    )
)
@click.argument(
    "configuration",
    metavar="[CONFIG]",
    required=False,
    type=click.Path(path_type=Path),
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [default: 127.0.0.1:5000]")
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="HOST[=URL]",
    help="A registry that may be pulled through. Repeatable.  [default: docker.io]",
)
@click.option(
    "--store", "directory", metavar="DIR", help="Where images are kept.  [default: ./cache]"
)
@common_options
def serve(
    common: CommonOptions,
    configuration: Path | None,
    listen: str | None,
    upstreams: tuple[str, ...],
    directory: str | None,
) -> None:
    """Serve squashed images: a registry that others are pulled through.

    CONFIG is a YAML file with a section `serve`; without it, the options say the most needed.
    Clients ask for HOST/REPO, as in 127.0.0.1:5000/docker.io/library/debian:12, or use it as a
    mirror. The access log goes to standard output, a JSON object a line, unless -q is given.
    """
    from squashproxy.automation.serve import (  # noqa: PLC0415 - loads pydantic and aiohttp
        serve_until_signalled,
    )

    found = _find_configuration(configuration, listen, upstreams, directory)
    serve_until_signalled(
        found,
        common.run,
        access_log=None if common.quiet else sys.stdout,
        on_ready=partial(tell_addresses, common),
    )


def _find_configuration(
    path: Path | None, listen: str | None, upstreams: Sequence[str], directory: str | None
) -> Configuration:
    """The configuration of a file, or the one that the options make up; not both."""
    from squashproxy.config.read import read_configuration  # noqa: PLC0415 - loads pydantic

    if path is None:
        return _from_options(listen, upstreams, directory)
    if listen or upstreams or directory:
        raise UsageError(
            f"--listen, --upstream and --store stand in for a file, but {path} is one",
            advice="write them into it",
        )
    found = read_configuration(path, os.environ)
    if found.serve is None:
        raise UsageError(f"{path} has no section `serve`", advice="write one")
    return found


def _from_options(
    listen: str | None, upstreams: Sequence[str], directory: str | None
) -> Configuration:
    from squashproxy.config.read import parse_configuration  # noqa: PLC0415 - loads pydantic

    allowed: dict[str, dict[str, str]] = {}
    for text in upstreams or ("docker.io",):
        host, equals, url = text.partition("=")
        allowed[host] = {"url": url} if equals else {}
    section = {
        "listen": listen or "127.0.0.1:5000",
        "upstreams": allowed,
        "store": {"directory": directory or "cache"},
    }
    return parse_configuration(json.dumps({"serve": section}), "the options", Path(), {})
