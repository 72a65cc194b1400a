"""The group of verbs: each is imported when it is used, so that `--version` starts at once."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

VERBS = {
    "copy": "Squash an image on its way to another place.",
    "plan": "Show what a copy would do; move nothing.",
    "verify": "Compare what two images unpack to.",
    "promote": "Promote images by rule.",
    "cleanup": "Delete or squash old images by rule.",
    "serve": "Serve squashed images, squashed on pull.",
    "run": "Serve, promote and clean up on schedules.",
    "tags": "List the tags of a repository.",
    "inspect": "Show an image's platforms and layers.",
    "config": "Check a configuration; print its schema.",
    "demo": "Squash an image between two local registries.",
    "completion": "Print a completion script.",
}
"""Each command's line in the group's help; its module and its function have its name."""


_PLACES = """\b
An image is HOST/REPO[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or
docker-archive:FILE[:REF], where - for FILE is standard input or output."""


def examples(*lines: str) -> str:
    """The end of a help text: command lines to try, not wrapped."""
    title = "Examples:" if len(lines) > 1 else "Example:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))


def image_examples(*lines: str) -> str:
    """The same for a verb whose arguments are images: what may stand for one, and the examples."""
    return f"{_PLACES}\n\n{examples(*lines)}"


class VerbGroup(click.Group):
    """A click group over VERBS that lists and completes names without importing the verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order that a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the verb; None where there is none of that name."""
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(f"squashproxy.cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command), "VERBS names click commands"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of verbs into the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs, and the group's own options."""
        verbs = [
            CompletionItem(name, help=summary)
            for name, summary in VERBS.items()
            if name.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]
