"""The container file names what is in the checkout, and ends as an unprivileged command."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_every_path_that_it_copies_exists_and_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    copies = [shlex.split(rest) for word, rest in _instructions() if word == "COPY"]
    from_checkout = [words[:-1] for words in copies if not words[0].startswith("--from")]
    paths = [path for words in from_checkout for path in words]
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignored, path


def test_it_copies_all_that_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = " ".join(rest for word, rest in _instructions() if word == "COPY").split()
    for path in ("pyproject.toml", project["readme"], *project["license-files"], "squashproxy"):
        assert path in copied


def test_it_runs_the_command_of_the_package_without_root() -> None:
    last = dict(_instructions())
    user, group = map(int, last["USER"].split(":"))
    assert user == group
    assert user != 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [command] = json.loads(last["ENTRYPOINT"])
    assert Path(command).name in project["scripts"]


def test_its_base_can_be_pinned_by_a_digest() -> None:
    instructions = _instructions()
    arguments = dict(rest.partition("=")[::2] for word, rest in instructions if word == "ARG")
    assert "BASE_DIGEST" in arguments
    bases = {rest.split()[0] for word, rest in instructions if word == "FROM"}
    assert bases == {"${BASE}${BASE_DIGEST:+@${BASE_DIGEST}}"}


def test_it_builds_on_a_python_that_the_package_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (base,) = [rest for word, rest in _instructions() if word == "ARG" and rest.startswith("BASE=")]
    version = base.partition(":")[2].removesuffix("-slim")
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


def test_it_installs_what_a_fleet_needs() -> None:
    installs = [rest for word, rest in _instructions() if word == "RUN"]
    assert any("'.[fleet]'" in rest for rest in installs)
