"""`--mode prune` on the command line: what is refused, and what is only warned of."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from squashproxy.testing import FakeRegistry, ImageBuilder, LayerBuilder
from tests.cli.command_line import InProcess
from tests.pipeline.images import app, image_of


@pytest.fixture
def old() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


NO_THRESHOLD = {
    text: f"--prune-over: {text!r} is neither a share of a layer nor a size; write 0% to 100%, or a"
    for text in ("0", "-1", "abc", "", "1e3", "9EiB", "1,5M")
} | {
    text: f"--prune-over: {text!r} is no share of a layer; write 0% to 100%, or a size as in 500k"
    for text in ("101%", "-1%", "1%%", "nan%", "inf%", "%", "1_0%", "1%5", "x%")
}


@pytest.mark.parametrize(("text", "words"), NO_THRESHOLD.items())
def test_a_threshold_that_makes_no_sense(
    squashproxy: InProcess, old: FakeRegistry, text: str, words: str
) -> None:
    app().push(old, "app", "1")
    outcome = squashproxy(
        *("copy", "--mode", "prune", "--prune-over", text),
        *(f"{old.host}/app:1", f"{old.host}/new:1"),
    )
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert words in outcome.err
    assert "new" not in old._store.names()


@pytest.mark.parametrize("mode", [[], ["--mode", "squash"]], ids=["by default", "by name"])
@pytest.mark.parametrize("command", ["copy", "plan"])
def test_a_threshold_of_what_is_squashed(
    squashproxy: InProcess, old: FakeRegistry, command: str, mode: list[str]
) -> None:
    app().push(old, "app", "1")
    outcome = squashproxy(
        command, *mode, "--prune-over", "2%", f"{old.host}/app:1", f"{old.host}/new:1"
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "squashproxy: --prune-over only means something with --mode prune; leave it out, or prune\n"
    )
    assert "new" not in old._store.names()


@pytest.mark.parametrize("command", ["copy", "plan"])
def test_pruned_layers_are_not_cut(squashproxy: InProcess, old: FakeRegistry, command: str) -> None:
    app().push(old, "app", "1")
    outcome = squashproxy(
        *(command, "--mode", "prune", "--max-layer-size", "1M"),
        *(f"{old.host}/app:1", f"{old.host}/new:1"),
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert "only a squashed layer is cut into several, and with mode prune there" in outcome.err


AMBIGUOUS = {
    "a path twice": (LayerBuilder().file("a", b"1").file("a", b"2"), "holds /a more than once"),
    "a link to a lower layer": (
        LayerBuilder().hardlink("b", "below"),
        "the hard link /b points to /below, which its layer does not hold; overlay unpackers fail",
    ),
    "entries below a file of a lower layer": (
        LayerBuilder().file("below/f", b"f"),
        "/below is no directory, but an upper layer has entries below it",
    ),
}


@pytest.mark.parametrize("command", ["copy", "plan"])
@pytest.mark.parametrize(("layer", "words"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_strict_refuses_what_unpackers_disagree_about(
    squashproxy: InProcess, old: FakeRegistry, command: str, layer: LayerBuilder, words: str
) -> None:
    image_of(LayerBuilder().file("below", b"b"), layer).push(old, "app", "1")
    arguments = ("--mode", "prune", "--base", "none", f"{old.host}/app:1", f"{old.host}/new:1")
    outcome = squashproxy(command, "--strict", *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert words in outcome.err
    assert outcome.err.endswith("leave --strict off to prune it as it is\n")
    assert "new" not in old._store.names()
    assert squashproxy(command, *arguments).code == 0


@pytest.mark.parametrize("mode", ["prune", "squash"])
def test_more_layers_than_runtimes_take(
    squashproxy: InProcess, old: FakeRegistry, mode: str
) -> None:
    builder = ImageBuilder()
    for number in range(129):
        builder.layer(LayerBuilder().file(f"f{number}", b"f" * 600))
    builder.layer(LayerBuilder().whiteout("f127")).build().push(old, "app", "1")
    for command in ("plan", "copy"):
        outcome = squashproxy(
            *(command, "--json", "--mode", mode, "--base", "127"),
            *(f"{old.host}/app:1", f"{old.host}/new:1"),
        )
        assert outcome.code == 0, outcome.err
        [warning] = json.loads(outcome.out)["warnings"]
        count = {"prune": 129, "squash": 128}[mode]
        assert warning == (
            f"the result for linux/amd64 has {count} layers, and runtimes take 127; "
            "squash it, and keep fewer as base"
        )
