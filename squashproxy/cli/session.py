"""The sources and sinks of one command, and the display of its progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from squashproxy.cli.common_options import CommonOptions
from squashproxy.layer_memory.choice import (
    LayerMemoryChoice,
    default_layer_memory,
)
from squashproxy.layer_memory.open import open_layer_memory
from squashproxy.location import Location
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.report.observer import LoggingObserver
from squashproxy.report.waits import WaitTeller
from squashproxy.transports.base import ImageSink, ImageSource
from squashproxy.transports.registry import RegistrySink, RegistrySource


class Session:
    """Opens the registries and archives of one command, and closes them at its end."""

    def __init__(self, client: RegistryClient, quick: RegistryClient, opened: ExitStack) -> None:
        self._client = client
        self._quick = quick
        self._opened = opened

    def quick_source(self, location: Location) -> ImageSource:
        """The image at `location`; a registry that does not answer soon counts as unreachable."""
        return self._open_source(location, self._quick)

    def open_source(self, location: Location) -> ImageSource:
        """The image at `location`."""
        return self._open_source(location, self._client)

    def open_sink(self, location: Location) -> ImageSink:
        """The sink at `location`; what was not published is abandoned when the session ends."""
        sink: ImageSink
        if isinstance(location, Reference):
            sink = RegistrySink(self._client, location)
        else:
            from squashproxy.transports import archives  # noqa: PLC0415 - registries need no tar

            sink = archives.open_sink(location)
        self._opened.callback(sink.close)
        return sink

    def with_memory(
        self, options: CopyOptions, choice: LayerMemoryChoice | None, warn: Callable[[str], None]
    ) -> CopyOptions:
        """The options, with the memory of layers that was chosen; None is the user's own folder."""
        chosen = choice or default_layer_memory(os.environ)
        memory = open_layer_memory(chosen, ENGINE, self._quick.repository, warn)
        return replace(options, memory=memory)

    def iter_tags(self, repository: Repository) -> Iterator[str]:
        """The tags of a repository, as the registry lists them and in its order.

        Raises RegistryError and FormatError.
        """
        return self._client.repository(repository).iter_listed_names()

    def _open_source(self, location: Location, client: RegistryClient) -> ImageSource:
        source: ImageSource
        if isinstance(location, Reference):
            source = RegistrySource(client, location)
        else:
            from squashproxy.transports import archives  # noqa: PLC0415 - registries need no tar

            source = archives.open_source(location)
        self._opened.callback(source.close)
        return source


@contextmanager
def open_session(common: CommonOptions) -> Iterator[Session]:
    """Open the session that the common options describe, and close all that it opened."""
    options = common.client
    teller, warn = WaitTeller(), LoggingObserver().warn
    with (
        RegistryClient(options, on_wait=teller, on_warning=warn) as client,
        RegistryClient(options.quick, on_wait=teller, on_warning=warn) as quick,
        ExitStack() as opened,
        common.interrupts.ending(client.stop, quick.stop),
    ):
        yield Session(client, quick, opened)


@contextmanager
def watching(common: CommonOptions) -> Iterator[LoggingObserver]:
    """Show progress: bars on standard error if it is a terminal, log lines otherwise."""
    if common.quiet or not sys.stderr.isatty():
        yield LoggingObserver()
        return
    from squashproxy.report.progress import ProgressObserver  # noqa: PLC0415 - loads rich

    with ProgressObserver() as progress:
        yield LoggingObserver(progress)
