"""The group of commands. A command is imported when it is used, so `--version` starts at once."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

COMMANDS = {
    "copy": "Squash an image on its way to another place.",
    "plan": "Show what a copy would do; move nothing.",
    "verify": "Compare what two images unpack to.",
    "promote": "Promote images by rule.",
    "cleanup": "Delete or squash old images by rule.",
    "serve": "Serve squashed images, squashed on pull.",
    "run": "Serve, promote and clean up on schedules.",
    "worker": "Run jobs of other machines' commands.",
    "jobs": "Show the jobs of workers; retry some.",
    "tags": "List the tags of a repository.",
    "inspect": "Show an image's platforms and layers.",
    "keys": "Make keys for signing images.",
    "config": "Check a configuration; print its schema.",
    "demo": "Squash an image between two local registries.",
    "completion": "Print a completion script.",
}
"""Each command's line in the group's help. Its module and its function have the same name."""


_PLACES = """\b
An image is HOST/REPO[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or
docker-archive:FILE[:REF], where - for FILE is standard input or output."""


def examples(*lines: str) -> str:
    """The end of a help text: example command lines, not wrapped."""
    title = "Examples:" if len(lines) > 1 else "Example:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))


def image_examples(*lines: str) -> str:
    """The same for a command whose arguments are images: how to write one, then the examples."""
    return f"{_PLACES}\n\n{examples(*lines)}"


class CommandGroup(click.Group):
    """A click group over COMMANDS that lists and completes names without importing the commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"squashproxy.cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command), "COMMANDS names click commands"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands into the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, and the group's own options."""
        commands = [
            CompletionItem(name, help=summary)
            for name, summary in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
