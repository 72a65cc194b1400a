"""`squashproxy tags` shows what a registry lists, whatever it is, and harms no terminal."""

from __future__ import annotations

import json
import re

import pytest

from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.cli.command_line import InProcess, run_process
from tests.registry.scripted import Answer, scripted

TAGS: dict[str, tuple[str, str]] = {
    "ESC": ("\x1b[2J\x1b]0;x\x07v1", r"\x1b[2J\x1b]0;x\x07v1"),
    "right to left": ("v1\u202egnp.exe", r"v1\u202egnp.exe"),
    "a line feed": ("v1\nv2", r"v1\nv2"),
    "a carriage return": ("v1\rv2", r"v1\rv2"),
    "C1": ("\x9b2Jv1", r"\x9b2Jv1"),
    "NUL": ("v\0", r"v\x00"),
    "a way out": ("../../other/manifests/keep", "../../other/manifests/keep"),
    "200 letters": ("a" * 200, "a" * 200),
    "half a surrogate pair": ("\ud800", r"\ud800"),
    "letters beyond ASCII": ("v\u00e9", "v\u00e9"),
}


def listing(*tags: str) -> Fault:
    body = json.dumps({"name": "app", "tags": tags}).encode()
    return Fault("GET", "/tags/list", FaultKind.ANSWER, status=200, body=body)


@pytest.mark.parametrize(("tag", "shown"), TAGS.values(), ids=TAGS)
def test_what_could_move_a_cursor_is_escaped(squashproxy: InProcess, tag: str, shown: str) -> None:
    with FakeRegistry() as registry:
        registry.arm(listing("v0", tag))
        outcome = squashproxy("tags", f"{registry.host}/app")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"v0\n{shown}\n", "")


@pytest.mark.parametrize(("tag", "shown"), TAGS.values(), ids=TAGS)
def test_as_json_the_tag_is_whole(squashproxy: InProcess, tag: str, shown: str) -> None:
    with FakeRegistry() as registry:
        registry.arm(listing("v0", tag))
        outcome = squashproxy("tags", "--json", f"{registry.host}/app")
    assert outcome.code == 0
    assert json.loads(outcome.out)["tags"] == ["v0", tag]
    assert re.fullmatch(r"[\n -~]*", outcome.out), shown


_PEAK = """
import sys
from pathlib import Path
from squashproxy.cli.main import run
code = run(sys.argv[1:])
sys.stdout.write(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""


def test_a_list_without_end_is_an_error_in_bounded_memory() -> None:
    """It took 1 GB in 20 seconds (issue 23)."""

    def answer(path: str) -> Answer:
        number = int(path.partition("page=")[2] or 0)
        tags = [f"build-{number}-{each}-of-some-length" for each in range(20_000)]
        return 200, {"Link": f"<?page={number + 1}>; rel=next"}, json.dumps({"tags": tags}).encode()

    with scripted(answer) as server:
        outcome = run_process(["tags", "--json", f"{server.host}/app"], code=_PEAK)
        assert len(server.asked) < 60
    assert outcome.code == 1
    assert f"the list of tags of {server.host}/app has more than" in outcome.err
    assert outcome.err.count("\n") == 1
    assert int(outcome.out) < 200 << 10, "in KiB"


def test_a_registry_that_wants_more_than_a_minute_is_told_and_not_waited_for(
    squashproxy: InProcess,
) -> None:
    with FakeRegistry() as registry:
        fault = Fault("GET", "/tags/list", status=429, headers=(("Retry-After", "1000000000"),))
        registry.arm(fault)
        outcome = squashproxy("tags", f"{registry.host}/app")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "asks to wait 32 years; try again later" in outcome.err
