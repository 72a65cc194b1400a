"""`config check`, `config schema`, and what `serve` says before it serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command_line import InProcess
from tests.config.test_read import LEAST


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sp.yml"
    path.write_text(LEAST)
    return path


def test_a_valid_file(squashproxy: InProcess, file: Path) -> None:
    outcome = squashproxy("config", "check", str(file))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"{file} is valid",
        "listen     127.0.0.1:5000",
        "upstreams  docker.io",
        f"store      {file.parent / 'cache'}, of at most 50 GiB",
        "rules      *: squashed, base auto, compression keep",
        "auth       none, so that everyone may pull",
    ]
    document = json.loads(squashproxy("config", "check", "--json", str(file)).out)
    assert document == {"file": str(file), "valid": True, "warnings": []}


SAID = {
    "a listener of an upstream": (
        'listen: {address: "127.0.0.1:1", upstream: docker.io}',
        "listen     127.0.0.1:1, where names without a host are of docker.io",
    ),
    "a rule that squashes nothing": (
        'rules: [{match: "*", squash: false}]',
        "rules      *: handed out as it is",
    ),
    "a rule in full": (
        'rules: [{match: "a/*", base: 1, platforms: [linux/arm64], compression: "zstd:9"}]',
        "rules      a/*: squashed, base 1, compression zstd:9, linux/arm64 only",
    ),
    "auth by upstream": ("auth: upstream", "auth       upstream decides"),
    "users with their repositories": (
        "auth: {htpasswd: /u, read: {a: ['*']}}",
        "auth       the users of /u, each with images of their own",
    ),
}


@pytest.mark.parametrize(("text", "line"), SAID.values(), ids=SAID)
def test_what_a_file_says(squashproxy: InProcess, file: Path, text: str, line: str) -> None:
    file.write_text(f"{LEAST}  {text}\n")
    assert line in squashproxy("config", "check", str(file)).out.splitlines()


def test_other_places_of_upstreams_and_store(squashproxy: InProcess, file: Path) -> None:
    text = LEAST.replace("{}", "{url: 'https://registry-1.docker.io'}")
    file.write_text(text.replace("directory: cache", "registry: registry.example.com/cache"))
    lines = squashproxy("config", "check", str(file)).out.splitlines()
    assert "upstreams  docker.io at https://registry-1.docker.io" in lines
    assert "store      below registry.example.com/cache" in lines


def test_a_file_without_serve_is_valid(squashproxy: InProcess, file: Path) -> None:
    file.write_text("engine: {jobs: 1}\n")
    assert squashproxy("config", "check", str(file)).out == f"{file} is valid\n"


def test_secrets_are_not_in_a_traceback(squashproxy: InProcess, file: Path) -> None:
    file.write_text(LEAST.replace("{}", "{password: hunter2, xyz: 1}"))
    for form in ("text", "json"):
        outcome = squashproxy("config", "check", "-vv", "--log-format", form, str(file))
        assert outcome.code == 2
        assert "hunter2" not in outcome.out + outcome.err


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
        "  rules: [{match: a, require_signature: [a.pub, 'env:B']}]\n  sign: {key: s.key}\n"
    )
    outcome = squashproxy("config", "check", str(file))
    assert outcome.code == 0
    warnings = [line for line in outcome.out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 6
    assert f"require_signature of the rule for a is {file.parent / 'a.pub'}, which" in outcome.out
    assert f"serve.sign.key is {file.parent / 's.key'}, which cannot be read" in outcome.out
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
        "is on the upstream docker.io",
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
