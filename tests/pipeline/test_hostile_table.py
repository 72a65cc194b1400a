"""The tables of time, memory and outcome for hostile images, as they are printed for people.

    tests/run --long -s tests/pipeline/test_hostile_table.py

Each line is a process of its own, so that its peak of memory is its own. The kernel tells it:
that of getrusage begins with the memory of the process that started it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from squashproxy.testing import FakeRegistry
from tests.pipeline.hostile_images import LARGE, LEGAL, REFUSED, deep

VERBS = ("copy", "copy --verify", "plan", "prune", "verify")
MOST_MIB = 400
"""No verb takes more for any of these images."""

PROGRAM = """
import json, sys, time
from squashproxy.cli.main import run
host, new, verb, base = sys.argv[1:]
source, target = f"{host}/app:1", f"{new}/app:1"
words = {
    "copy": ["copy", "--base", base, source, target],
    "copy --verify": ["copy", "--verify", "--base", base, source, target],
    "plan": ["plan", "--layer-memory", "none", source],
    "prune": ["copy", "--mode", "prune", "--layer-memory", "none", source, target],
    "verify": ["verify", source, source],
}[verb]
begun = time.process_time()
code = run([*words, "-q"])
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))
print(json.dumps({"code": code, "seconds": time.process_time() - begun, "mib": peak}))
"""


def measure(registry: FakeRegistry, verb: str) -> tuple[int, float, int, str]:
    """Exit code, seconds of CPU, peak of memory in MiB, and the sentence."""
    with FakeRegistry() as new:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, registry.host, new.host, verb, "1"],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["code"], found["seconds"], found["mib"], done.stderr.strip()


def show(name: str, verb: str, found: tuple[int, float, int, str]) -> None:
    code, seconds, mib, sentence = found
    said = sentence[-100:] if code else ""
    sys.stdout.write(f"| {name} | {verb} | {code} | {seconds:.1f} s | {mib} MiB | {said} |\n")


@pytest.mark.long
@pytest.mark.parametrize("depth", [1000, 2000, 4000, 8000, 50_000, 500_000])
def test_depths(depth: int) -> None:
    with FakeRegistry() as registry:
        deep(depth)(registry)
        for verb in VERBS:
            found = measure(registry, verb)
            show(f"one path of {depth} parts", verb, found)
            assert found[0] == (1 if depth > 2000 else 0)
            assert found[2] < MOST_MIB


IMAGES: dict[str, Callable[[FakeRegistry], None]] = {
    **LEGAL,
    **LARGE,
    **{name: put for name, (put, _) in REFUSED.items()},
}


@pytest.mark.long
@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str) -> None:
    with FakeRegistry() as registry:
        IMAGES[name](registry)
        for verb in VERBS:
            found = measure(registry, verb)
            show(name, verb, found)
            is_refused = name in REFUSED or (name == "1,000 layers" and verb == "prune")
            assert found[0] == is_refused, found[3]
            assert found[2] < MOST_MIB, f"{found[2]} MiB"
            assert "Traceback" not in found[3]
