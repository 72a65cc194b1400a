"""What a verb works with: registries as sources and sinks, and someone to watch the work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from squashproxy.cli.options import CommonOptions
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.report.observer import LoggingObserver
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.registry import RegistrySink, RegistrySource

_SOON = 5.0


class Session:
    """The registries of one command, reached with its credentials and trust."""

    def __init__(self, client: RegistryClient, hasty: RegistryClient) -> None:
        self._client = client
        self._hasty = hasty

    def peek_source(self, reference: Reference) -> ImageSource:
        """The image that `reference` names, if its registry answers soon."""
        return RegistrySource(self._hasty, reference)

    def open_source(self, reference: Reference) -> ImageSource:
        """The image that `reference` names."""
        return RegistrySource(self._client, reference)

    def open_sink(self, reference: Reference) -> ImageSink:
        """The place that `reference` names."""
        return RegistrySink(self._client, reference)

    def iter_tags(self, repository: Repository) -> Iterator[str]:
        """The tags of a repository, in the registry's order. Raises RegistryError."""
        return self._client.repository(repository).iter_tags()


@contextmanager
def open_session(common: CommonOptions) -> Iterator[Session]:
    """Open the session that the common options describe, and close its connections."""
    options = ClientOptions(
        authfile=common.authfile,
        ca=common.ca,
        plain_http=common.plain_http,
        insecure=common.insecure,
    )
    hasty = replace(options, retries=0, timeout=_SOON)
    with RegistryClient(options) as client, RegistryClient(hasty) as peeker:
        yield Session(client, peeker)


@contextmanager
def watching(common: CommonOptions) -> Iterator[LoggingObserver]:
    """Watch the work: bars on standard error if that is a terminal, log lines otherwise."""
    if common.quiet or not sys.stderr.isatty():
        yield LoggingObserver()
        return
    from squashproxy.report.progress import ProgressObserver  # noqa: PLC0415 - loads rich

    with ProgressObserver() as progress:
        yield LoggingObserver(progress)
