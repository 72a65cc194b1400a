"""Promotion tells what the target holds, beside the sum over images (issue #25).

The figures are compared with what the registries hold: Debian, Python on it, and two versions of an
application on that.
"""

from __future__ import annotations

import json
import shutil

import pytest

from squashproxy.cli.main import run
from squashproxy.testing import FakeRegistry, ImageBuilder
from tests.promotion.pair import Pair, outcomes
from tests.promotion.test_squashed_bases import ALONE, IMAGES, SHARED

ONE = "from: OLD/app\nto: NEW/prod/{name}"


def push(registry: FakeRegistry, *names: str) -> int:
    """Put images of the fleet into a registry; the bytes of all their distinct layers."""
    for name in names:
        builder = ImageBuilder()
        for layer in IMAGES[name]:
            builder.layer(layer)
        repo, _, tag = name.partition(":")
        builder.build().push(registry, repo, tag)
    return stored(registry)


def stored(registry: FakeRegistry) -> int:
    """The bytes of all distinct layers of images that tags of a registry name."""
    sizes: dict[str, int] = {}
    for repo in registry._store.names():
        for digest in registry.tags(repo).values():
            manifest = json.loads(registry.manifest(repo, digest).data)
            sizes |= {layer["digest"]: layer["size"] for layer in manifest["layers"]}
    return sum(sizes.values())


def with_mode(rules: dict[str, str], mode: str) -> dict[str, str]:
    return {
        name: f"{rule.replace('base: none', '')}\nmode: {mode}".replace("\n\n", "\n")
        for name, rule in rules.items()
    }


MODES = {
    "squash": (ALONE, "more"),
    "squashed bases": (SHARED, "less"),
    "prune": (with_mode(ALONE, "prune"), "less"),
    "copy": (with_mode(ALONE, "copy"), "the same"),
}


@pytest.mark.parametrize(("rules", "expected"), MODES.values(), ids=MODES)
def test_a_fleet_holds(pair: Pair, rules: dict[str, str], expected: str) -> None:
    plain = push(pair.old, *IMAGES)
    code, document, errors = pair.promote_all(rules)
    assert code == 0, errors
    held = stored(pair.new)
    assert (document["distinct_before"], document["distinct_after"]) == (plain, held)
    assert document["distinct_images"] == len(IMAGES)
    assert {"more": held > plain, "less": held < plain, "the same": held == plain}[expected]
    _, again, _ = pair.promote_all(rules)
    assert set(outcomes(again).values()) == {"current"}
    assert (again["distinct_before"], again["distinct_after"]) == (plain, held)


def test_the_next_version_is_counted_beside_the_one_that_is_there(pair: Pair) -> None:
    rule = f"{ONE}\nbase: none"
    push(pair.old, "app:1")
    pair.promote(rule)
    plain = push(pair.old, "app:2")
    _, document, _ = pair.promote(rule)
    assert sorted(outcomes(document).values()) == ["copied", "current"]
    held = stored(pair.new)
    assert held > plain
    assert (document["distinct_before"], document["distinct_after"]) == (plain, held)
    saved = sum(each["compressed_before"] - each["compressed_after"] for each in document["images"])
    assert saved > 0, "the sum alone hides that the target grew"


def test_images_whose_layers_are_not_on_record_are_left_out(pair: Pair) -> None:
    """As after an update from a version that did not note them."""
    push(pair.old, "app:1")
    pair.promote(ONE)
    shutil.rmtree(pair.folder / "state")
    push(pair.old, "app:2")
    _, document, _ = pair.promote(ONE)
    assert sorted(outcomes(document).values()) == ["copied", "current"]
    assert document["distinct_images"] == 1
    shutil.rmtree(pair.folder / "state")
    assert run(["promote", str(pair.folder / "sp.yml")]) == 0
    assert "in target" not in pair.captured.readouterr().out, "no layers are known"


def test_a_plan_counts_nothing(pair: Pair) -> None:
    push(pair.old, "app:1")
    pair.promote(ONE)
    _, document, _ = pair.promote(ONE, "--dry-run")
    assert document["distinct_images"] == document["distinct_before"] == 0


def test_each_registry_holds_its_own_layers(pair: Pair) -> None:
    push(pair.old, "app:1", "app:2")
    pair.promote(ONE)
    with FakeRegistry() as third:
        rules = {"apps": ONE, "far": ONE.replace("NEW", third.host)}
        _, document, _ = pair.promote_all(rules)
        assert document["distinct_after"] == stored(pair.new) + stored(third)
        assert document["distinct_before"] == 2 * stored(pair.old)


def test_the_report_says_both(pair: Pair) -> None:
    push(pair.old, *IMAGES)
    pair.promote_all(ALONE, "--dry-run")
    assert run(["promote", str(pair.folder / "sp.yml")]) == 0
    out = " ".join(pair.captured.readouterr().out.split())
    assert "summed over images" in out
    assert "for plain copies, each layer once" in out
    assert "more, since layers that images shared became different" in out
