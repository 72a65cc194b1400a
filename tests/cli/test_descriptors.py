"""No file descriptors left: one sentence that blames nobody else, and nothing half-made."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from urllib3.exceptions import NewConnectionError

from squashproxy.registry.http.network_errors import request_error
from squashproxy.testing import FakeRegistry
from tests.cleanup.room import image

COMMANDS = {
    "copy": ("copy", "HOST/app:1", "oci:FOLDER/layout:1"),
    "promote": ("promote", "FOLDER/rules.yml"),
    "cleanup": ("cleanup", "--apply", "FOLDER/rules.yml"),
}


SHORT = {("copy", 6), ("promote", 5)}


def _cases() -> list[object]:
    return [
        pytest.param(name, limit, marks=[] if (name, limit) in SHORT else pytest.mark.long)
        for name in COMMANDS
        for limit in (5, 6, 7, 8, 9, 12)
    ]


@pytest.mark.parametrize(("name", "limit"), _cases())
def test_a_command_says_so_in_a_sentence(tmp_path: Path, name: str, limit: int) -> None:
    with FakeRegistry() as registry:
        image("a").push(registry, "app", "1")
        image("b").push(registry, "app", "2")
        rules = (
            "state: FOLDER/state\n"
            "promote: [{name: p, from: HOST/app, to: HOST/prod}]\n"
            "cleanup: [{name: c, repositories: [HOST/app], keep: {tags: ['1']}, action: delete}]\n"
        )

        def placed(text: str) -> str:
            return text.replace("HOST", registry.host).replace("FOLDER", str(tmp_path))

        (tmp_path / "rules.yml").write_text(placed(rules))
        done = subprocess.run(
            [
                sys.executable,
                *("-c", _LIMITED, str(limit)),
                *map(placed, COMMANDS[name]),
            ],
            env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode in (0, 1, 2)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert "is the name right" not in done.stderr
    if done.returncode:
        assert done.stderr.startswith("squashproxy: ")
        assert "too many" in f"{done.stdout}{done.stderr}".lower()
        assert "name another" not in done.stderr
        assert not (tmp_path / "layout" / "index.json").exists()


_LIMITED = """
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
from squashproxy.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_connection_without_a_descriptor_is_not_blamed_on_the_registry(
    number: int, *, is_known: bool
) -> None:
    cause = NewConnectionError(None, "x")  # type: ignore[arg-type]  # it only keeps it
    cause.__cause__ = OSError(number, "Too many open files")
    error = request_error(cause, "https://r.example/v2/", "r.example", is_known=is_known)
    assert error.fact == "no connection to r.example: too many files are open here"
    assert error.advice == "raise the limit (ulimit -n), or do less at once"
