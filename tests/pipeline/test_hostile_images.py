"""Hostile images end soon, with one sentence, and in the same way for every verb."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from squashproxy.errors import LimitExceeded, SquashproxyError
from squashproxy.limits import Limits
from squashproxy.pipeline.mode import Mode
from squashproxy.testing import ImageBuilder, LayerBuilder
from squashproxy.verify.verification import verify_images
from tests.pipeline.hostile_images import LARGE, LEGAL, OS, REFUSED
from tests.pipeline.images import noise
from tests.pipeline.lab import Lab, Listener, fetched


def _verify(lab: Lab, limits: Limits) -> None:
    verify_images(
        lab.source(), lab.source(), observer=Listener(), clock=time.monotonic, limits=limits
    )


VERBS: dict[str, Callable[[Lab, Limits], object]] = {
    "squash": lambda lab, limits: lab.copy(base="none", limits=limits),
    "squash above a base": lambda lab, limits: lab.copy(base="1", limits=limits),
    "prune": lambda lab, limits: lab.copy(base="1", mode=Mode.PRUNE, limits=limits),
    "plan": lambda lab, limits: lab.plan(limits=limits),
    "plan of pruning": lambda lab, limits: lab.plan(mode=Mode.PRUNE, limits=limits),
    "verify": _verify,
}
MAKING = {"squash", "squash above a base", "prune"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_with_one_sentence(lab: Lab, kind: str, verb: str) -> None:
    put, word = REFUSED[kind]
    put(lab.old)
    with pytest.raises(SquashproxyError) as refused:
        VERBS[verb](lab, Limits())
    sentence = str(refused.value)
    assert word in sentence
    assert re.match(r"layer 2 of 2 \(sha256:", sentence)
    assert "\n" not in sentence
    assert len(sentence) < 700
    assert not lab.new.tags("app")


@pytest.mark.parametrize("kind", LEGAL)
def test_what_is_only_large_is_squashed(lab: Lab, kind: str) -> None:
    LEGAL[kind](lab.old)
    result = lab.copy(base="none", verify=True)
    assert not result.skipped


@pytest.mark.parametrize("verb", ["squash", "prune", "plan", "verify"])
@pytest.mark.parametrize("kind", LARGE)
def test_what_has_to_be_remembered_is_limited_in_bytes(lab: Lab, kind: str, verb: str) -> None:
    LARGE[kind](lab.old)
    if kind.startswith("attributes") and verb != "verify":
        VERBS[verb](lab, Limits(memory=4_000_000))  # they pass by, and are not remembered
        return
    with pytest.raises(LimitExceeded, match="4000000 bytes to remember"):
        VERBS[verb](lab, Limits(memory=4_000_000))


@pytest.mark.parametrize("verb", VERBS)
def test_no_limit_is_a_limit_of_none(lab: Lab, verb: str) -> None:
    zeros = LayerBuilder().file("zeros", bytes(101 << 20))
    lab.put(ImageBuilder().layer(OS).layer(zeros).build())
    with pytest.raises(LimitExceeded, match="`max_ratio`"):
        VERBS[verb](lab, Limits())
    VERBS[verb](lab, Limits(ratio=None))


def test_more_layers_than_any_kernel_mounts_are_refused_unless_they_are_squashed_away(
    lab: Lab,
) -> None:
    LEGAL["1,000 layers"](lab.old)
    for mode in Mode.SQUASH, Mode.PRUNE:
        with pytest.raises(LimitExceeded, match=r"no kernel mounts more than 500; .*`base`"):
            lab.copy(base="900", mode=mode)
    assert not lab.new.tags("app")
    lab.copy(base="1")
    assert len(lab.arrived().layers) == 2


def test_each_of_many_layers_is_read_once(lab: Lab) -> None:
    LEGAL["1,000 layers"](lab.old)
    lab.copy(base="none")
    manifest = lab.old.manifest("app", "1").data
    digests = re.findall(rb"sha256:[0-9a-f]{64}", manifest)[1:]
    assert max(fetched(lab.old, digest.decode()) for digest in set(digests)) == 1


def test_layers_with_duplicate_paths_cost_a_few_readings_not_one_for_each(lab: Lab) -> None:
    layers = [LayerBuilder().file("a", noise(9, n)).file("a", noise(9, 50 + n)) for n in range(40)]
    builder = ImageBuilder()
    for layer in layers:
        builder.layer(layer)
    lab.put(builder.build())
    (result,) = lab.copy(base="none").platforms
    assert result.fallbacks < 10
