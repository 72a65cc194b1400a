"""`squashproxy completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from squashproxy.cli.group import examples
from squashproxy.cli.output import say_text


@click.command(
    epilog=examples(
        "source <(squashproxy completion bash)",
        "squashproxy completion fish > squashproxy.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands and options."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows bash, zsh and fish"
    group = context.find_root().command
    say_text(kind(group, {}, "squashproxy", "_SQUASHPROXY_COMPLETE").source())
