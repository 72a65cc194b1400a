"""Help names every option, with an example, at 80 columns."""

from __future__ import annotations

import re

import pytest

from tests.cli.command_line import InProcess

COMMON = (
    "--json", "-q", "-v", "--log-format", "--authfile", "--ca", "--plain-http", "--insecure",
    "--jobs",
)  # fmt: skip
SHAPING = (
    "--base", "--base-repo", "--base-host", "--platform", "--compression", "--strict", "--memory",
    "--max-unpacked", "--max-entries", "--max-ratio",
)  # fmt: skip
COMMANDS = {
    "copy": (
        *COMMON,
        *SHAPING,
        "--verify",
        "--provenance",
        "--force",
        "--no-clobber",
        "--backup",
    ),
    "plan": (*COMMON, *SHAPING, "--fail-over", "--html"),
    "verify": (*COMMON, "--platform"),
    "promote": (*COMMON, "--rule", "--dry-run", "--junit"),
    "cleanup": (*COMMON, "--rule", "--plan", "--apply", "--undo"),
    "serve": (*COMMON, "--listen", "--upstream", "--store"),
    "run": COMMON,
    "worker": (*COMMON, "--queue", "--liveness"),
    "jobs": (*COMMON, "--retry"),
    "tags": COMMON,
    "inspect": COMMON,
    "keys": (),
    "config": (),
    "demo": COMMON,
    "completion": (),
}


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("verb", COMMANDS)
def test_help_of_a_verb(squashproxy: InProcess, verb: str, flag: str) -> None:
    outcome = squashproxy(verb, flag)
    assert (outcome.code, outcome.err) == (0, "")
    offered = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", outcome.out))
    assert set(COMMANDS[verb]) <= offered
    assert "Example" in outcome.out
    assert f"squashproxy {verb}" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("verb", "later"),
    [("plan", "--provenance"), ("plan", "--verify")],
)
def test_what_a_verb_does_not_do_it_does_not_offer(
    squashproxy: InProcess, verb: str, later: str
) -> None:
    assert later not in squashproxy(verb, "--help").out
    assert squashproxy(verb, later, "a.example.com/b").code == 2


def test_the_group_lists_every_verb_with_its_line(squashproxy: InProcess) -> None:
    outcome = squashproxy("--help")
    listed = re.findall(r"^  ([a-z]+) {2,}\S.*\.$", outcome.out, re.MULTILINE)
    assert listed == list(COMMANDS)


def test_without_a_verb_the_help_is_an_error_on_standard_error(squashproxy: InProcess) -> None:
    outcome = squashproxy()
    assert (outcome.code, outcome.out) == (2, "")
    assert "Commands:" in outcome.err
