"""What the README shows exists: every command line parses, every option is offered."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from squashproxy.cli.group import COMMANDS
from squashproxy.cli.main import squashproxy
from squashproxy.config.read import parse_configuration

README = (Path(__file__).parents[2] / "README.md").read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
LINES = re.findall(r"(?:^|/|\()(squashproxy [a-z](?:'[^'\n]*'|[^\n)#>'])*)", SHELL, re.MULTILINE)


YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("text", YAML)
def test_a_configuration_of_the_readme_is_valid(text: str, tmp_path: Path) -> None:
    found = parse_configuration(text, "README.md", tmp_path, {})
    assert found.promote or found.cleanup or found.serve


def options_of(verb: str) -> set[str]:
    command = squashproxy.get_command(click.Context(squashproxy), verb)
    assert command is not None
    if isinstance(command, click.Group):
        return {
            name
            for below in command.commands.values()
            for parameter in below.params
            for name in parameter.opts
        }
    return {name for parameter in command.params for name in parameter.opts}


def test_the_readme_shows_every_verb() -> None:
    assert {line.split()[1] for line in LINES} == set(COMMANDS)


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_of_the_readme_parses(line: str) -> None:
    verb, *arguments = shlex.split(line)[1:]
    group = click.Context(squashproxy, help_option_names=["-h", "--help"])
    command = squashproxy.get_command(group, verb)
    if isinstance(command, click.Group):
        verb, *arguments = arguments
        command = command.get_command(click.Context(command), verb)
    assert command is not None
    with command.make_context(verb, arguments, parent=group) as context:
        assert not context.args


def test_every_option_that_the_readme_names_is_offered() -> None:
    outside_code = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z-]+)", outside_code))
    offered = set().union(*(options_of(verb) for verb in COMMANDS))
    assert named <= offered


@pytest.mark.parametrize("verb", ["copy", "plan"])
def test_every_option_is_in_the_readme(verb: str) -> None:
    for option in options_of(verb):
        if option.startswith("--"):
            assert f"`{option}" in README
