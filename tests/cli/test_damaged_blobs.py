"""A blob that comes damaged once: every verb reads it once more; one that stays so is an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from squashproxy.testing import FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.cli.command_line import InProcess, Outcome
from tests.pipeline.images import image_of, noise

IMAGE = image_of(
    LayerBuilder().file("base", noise(1 << 20, 1)),
    LayerBuilder().file("a", noise(3 << 20, 2)).file("b", b"b"),
    LayerBuilder().file("b", b"new"),
)
LARGE = IMAGE.layers[1].digest


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        IMAGE.push(registry, "app", "1")
        IMAGE.push(registry, "other", "1")
        yield registry


VERBS: dict[str, tuple[str, ...]] = {
    "copy": ("copy", "--base", "1", "OLD/app:1", "NEW/app:1"),
    "copy as it is": ("copy", "--mode", "copy", "OLD/app:1", "NEW/app:1"),
    "prune": ("copy", "--mode", "prune", "--base", "1", "OLD/app:1", "NEW/app:1"),
    "plan": ("plan", "OLD/app:1"),
    "verify": ("verify", "OLD/app:1", "OLD/other:1"),
}
DAMAGES: dict[str, Fault] = {
    "a bit flipped": Fault("GET", LARGE, FaultKind.CORRUPT, after_bytes=2_000_000),
    "cut with a length to match": Fault("GET", LARGE, FaultKind.CUT, after_bytes=2_000_000),
    "cut at its start": Fault("GET", LARGE, FaultKind.CUT, after_bytes=0),
    "broken off": Fault("GET", LARGE, FaultKind.DROP_RESPONSE, after_bytes=2_000_000),
}


def run(squashproxy: InProcess, old: FakeRegistry, arguments: tuple[str, ...]) -> Outcome:
    """Run a command line, with an empty target."""
    with FakeRegistry() as new:
        line = [each.replace("OLD", old.host).replace("NEW", new.host) for each in arguments]
        more = () if line[0] == "verify" else ("--layer-memory", "none")
        return squashproxy(*line, *more, "--json")


@pytest.mark.parametrize("fault", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("arguments", VERBS.values(), ids=VERBS)
def test_what_is_damaged_once_ends_right(
    squashproxy: InProcess, registry: FakeRegistry, arguments: tuple[str, ...], fault: Fault
) -> None:
    right = run(squashproxy, registry, arguments)
    armed = registry.arm(fault)
    found = run(squashproxy, registry, arguments)
    assert armed.reached.is_set()
    assert (found.code, right.code) == (0, 0), found.err
    assert json.loads(found.out).get("digest") == json.loads(right.out).get("digest")


@pytest.mark.parametrize("arguments", VERBS.values(), ids=VERBS)
def test_what_is_damaged_each_time_is_an_error(
    squashproxy: InProcess, registry: FakeRegistry, arguments: tuple[str, ...]
) -> None:
    registry.arm(replace(DAMAGES["a bit flipped"], times=99))
    found = run(squashproxy, registry, arguments)
    assert found.code == 1
    assert "has the digest sha256:" in found.err
    asked = [each for each in registry.requests if each.method == "GET" and LARGE in each.path]
    assert len(asked) == 2
