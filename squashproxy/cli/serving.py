"""What `squashproxy serve` does once its options are read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import click

from squashproxy.cli.options import CommonOptions
from squashproxy.config.cautions import warnings_of
from squashproxy.config.configuration import Configuration
from squashproxy.config.reading import parse_configuration, read_configuration
from squashproxy.errors import UsageError
from squashproxy.report.observer import LoggingObserver
from squashproxy.server.running import serve, signalled
from squashproxy.state.runs import RunHistory


def find_configuration(
    path: Path | None,
    listen: str | None,
    upstreams: Sequence[str],
    directory: str | None,
    environ: Mapping[str, str],
) -> Configuration:
    """The configuration of a file, or the one that the options make up.

    Raises UsageError, also where there is both.
    """
    if path is None:
        return _from_options(listen, upstreams, directory)
    if listen or upstreams or directory:
        raise UsageError(
            f"--listen, --upstream and --store stand in for a file, but {path} is one; write them "
            "into it"
        )
    found = read_configuration(path, environ)
    if found.serve is None:
        raise UsageError(f"{path} has no section `serve`; write one")
    return found


def run_server(
    configuration: Configuration,
    common: CommonOptions,
    environ: Mapping[str, str],
    output: IO[str],
) -> None:
    """Serve until a signal ends it."""
    observer = LoggingObserver()
    for sentence in warnings_of(configuration):
        observer.warn(sentence)
    asyncio.run(serve_until(configuration, common, environ, output, signalled))


async def serve_until(
    configuration: Configuration,
    common: CommonOptions,
    environ: Mapping[str, str],
    output: IO[str],
    until: Callable[[], Awaitable[object]],
    *,
    runs: RunHistory | None = None,
) -> None:
    """Serve until `until` returns; the access log goes to `output`."""

    def tell(addresses: list[str]) -> None:
        if not common.quiet:
            click.echo(f"squashproxy: listening on {', '.join(addresses)}", err=True)

    log = None if common.quiet else output
    await serve(
        configuration, common.client, environ, access_log=log, on_ready=tell, until=until, runs=runs
    )


def _from_options(
    listen: str | None, upstreams: Sequence[str], directory: str | None
) -> Configuration:
    allowed: dict[str, dict[str, str]] = {}
    for text in upstreams or ("docker.io",):
        host, equals, url = text.partition("=")
        allowed[host] = {"url": url} if equals else {}
    serve_section = {
        "listen": listen or "127.0.0.1:5000",
        "upstreams": allowed,
        "store": {"directory": directory or "cache"},
    }
    text = json.dumps({"serve": serve_section})
    return parse_configuration(text, "the options", Path(), {})
