"""Names from outside never reach a terminal unescaped, whatever command prints them."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import squashproxy
from squashproxy.cli.diagnostics import Diagnostics
from squashproxy.oci.platform import Platform
from squashproxy.report.progress import ProgressObserver
from squashproxy.testing import FakeRegistry, Fault, FaultKind, ImageBuilder, LayerBuilder
from tests.cli.command_line import InProcess

EVIL = "x\x1b[2J\x1b]0;t\x07\u202egnp\r\n\x9b1m\u2028y"
SHOWN = r"x\x1b[2J\x1b]0;t\x07\u202egnp"
PLATFORM = Platform("linux", EVIL)
PACKAGE = Path(squashproxy.__file__).parent

OUTLETS = {"cli/output.py", "cli/diagnostics.py"}
"""The modules of the command line that write to a standard stream."""


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """`app:1` has hostile names wherever an image may hold one."""
    with FakeRegistry() as started:
        builder = ImageBuilder(
            platform=PLATFORM,
            config={"Labels": {EVIL: EVIL}},
            fields={"created": EVIL},
            annotations={EVIL: EVIL, "org.opencontainers.image.base.name": EVIL},
        )
        base = LayerBuilder().directory(f"etc/{EVIL}").file(f"etc/{EVIL}/id_rsa", b"old" * 999)
        builder.layer(base, history=EVIL)
        builder.layer(LayerBuilder().file(f"etc/{EVIL}/id_rsa", b"new"), history=EVIL)
        builder.build().push(started, "app", "1")
        plain = ImageBuilder(platform=PLATFORM).layer(LayerBuilder().file(f"other{EVIL}", b""))
        plain.build().push(started, "app", "2")
        yield started


def list_evil(registry: FakeRegistry, path: str, key: str, *names: str) -> None:
    body = json.dumps({key: names}).encode()
    registry.arm(Fault("GET", path, FaultKind.ANSWER, status=200, body=body, times=9))


CLEANUP = (
    "cleanup:\n  - {name: old, repositories: [HOST/app], keep: {tags: ['1']}, action: delete}\n"
)
RULES = {
    "CLEANUP": CLEANUP,
    "BROKEN": CLEANUP.replace("/app", "/broken"),
    "PROMOTE": "promote:\n  - {name: apps, from: 'HOST/ap*', to: 'HOST/prod/{repo}'}\n",
}

COMMANDS: dict[str, list[str]] = {
    "inspect": ["inspect", "HOST/app:1"],
    "plan": ["plan", "HOST/app:1"],
    "copy": ["copy", "HOST/app:1", "HOST/copied:1"],
    "copy, all told": ["copy", "-vv", "HOST/app:1", "HOST/copied:2"],
    "copy, verified": ["copy", "--verify", "--base", "none", "HOST/app:1", "HOST/copied:3"],
    "verify": ["verify", "HOST/app:1", "HOST/app:2"],
    "tags": ["tags", "HOST/listed"],
    "a platform that is not there": ["copy", "--platform", EVIL, "HOST/app:1", "HOST/copied:4"],
    "a reference": ["inspect", f"HOST/{EVIL}"],
    "a file": ["inspect", f"docker-archive:{EVIL}"],
    "an option": ["copy", f"--{EVIL}"],
    "a value": ["copy", "--memory", EVIL, "HOST/app:1", "HOST/copied:5"],
    "a command": [EVIL],
    "a configuration": ["config", "check", f"FOLDER/{EVIL.replace('/', '')}"],
    "a plan": ["cleanup", "--plan", f"FOLDER/{EVIL}", "CLEANUP"],
    "cleanup of a broken list": ["cleanup", "BROKEN"],
    "promote": ["promote", "--dry-run", "PROMOTE"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_no_command_lets_a_name_move_the_cursor(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, words: list[str]
) -> None:
    list_evil(registry, "/v2/listed/tags/list", "tags", EVIL)
    list_evil(registry, "/v2/broken/tags/list", "tags", EVIL)
    list_evil(registry, "/v2/_catalog", "repositories", f"ap{EVIL}", "broken", "app")
    places = {"HOST": registry.host, "FOLDER": str(tmp_path)}
    for name, rule in RULES.items():
        path = tmp_path / f"{name}.yml"
        path.write_text(f"state: state\n{rule}".replace("HOST", registry.host))
        places[name] = str(path)
    for name, value in places.items():
        words = [word.replace(name, value) for word in words]
    outcome = squashproxy(*words)
    written = outcome.out + outcome.err
    assert all(line.isprintable() for line in written.split("\n")), written
    assert "\\x1b" in written or words[0] == "cleanup", "the name is shown"
    if outcome.code not in (0, 3, 4):
        assert outcome.err.count("\n") == 1


CONFIGURATIONS = {
    "a rule's name": f"cleanup:\n  - name: {json.dumps(EVIL)}\n    repositories: [h.example/a]\n",
    "a key": f"{json.dumps(EVIL)}: 5\n",
    "a pattern": f"cleanup:\n  - {{name: a, repositories: [{json.dumps('h.example/' + EVIL)}]}}\n",
    "a path": f"state: {json.dumps(EVIL)}\ncleanup: []\n",
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_what_a_configuration_says_is_escaped(
    squashproxy: InProcess, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "sp.yml"
    path.write_text(text)
    outcome = squashproxy("config", "check", str(path))
    written = outcome.out + outcome.err
    assert all(line.isprintable() for line in written.split("\n")), written


def test_bars_are_escaped() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, color_system=None)
    with ProgressObserver(console) as observer:
        observer.start(EVIL, 10).finish(EVIL)
        observer.tally(EVIL, 10).finish(EVIL)
    text = stream.getvalue()
    assert SHOWN in text
    assert not {"\x1b]0", "\u202e", "\x9b", "\u2028", "\x07"} & set(text)
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("verbosity", [0, 2])
def test_an_error_and_its_traceback_are_escaped(
    capsys: pytest.CaptureFixture[str], verbosity: int
) -> None:
    try:
        raise ValueError(EVIL)  # noqa: TRY301 - an error with a traceback
    except ValueError as error:
        Diagnostics(verbosity=verbosity).fail(EVIL, error)
    written = capsys.readouterr().err
    assert all(line.isprintable() for line in written.split("\n")), written
    assert SHOWN in written


def test_one_module_of_the_command_line_writes_to_standard_output() -> None:
    found = set()
    for path in (PACKAGE / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                is_stream = name.startswith(("sys.stdout.write", "sys.stderr.write"))
                if name in ("print", "click.echo", "click.secho") or is_stream:
                    found.add(str(path.relative_to(PACKAGE)))
    assert found <= OUTLETS
