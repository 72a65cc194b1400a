"""`config check`, `config schema`, and what `serve` says before it serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command_line import InProcess
from tests.config.test_reading import LEAST


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sp.yml"
    path.write_text(LEAST)
    return path


def test_a_valid_file(squashproxy: InProcess, file: Path) -> None:
    outcome = squashproxy("config", "check", str(file))
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{file} is valid\n", "")
    document = json.loads(squashproxy("config", "check", "--json", str(file)).out)
    assert document == {"file": str(file), "valid": True, "warnings": []}


def test_every_problem_is_a_line(squashproxy: InProcess, file: Path) -> None:
    file.write_text(f"{LEAST}  tag_ttl: soon\n  drian: 3s\n")
    outcome = squashproxy("config", "check", str(file))
    assert (outcome.code, outcome.out) == (2, "")
    first, second = outcome.err.splitlines()
    assert first.startswith(f"squashproxy: {file}:5: serve.tag_ttl: 'soon' is no duration")
    assert second == f"squashproxy: {file}:6: unknown key 'drian' in serve; did you mean 'drain'?"


WARNINGS = {
    "a wait that is too long": ("first_pull: {wait: 40s}", "containerd 2.3 and later give up"),
    "everyone let in": ('listen: "0.0.0.0:5000"', "lets everyone in"),
    "no TLS": ('listen: "0.0.0.0:5000"', "speaks plain HTTP"),
}


@pytest.mark.parametrize(("text", "sentence"), WARNINGS.values(), ids=WARNINGS)
def test_what_may_not_be_meant(
    squashproxy: InProcess, file: Path, text: str, sentence: str
) -> None:
    file.write_text(f"{LEAST}  {text}\n")
    outcome = squashproxy("config", "check", str(file))
    assert outcome.code == 0
    assert sentence in outcome.out
    warnings = json.loads(squashproxy("config", "check", "--json", str(file)).out)["warnings"]
    assert any(sentence in warning for warning in warnings)


def test_files_that_are_named_and_not_there(squashproxy: InProcess, file: Path) -> None:
    file.write_text(
        f"registries: {{a.example.com: {{ca: ca.pem}}}}\n{LEAST}  auth: {{htpasswd: users}}\n"
        "  tls: {certificate: c.pem, key: k.pem}\n"
    )
    outcome = squashproxy("config", "check", str(file))
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 1 + 4
    assert f"serve.auth.htpasswd is {file.parent / 'users'}, which cannot be read" in outcome.out


def test_the_schema_is_json(squashproxy: InProcess) -> None:
    schema = json.loads(squashproxy("config", "schema").out)
    assert schema["$schema"].endswith("2020-12/schema")


SERVE_PROBLEMS = {
    "no section": (["{file}"], "engine: {}", "has no section `serve`"),
    "a file and options": (["{file}", "--store", "x"], LEAST, "write them into it"),
    "a file that is not there": (["{file}.x"], LEAST, "cannot be read"),
    "a store among an upstream's images": (
        ["{file}"],
        LEAST.replace("directory: cache", "registry: docker.io/me/cache"),
        "is below the upstream docker.io",
    ),
    "users that are not there": (["{file}"], f"{LEAST}  auth: {{htpasswd: u}}", "file of users"),
    "certificates that are not there": (
        ["{file}"],
        f"{LEAST}  listen: 127.0.0.1:0\n  tls: {{certificate: c, key: k}}",
        "cannot be read",
    ),
    "an upstream that is none": (["--upstream", "a b"], LEAST, "'a b' is no host"),
}


@pytest.mark.parametrize(("words", "text", "sentence"), SERVE_PROBLEMS.values(), ids=SERVE_PROBLEMS)
def test_serve_says_what_is_wrong(
    squashproxy: InProcess, file: Path, words: list[str], text: str, sentence: str
) -> None:
    file.write_text(text)
    outcome = squashproxy("serve", *(word.format(file=file) for word in words))
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_an_address_that_is_taken(squashproxy: InProcess, file: Path) -> None:
    import socket  # noqa: PLC0415 - this test alone

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(f"{LEAST}  listen: {address}\n")
        outcome = squashproxy("serve", str(file))
    assert outcome.code == 2
    assert f"cannot listen on {address}" in outcome.err
