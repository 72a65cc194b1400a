"""Opening the rules of a configuration, for the commands that run them once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from squashproxy.automation.context import Context, open_context
from squashproxy.cancellation import Cancellation
from squashproxy.cli.common_options import CommonOptions
from squashproxy.cli.session import watching
from squashproxy.config.read import read_configuration


@contextmanager
def open_rules(common: CommonOptions, path: Path) -> Iterator[Context]:
    """Read the configuration at `path`, and open the context of its rules.

    Progress is shown on standard error as the options say. Raises UsageError.
    """
    configuration = read_configuration(path, os.environ)
    with (
        watching(common) as observer,
        open_context(configuration, common.run, observer, Cancellation()) as context,
        common.interrupts.ending(context.client.stop, context.quick.stop),
    ):
        yield context
