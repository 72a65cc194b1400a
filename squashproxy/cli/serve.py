"""`squashproxy serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from squashproxy.cli.options import CommonOptions, common_options
from squashproxy.cli.verbs import examples


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
    from squashproxy.cli.serving import find_configuration, run_server  # noqa: PLC0415 - loads aiohttp

    found = find_configuration(configuration, listen, upstreams, directory, os.environ)
    run_server(found, common, os.environ, sys.stdout)
