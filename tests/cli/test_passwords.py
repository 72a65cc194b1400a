"""A password that somebody wrote into a name of an image is in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import InProcess

NAME = "user:s3cret@h.example/a"
SAID = "'***@h.example"

COMMANDS: dict[str, list[str]] = {
    "a source": ["copy", NAME, "h.example/b"],
    "a target": ["copy", "h.example/b", f"{NAME}:1"],
    "with a scheme": ["inspect", "https://user:s3cret@h.example/a"],
    "with a transport": ["inspect", f"docker://{NAME}"],
    "with a port": ["inspect", "user:s3cret@h.example:5000/a/b:1"],
    "with a digest": ["inspect", f"{NAME}@sha256:{'0' * 64}"],
    "with a bad digest": ["inspect", f"{NAME}@sha256:00"],
    "a password with a slash": ["inspect", "user:s3/s3cret@h.example/a"],
    "a password with an at sign": ["inspect", "user:s3@s3cret@h.example/a"],
    "a repository": ["tags", NAME],
    "a base": ["copy", "--base", NAME, "h.example/a", "h.example/b"],
    "a base repository": ["copy", "--base-repo", NAME, "h.example/a", "h.example/b"],
    "a base host": ["copy", "--base-host", "user:s3cret@h.example", "h.example/a", "h.example/b"],
    "a plain host": ["copy", "--plain-http", "user:s3cret@h.example", "h.example/a", "h.example/b"],
    "a layer memory": ["plan", "--layer-memory", NAME, "h.example/a"],
    "another transport": ["inspect", f"docker-daemon:{NAME}"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_on_the_command_line(squashproxy: InProcess, words: list[str]) -> None:
    outcome = squashproxy(*words)
    assert outcome.code == 2
    assert "s3" not in outcome.err
    assert "***@h.example" in outcome.err
    assert outcome.err.count("\n") == 1


CONFIGURATIONS: dict[str, str] = {
    "a registry": 'registries: {"user:s3cret@h.example": {}}',
    "a key of it": 'registries: {"user:s3cret@h.example": {rate: x}}',
    "a source": f"promote: [{{name: a, from: '{NAME}', to: h.example/b}}]",
    "a glob": "promote: [{name: a, from: 'user:s3cret@h.example/*', to: h.example/b}]",
    "a target": f"promote: [{{name: a, from: h.example/b, to: '{NAME}'}}]",
    "a target with words": "promote: [{name: a, from: h.example/*, to: '" + NAME + "/{repo}'}]",
    "a base": f"promote: [{{name: a, from: h.example/b, to: h.example/c, base: '{NAME}'}}]",
    "base repositories": (
        f"promote: [{{name: a, from: h.example/b, to: h.example/c, base_repos: ['{NAME}']}}]"
    ),
    "a repository": f"cleanup: [{{name: a, repositories: ['{NAME}'], action: delete}}]",
    "an unknown key": f"'{NAME}': 1",
    "a key that nothing knows": f"cleanup: [{{name: a, '{NAME}': 1}}]",
    "an upstream": 'serve: {upstreams: {"user:s3cret@h.example": {}}, store: {directory: x}}',
    "a store": f"serve: {{upstreams: {{h.example: {{}}}}, store: {{registry: '{NAME}'}}}}",
    "an address": (
        "serve: {upstreams: {h.example: {url: 'https://user:s3cret@h.example'}}, "
        "store: {directory: x}}"
    ),
    "a webhook": (
        "promote: [{name: a, from: h.example/b, to: h.example/c, "
        "hooks: {after: {webhook: 'https://user:s3cret@h.example/ x'}}}]"
    ),
    "a layer memory": f"layer_memory: '{NAME}'",
    "in place of a number": f"engine: {{jobs: '{NAME}'}}",
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_in_a_configuration(squashproxy: InProcess, tmp_path: Path, text: str) -> None:
    path = tmp_path / "sp.yml"
    path.write_text(text)
    outcome = squashproxy("config", "check", str(path))
    assert outcome.code == 2, outcome
    assert "s3cret" not in outcome.out + outcome.err
