"""Names with a `..` inside, on the command line: a warning in each mode, or an error if strict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from tests.cli.command_line import InProcess
from tests.pipeline.images import OS, noise

ODD = LayerBuilder().directory("d").file("d/../b", noise(9000)).hardlink("h", "d/../b")
TOP = LayerBuilder().file("b", b"new").file("d/../c", b"c")
WORDS = "leads there with '..'; some unpackers refuse that"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        ImageBuilder().layer(OS).layer(ODD).layer(TOP).push(registry, "app", "1")
        yield registry


@pytest.mark.parametrize(
    ("mode", "more"),
    [("squash", ()), ("squash", ("--max-layer-size", "4k")), ("prune", ())],
    ids=["squash", "squash, cut", "prune"],
)
def test_they_are_read_as_unpackers_do_with_a_warning(
    squashproxy: InProcess, registry: FakeRegistry, mode: str, more: tuple[str, ...]
) -> None:
    source, target = f"{registry.host}/app:1", f"{registry.host}/{mode}:1"
    choices = ("--mode", mode, "--base", "1", *more)
    done = squashproxy("copy", "--json", "--verify", *choices, source, target)
    assert done.code == 0, done.err
    warnings = json.loads(done.out)["warnings"]
    assert [WORDS in warning for warning in warnings[:2]] == [True, True]
    verified = squashproxy("verify", source, target)
    assert verified.code == 0
    assert WORDS in verified.err


@pytest.mark.parametrize("mode", ["squash", "prune"])
def test_a_plan_warns_alike_whether_it_knows_the_layers_or_reads_them(
    squashproxy: InProcess, registry: FakeRegistry, tmp_path: Path, mode: str
) -> None:
    source = f"{registry.host}/app:1"
    choices = ("--mode", mode, "--base", "1", "--layer-memory", str(tmp_path))
    first, again = (squashproxy("plan", *choices, source) for _ in range(2))
    assert (first.code, again.code) == (0, 0)
    assert first.err == again.err
    assert first.err.count(WORDS) == 2


@pytest.mark.parametrize("mode", ["squash", "prune"])
def test_strict_refuses_them(squashproxy: InProcess, registry: FakeRegistry, mode: str) -> None:
    source, target = f"{registry.host}/app:1", f"{registry.host}/{mode}:1"
    for verb, names in (("copy", (source, target)), ("plan", (source,))):
        refused = squashproxy(verb, "--strict", "--mode", mode, "--base", "1", *names)
        assert refused.code == 1
        assert WORDS in refused.err
        assert "leave --strict off" in refused.err
    assert registry.tags(mode) == {}


def test_what_leads_out_is_refused(squashproxy: InProcess, registry: FakeRegistry) -> None:
    out = LayerBuilder().file("d/../../etc/passwd")
    ImageBuilder().layer(OS).layer(out).layer(TOP).push(registry, "app", "2")
    for verb in ("plan", "verify"):
        names = [f"{registry.host}/app:2"] * (2 if verb == "verify" else 1)
        refused = squashproxy(verb, *names)
        assert refused.code == 1
        assert "leads out of the image with '..'" in refused.err
