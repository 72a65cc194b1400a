"""Command lines in files of deploy/: are they ours?"""

from __future__ import annotations

from collections.abc import Sequence

import click

from squashproxy.cli.main import squashproxy


def parse(arguments: Sequence[str]) -> None:
    """Parse a command line of ours without its program. Raises AssertionError or click's errors."""
    verb, *rest = arguments
    group = click.Context(squashproxy, help_option_names=["-h", "--help"])
    command = squashproxy.get_command(group, verb)
    assert command is not None, f"there is no command {verb}"
    with command.make_context(verb, list(rest), parent=group) as context:
        assert not context.args
