"""Every command that a document shows is run here, checked, or excused with a reason.

A command of squashproxy is run against two registries in this process, or only parsed where
PARSED says why. Any other command is in EXCUSED. A new command that is in no table makes a test
fail, and so does a line of a table that no document shows any more.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from squashproxy.cli.group import COMMANDS
from squashproxy.cli.main import squashproxy
from squashproxy.config.engine import EngineKind
from squashproxy.config.read import parse_configuration
from squashproxy.config.serve import ServeSettings
from tests.cli.command_line import InProcess
from tests.documents.markdown import (
    ROOT,
    Block,
    Command,
    commands_of,
    documents,
    shell_blocks,
)
from tests.documents.place import PASSWORD, Place, open_place

REFERENCE = "squashproxy/cli/REFERENCE.md"

_DOCKER = "needs a docker daemon"
_NODE = "needs the runtime of a node"
_ROOT = "needs root"
_TESTS = "runs the tests, of which this is one"
_BENCH = "runs for minutes; its options are checked below"
_INSTALLS = "installs into an environment, which tests/run has done"

PARSED = {
    "squashproxy serve": "serves until a signal ends it; tests/server runs it",
    "squashproxy run": "runs until a signal ends it; tests/cli/commands/test_run.py runs it",
    "squashproxy worker": "needs a broker; tests/cli/commands/test_jobs.py runs it",
    "squashproxy jobs": "needs a broker; tests/cli/commands/test_jobs.py runs it",
    "squashproxy cleanup --undo": "needs an audit log; tests/cleanup/apply/test_undo.py has some",
    "squashproxy copy --base 1 docker-archive:-": "reads what docker save writes",
}
"""Beginnings of our own command lines that are only parsed."""

EXCUSED = {
    "docker pull": _DOCKER,
    "docker save": _DOCKER,
    "docker load": _DOCKER,
    "docker buildx create": _DOCKER,
    "docker compose": "pulls images; tests/deploy runs the same parts without docker",
    "ctr --namespace k8s.io images pull": _NODE,
    "nerdctl pull": _NODE,
    "podman pull": "pulls from Docker Hub; tests/real pulls from a server",
    "skopeo inspect": "asks Docker Hub; tests/real asks a server",
    "cosign verify": "tests/real runs it, in the longer proofs: it takes minutes to build",
    "install -d": _ROOT,
    "install -m": _ROOT,
    "systemctl": _ROOT,
    "journalctl": _ROOT,
    "buildah build": "tests/deploy builds it, in the longer proofs",
    ".venv/bin/python deploy/compose/without_docker.py": "runs until Ctrl-C; tests/deploy runs it",
    "skopeo copy": "pulls from Docker Hub",
    "helm lint": "tests/deploy runs it, in the longer proofs: helm takes minutes to build",
    "helm upgrade": "needs a cluster; tests/deploy renders what it would send",
    "python3 -m venv .venv": _INSTALLS,
    ".venv/bin/pip install": _INSTALLS,
    "tests/run": _TESTS,
    ".venv/bin/python -m pytest": _TESTS,
    ".venv/bin/ruff": "tests/run runs it beside the tests",
    ".venv/bin/mypy": "tests/run runs it beside the tests",
    "PATH=.venv/bin:$PATH lint-imports": "tests/run runs it beside the tests",
    "tests/bench/run": _BENCH,
}
"""Beginnings of other command lines, and why none is run."""

BLOCKS = [block for block in shell_blocks() if block.text.strip()]
ALL = [command for block in BLOCKS for command in commands_of(block)]
OURS = [command for command in ALL if command.program == "squashproxy"]


def _line(command: Command) -> str:
    if command.program == "squashproxy":
        return " ".join(("squashproxy", *command.words[1:]))
    return str(command)


def _reason(command: Command, table: dict[str, str]) -> str | None:
    line = f"{_line(command)} "
    return next((why for start, why in table.items() if line.startswith(f"{start} ")), None)


def _name(block: Block) -> str:
    return f"{block.document}: {block.text.strip().splitlines()[0]}"


def parse(arguments: tuple[str, ...]) -> None:
    """A command line must be one of ours: command, arguments and options."""
    group = click.Context(squashproxy, help_option_names=["-h", "--help"])
    if arguments[0].startswith("-"):
        with squashproxy.make_context("squashproxy", list(arguments), resilient_parsing=True):
            return
    verb, *rest = arguments
    command = squashproxy.get_command(group, verb)
    assert command is not None, f"there is no command {verb}"
    if isinstance(command, click.Group):
        verb, *rest = rest
        command = command.get_command(click.Context(command), verb)
        assert command is not None, f"there is no command {verb}"
    with command.make_context(verb, rest, parent=group) as context:
        assert not context.args


def options_of(verb: str) -> set[str]:
    command = squashproxy.get_command(click.Context(squashproxy), verb)
    assert command is not None
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    return {name for each in commands for option in each.params for name in option.opts}


@pytest.mark.parametrize("command", OURS, ids=lambda command: f"{command.document}: {command}")
def test_our_command_parses(command: Command) -> None:
    parse(command.words[1:])


def test_every_other_command_is_excused_with_a_reason() -> None:
    others = [command for command in ALL if command.program != "squashproxy"]
    unknown = [f"{each.document}: {each}" for each in others if _reason(each, EXCUSED) is None]
    assert unknown == [], "run these, or say in EXCUSED why that cannot be"


def test_every_excuse_is_still_needed() -> None:
    for table in (PARSED, EXCUSED):
        for start in table:
            shown = any(f"{_line(command)} ".startswith(f"{start} ") for command in ALL)
            assert shown, f"no document shows {start!r} any more"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with open_place(tmp_path) as opened:
        yield opened


RUN = [
    block
    for block in BLOCKS
    if any(
        command.program == "squashproxy" and _reason(command, PARSED) is None
        for command in commands_of(block)
    )
]


@pytest.mark.parametrize("block", RUN, ids=_name)
def test_the_commands_of_a_block_run_one_after_another(
    block: Block, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    run = InProcess(capsys)
    commands = list(commands_of(block))
    place.prepare(run, fills_target=all("copy" not in each.words for each in commands))
    for command in commands:
        if command.program != "squashproxy" or _reason(command, PARSED) is not None:
            continue
        outcome = run(*map(place.localized, command.words[1:]))
        codes = (0, 1) if "--fail-over" in command.words else (0,)
        assert outcome.code in codes, f"{command}\n{outcome.out}\n{outcome.err}"
        assert outcome.out, f"{command} shows nothing"


def test_the_reference_and_the_readme_show_commands_that_exist_and_miss_none() -> None:
    shown = {command.words[1] for command in OURS if command.document == REFERENCE}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("verb", ["copy", "plan"])
def test_every_option_is_in_the_reference(verb: str) -> None:
    text = documents()[REFERENCE].text
    for option in options_of(verb):
        if option.startswith("--"):
            assert f"`{option}" in text


def _help_of(*arguments: str) -> str:
    environ = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-m", *arguments, "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("verb", ["", "serve", "promote", "cleanup"])
def test_the_options_of_a_benchmark_exist(verb: str) -> None:
    offered = _help_of(f"tests.bench.{verb}" if verb else "tests.bench")
    for command in ALL:
        if str(command).startswith("tests/bench/run"):
            first = command.words[1] if len(command.words) > 1 else ""
            if (first if not first.startswith("-") else "") == verb:
                for word in command.words[1:]:
                    assert not word.startswith("--") or word in offered, f"{command}: {word}"


_OTHER_OPTIONS = {
    "--help": "every program",
    "--long": "tests/run",
    "--prepare": "tests/run",
    "--images": "tests/bench/run",
    "--into": "tests/bench/run",
    "--summary": "tests.bench.hostile",
    "--version": "squashproxy itself",
}


def test_every_option_that_a_document_names_is_offered() -> None:
    offered = set(_OTHER_OPTIONS).union(*(options_of(verb) for verb in COMMANDS))
    named = {
        (document.name, option)
        for document in documents().values()
        for code in document.inline_code
        for option in re.findall(r"^(--[a-z-]+)", code)
    }
    assert sorted(each for each in named if each[1] not in offered) == []


def test_every_command_that_a_document_names_exists() -> None:
    named = {
        (document.name, verb)
        for document in documents().values()
        for code in document.inline_code
        for verb in re.findall(r"^squashproxy ([a-z]+)", code)
    }
    assert sorted(each for each in named if each[1] not in COMMANDS) == []


YAML = [block for each in documents().values() for block in each.blocks("yaml")]


@pytest.mark.parametrize("block", YAML, ids=_name)
def test_a_configuration_is_valid(block: Block, tmp_path: Path) -> None:
    """A whole configuration, or keys of its section `serve`."""
    text = block.text
    keys = set(yaml.safe_load(text))
    if keys <= set(ServeSettings.__dataclass_fields__):
        least = {"upstreams": {"docker.io": {}}, "store": {"directory": "cache"}}
        text = yaml.safe_dump({"serve": {**least, **yaml.safe_load(text)}})
    found = parse_configuration(text, block.document, tmp_path, {})
    is_fleet = found.engine.kind is EngineKind.CELERY
    assert found.promote or found.cleanup or found.serve or is_fleet
