"""Opening the rules of a configuration, for the commands that run them once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from squashproxy.automation.context import Context, open_context
from squashproxy.automation.engine import open_engine
from squashproxy.cancellation import Cancellation
from squashproxy.cli.common_options import CommonOptions
from squashproxy.cli.session import watching
from squashproxy.config.read import read_configuration


@contextmanager
def open_rules(common: CommonOptions, path: Path) -> Iterator[Context]:
    """Read the configuration at `path`, and open the context of its rules.

    Progress is shown on standard error as the options say. Raises UsageError, and what
    opening the engine does.
    """
    configuration = read_configuration(path, os.environ)
    with (
        watching(common) as observer,
        open_engine(configuration, common.run, observer.warn) as fleet,
        open_context(configuration, common.run, observer, Cancellation(), fleet) as context,
        common.interrupts.ending(*_stops(context)),
    ):
        yield context


def _stops(context: Context) -> Iterator[Callable[[], None]]:
    """What a signal ends; jobs on workers end when those who wait for them are cancelled."""
    yield from (context.client.stop, context.quick.stop)
    if context.fleet is not None:
        yield context.cancellation.cancel
