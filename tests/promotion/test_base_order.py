"""Bases and what is built on them, promoted by one rule: the bases are copied first."""

from __future__ import annotations

import pytest

from squashproxy.oci.platform import Platform
from squashproxy.testing import Fault, FaultKind, ImageBuilder, LayerBuilder, index_of
from squashproxy.testing.images import AMD64
from tests.pipeline.images import noise
from tests.pipeline.lab import Arrived
from tests.promotion.pair import Pair, outcomes
from tests.promotion.test_squashed_bases import APP, DEBIAN, PYTHON

IMAGES = {
    "a-app": (*DEBIAN, *PYTHON, *APP["1"]),
    "b-app": (*DEBIAN, *PYTHON, *APP["2"]),
    "c-python": (*DEBIAN, *PYTHON),
    "d-debian": DEBIAN,
}
"""By tag; in the order of their names, each image comes before its base."""
ARM64 = Platform("linux", "arm64")
TOGETHER = "from: OLD/all\nto: NEW/all\nbase_repos: [all]"


def _push_all(pair: Pair) -> None:
    for tag, layers in IMAGES.items():
        builder = ImageBuilder()
        for layer in layers:
            builder.layer(layer)
        builder.build().push(pair.old, "all", tag)


def _layers(pair: Pair) -> dict[str, list[str]]:
    return {tag: Arrived(pair.new, "all", tag).layers for tag in IMAGES}


@pytest.mark.parametrize("jobs", [1, 2, 8])
@pytest.mark.parametrize("mode", ["squash", "prune"])
def test_an_image_has_the_layers_of_the_base_that_the_same_rule_promotes(
    pair: Pair, mode: str, jobs: int
) -> None:
    _push_all(pair)
    code, document, errors = pair.promote_all({"all": f"{TOGETHER}\nmode: {mode}"}, jobs=jobs)
    assert (code, set(outcomes(document).values())) == (0, {"copied"}), errors
    layers = _layers(pair)
    python = layers["c-python"]
    assert python[: len(layers["d-debian"])] == layers["d-debian"]
    for app in ("a-app", "b-app"):
        assert layers[app][: len(python)] == python


def test_results_stay_in_the_order_of_the_plan(pair: Pair) -> None:
    _push_all(pair)
    _, document, _ = pair.promote_all({"all": TOGETHER})
    _, planned, _ = pair.promote_all({"all": TOGETHER}, "--dry-run")
    names = [each["target"] for each in planned["images"]]
    assert [each["target"] for each in document["images"]] == names


def test_an_image_whose_base_fails_is_copied_all_the_same(pair: Pair) -> None:
    _push_all(pair)
    pair.new.arm(Fault("PUT", "manifests/d-debian", FaultKind.ANSWER, status=403, times=99))
    code, document, _ = pair.promote_all({"all": TOGETHER})
    assert code == 3
    done = outcomes(document)
    assert done.pop("all:d-debian") == "failed"
    assert set(done.values()) == {"copied"}


def test_without_a_base_among_the_images_no_manifest_is_read_for_the_order(pair: Pair) -> None:
    _push_all(pair)
    pair.promote_all({"all": "from: OLD/all\nto: NEW/other\nbase_repos: [all]"})
    apart = [each for each in pair.old.requests if "/manifests/" in each.path]
    pair.old.forget_requests()
    pair.promote_all({"all": TOGETHER})
    together = [each for each in pair.old.requests if "/manifests/" in each.path]
    assert len(together) <= len(apart)


def _child(pair: Pair, tag: str, number: int) -> Arrived:
    index = Arrived(pair.new, "all", tag).manifest
    return Arrived(pair.new, "all", index["manifests"][number]["digest"])


def test_the_images_of_an_index_are_compared_one_by_one(pair: Pair) -> None:
    """Each image of the application's index stands on one of the base's index."""
    for tag, layers in {"a-app": (*DEBIAN, *PYTHON), "b-base": DEBIAN}.items():
        machines = []
        for number, platform in enumerate((AMD64, ARM64)):
            builder = ImageBuilder(platform=platform)
            builder.layer(LayerBuilder().file("machine", noise(9_000, number)))
            for layer in layers:
                builder.layer(layer)
            machines.append(builder.build())
        index_of(machines).push(pair.old, "all", tag)
    code, _, errors = pair.promote_all({"all": TOGETHER})
    assert code == 0, errors
    for number in range(2):
        app, base = (_child(pair, tag, number).layers for tag in ("a-app", "b-base"))
        assert app[: len(base)] == base
