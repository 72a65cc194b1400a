"""Limits: past one, a sentence that names its option, and nothing pushed."""

from __future__ import annotations

import pytest

from squashproxy.errors import Ambiguous, LimitExceeded
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import Limits
from squashproxy.testing import LayerBuilder
from tests.pipeline.images import LAYERS, OS, app, image_of, noise
from tests.pipeline.lab import Lab, fails, tree

MANY = LayerBuilder()
for _number in range(2000):
    MANY.file(f"file-{_number:05}")


@pytest.mark.parametrize("base", ["none", "1"])
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        pytest.param(Limits(entries=1999), ("1999 entries", "`max_entries`"), id="entries"),
        pytest.param(
            Limits(unpacked=1_000_000), ("1000000 unpacked bytes", "`max_unpacked`"), id="unpacked"
        ),
        pytest.param(Limits(memory=100_000), ("100000 bytes to remember", "`memory`"), id="memory"),
    ],
)
def test_a_limit_is_passed(lab: Lab, limits: Limits, words: tuple[str, ...], base: str) -> None:
    lab.put(image_of(OS, MANY, LayerBuilder().file("z")))
    fails(
        lab, LimitExceeded, "layer 2 of 3", "nothing was pushed", *words, base=base, limits=limits
    )
    assert lab.new.blobs("app") <= {*lab.arrived().blobs, image_of(OS).layers[0].digest}


@pytest.mark.parametrize("above", [1, 2])
def test_a_layer_unpacks_to_far_more_than_its_size(lab: Lab, above: int) -> None:
    bomb = LayerBuilder().file("bomb", bytes(101 << 20))
    lab.put(image_of(OS, bomb, *[LayerBuilder().file("z")] * (above - 1)))
    words = ("more than 100 times", "`max_ratio`")
    fails(lab, LimitExceeded, *words, base="1", limits=Limits(ratio=100))


def test_small_images_may_have_any_ratio(lab: Lab) -> None:
    layer = LayerBuilder().file("zeros", bytes(20 << 20))
    lab.put(image_of(OS, layer, LayerBuilder().file("z")))
    lab.copy(base="1", limits=Limits(ratio=2))
    assert lab.arrived().tree() == tree(OS, layer, LayerBuilder().file("z"))


def test_a_layer_of_zeros_counts_with_the_whole_image(lab: Lab) -> None:
    """A sparse database file compresses a thousandfold, and the image around it does not."""
    zeros = LayerBuilder().file("database", bytes(110 << 20))
    lab.put(image_of(LayerBuilder().file("os", noise(2_000_000)), zeros, LayerBuilder().file("z")))
    result = lab.copy(base="1", mode=Mode.PRUNE)
    assert not result.skipped


def test_limits_that_are_just_kept(lab: Lab) -> None:
    lab.put(app())
    tars = [layer.tar() for layer in LAYERS]
    limits = Limits(unpacked=sum(map(len, tars)), entries=14)
    assert not lab.copy(base="none", limits=limits).skipped


def test_the_base_is_not_counted(lab: Lab) -> None:
    lab.put(image_of(MANY, LayerBuilder().file("y"), LayerBuilder().file("z")))
    lab.copy(base="1", limits=Limits(entries=2, unpacked=4096))
    assert len(lab.arrived().layers) == 2


@pytest.mark.parametrize("base", ["1", "none"])
def test_a_layer_that_unpackers_disagree_about(lab: Lab, base: str) -> None:
    link = LayerBuilder().directory("real").symlink("link", "real")
    through = LayerBuilder().file("link/x", noise(2000))
    lab.put(image_of(OS, link, through))
    fails(lab, Ambiguous, "layer 2 of 3", "/link", base=base, strict=True)
    result = lab.copy(base=base)
    assert any("link" in warning for warning in result.warnings)
