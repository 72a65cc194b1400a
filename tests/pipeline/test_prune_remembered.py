"""Pruning with a memory: the same images, and layers that are known are not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from squashproxy.digest import Digest
from squashproxy.errors import IntegrityError
from squashproxy.layer_memory.base import LayerMemory, Nothing
from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from squashproxy.layer_memory.pruned_result import PrunedResult
from squashproxy.pipeline.mode import Mode, PruneThreshold
from squashproxy.pipeline.results import PlatformCopy
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.reference import Repository
from squashproxy.squash.listing import Listing
from squashproxy.testing import LayerBuilder
from tests.pipeline.images import LAYERS, OS, RUNTIME, app, image_of, noise
from tests.pipeline.lab import Lab, digests, fails, fetched, tree


@pytest.fixture(name="memory")
def a_memory(tmp_path: Path) -> LayerMemory:
    return opened(tmp_path)


def opened(folder: Path) -> LayerMemory:
    warnings: list[str] = []
    return RememberedLayers(Folder(folder / "layers", warnings.append), ENGINE)


def prune(lab: Lab, source: str, memory: LayerMemory, **choices: Any) -> PlatformCopy:
    (copied,) = lab.copy(source, source, mode=Mode.PRUNE, memory=memory, **choices).platforms
    return copied


def version(number: int) -> LayerBuilder:
    return LayerBuilder().file("app/version", noise(5000, number))


def test_the_next_version_reads_only_what_is_new(lab: Lab, memory: LayerMemory) -> None:
    first, second = (image_of(*LAYERS, version(number)) for number in (1, 2))
    lab.put(first, "app:1")
    prune(lab, "app:1", memory)
    lab.put(second, "app:2")
    lab.forget_requests()
    copied = prune(lab, "app:2", memory)
    assert [fetched(lab.old, digest) for digest in digests(second.layers)] == [0, 0, 0, 0, 1]
    assert [layer.action.value for layer in copied.layers][1:] == [
        "kept", "reused", "kept", "kept",
    ]  # fmt: skip
    assert copied.fetched_bytes == second.layers[-1].size
    assert lab.arrived("2").tree() == tree(*LAYERS, version(2))


def test_with_a_memory_and_without_the_digests_are_the_same(lab: Lab, memory: LayerMemory) -> None:
    lab.put(app())
    without = prune(lab, "app:1", Nothing()).digest
    assert prune(lab, "app:1", memory, force=True).digest == without
    assert prune(lab, "app:1", memory, force=True).digest == without


def test_an_earlier_result_that_lacks_nearly_all_is_taken(lab: Lab, memory: LayerMemory) -> None:
    body = LayerBuilder().file("large", noise(90_000)).file("gone", noise(50_000, 2))
    body = body.file("little", b"x" * 300)
    top = LayerBuilder().whiteout("gone")
    lab.put(image_of(OS, body, top), "app:1")
    lab.put(image_of(OS, body, top, LayerBuilder().whiteout("little")), "app:2")
    first, second = prune(lab, "app:1", memory), prune(lab, "app:2", memory)
    assert second.layers[1].action.value == "reused"
    assert second.layers[1].digest == first.layers[1].digest
    assert lab.arrived("2").tree() == tree(OS, body, top, LayerBuilder().whiteout("little"))
    alone = prune(lab, "app:2", memory, prune_over=PruneThreshold(share=0), force=True)
    assert alone.layers[1].action.value == "pruned", "not even a little is to stay"


def test_an_earlier_result_that_still_holds_a_secret_is_not_taken(
    lab: Lab, memory: LayerMemory
) -> None:
    body = LayerBuilder().file("large", noise(90_000)).file("gone", noise(50_000, 2))
    body = body.file("id_rsa", b"a key")
    top, later = LayerBuilder().whiteout("gone"), LayerBuilder().whiteout("id_rsa")
    lab.put(image_of(OS, body, top), "app:1")
    lab.put(image_of(OS, body, top, later), "app:2")
    prune(lab, "app:1", memory)
    assert prune(lab, "app:2", memory).layers[1].action.value == "pruned"
    assert all(b"a key" not in tar for tar in lab.arrived("2").tars())


def test_an_earlier_result_that_the_target_lost_is_made_again(
    lab: Lab, tmp_path: Path, labs: Any
) -> None:
    lab.put(app())
    before = prune(lab, "app:1", opened(tmp_path))
    other = labs()
    other.put(app())
    after = prune(other, "app:1", opened(tmp_path))
    assert after.digest == before.digest
    assert after.layers[2].action.value == "pruned"
    assert other.arrived().tree() == tree(*LAYERS)


class Liar:
    """A memory that knows something else of each layer."""

    def __init__(self, truth: LayerMemory, listed: Sequence[Digest]) -> None:
        self._truth = truth
        self._listed = listed

    def find_listing(self, layer: Digest) -> Listing | None:
        other = self._listed[-1] if layer == self._listed[0] else layer
        return self._truth.find_listing(other)

    def keep_listing(self, layer: Digest, listing: Listing) -> None:
        self._truth.keep_listing(layer, listing)

    def find_results(self, layer: Digest) -> tuple[PrunedResult, ...]:  # noqa: ARG002 - as above
        return ()

    def keep_result(self, result: PrunedResult) -> None:
        """Nothing."""


def test_a_listing_that_lies_about_a_layer_that_is_written_again_is_an_error(
    lab: Lab, memory: LayerMemory
) -> None:
    other = LayerBuilder().directory("app").file("app/large", noise(70_000)).file("app/one", b"1")
    lab.put(image_of(OS, other, LAYERS[3]), "app:other")
    prune(lab, "app:other", memory, base="1")
    image = app()
    lab.put(image)
    prune(lab, "app:1", memory, base="2")
    lies = Liar(memory, [image.layers[2].digest, image_of(OS, other).layers[1].digest])
    fails(
        lab, IntegrityError, "layer 3 of 4", "memory of layers", mode=Mode.PRUNE,
        memory=lies, base="2", force=True,
    )  # fmt: skip


def test_a_listing_that_lies_about_a_layer_that_stays_is_an_error(
    lab: Lab, memory: LayerMemory
) -> None:
    """By it, visible files would be dropped from a layer below that is written again."""
    body = LayerBuilder().file("kept", noise(50_000)).file("gone", noise(50_000, 2)).file("more")
    top = LayerBuilder().whiteout("gone")
    lie = LayerBuilder().whiteout("gone").whiteout("kept")
    other, image = image_of(OS, lie), image_of(OS, body, top)
    lab.put(other, "app:other")
    lab.put(image, "app:1")
    prune(lab, "app:other", memory)
    prune(lab, "app:1", memory)
    lies = Liar(memory, [image.layers[2].digest, other.layers[1].digest])
    fails(
        lab, IntegrityError, "layer 3 of 3", "memory of layers", mode=Mode.PRUNE,
        memory=lies, force=True,
    )  # fmt: skip


def test_a_listing_that_lies_about_a_layer_that_is_left_out_is_an_error(
    lab: Lab, memory: LayerMemory
) -> None:
    body = LayerBuilder().file("gone", noise(50_000)).file("kept", noise(50_000, 2))
    lie = LayerBuilder().file("gone", noise(50_000))
    top = LayerBuilder().whiteout("gone")
    other, image = image_of(OS, lie), image_of(OS, body, top)
    lab.put(other, "app:other")
    lab.put(image, "app:1")
    prune(lab, "app:other", memory)
    prune(lab, "app:1", memory)
    lies = Liar(memory, [image.layers[1].digest, other.layers[1].digest])
    fails(
        lab, IntegrityError, "layer 2 of 3", "memory of layers", mode=Mode.PRUNE,
        memory=lies, force=True,
    )  # fmt: skip


def test_a_layer_that_was_left_out_before_is_not_read(lab: Lab, memory: LayerMemory) -> None:
    body, top = LayerBuilder().file("gone", noise(50_000)), LayerBuilder().whiteout("gone")
    images = [image_of(OS, body, top, version(number)) for number in (1, 2)]
    for number, image in enumerate(images, 1):
        lab.put(image, f"app:{number}")
    prune(lab, "app:1", memory)
    lab.forget_requests()
    copied = prune(lab, "app:2", memory)
    assert copied.layers[1].action.value == "dropped"
    assert [fetched(lab.old, digest) for digest in digests(images[1].layers)][:3] == [0, 0, 0]


def test_layers_above_one_that_is_cut_for_the_first_time_are_read_once(
    lab: Lab, memory: LayerMemory
) -> None:
    bodies = [
        LayerBuilder().file(f"kept{n}", noise(50_000, n)).file(f"gone{n}", noise(50_000, n + 9))
        for n in range(2)
    ]
    image = image_of(OS, *bodies, LayerBuilder().whiteout("gone0").whiteout("gone1"))
    lab.put(image, "app:1")
    prune(lab, "app:1", memory)
    truth = Liar(memory, [image.layers[0].digest])
    lab.forget_requests()
    prune(lab, "app:1", truth, force=True)
    assert [fetched(lab.old, digest) for digest in digests(image.layers)][1:] == [1, 2, 1]


def test_images_that_hide_nothing_are_known_the_next_time(lab: Lab, memory: LayerMemory) -> None:
    image = image_of(OS, version(1), LayerBuilder().file("b", b"b"))
    lab.put(image)
    prune(lab, "app:1", memory)
    lab.forget_requests()
    assert lab.copy(mode=Mode.PRUNE, memory=memory).skipped
    prune(lab, "app:1", memory, force=True)
    assert [fetched(lab.old, digest) for digest in digests(image.layers)] == [0, 0, 0]
    assert not lab.copy(mode=Mode.PRUNE).skipped, "nobody knows without a memory"


def test_results_of_another_compression_are_not_taken(lab: Lab, memory: LayerMemory) -> None:
    lab.put(app())
    prune(lab, "app:1", memory)
    copied = prune(lab, "app:1", memory, compression="zstd")
    assert copied.layers[2].action.value == "pruned"
    assert replace(copied, digest="").layers_after == 4


def test_on_a_squashed_base_the_memory_serves_as_well(lab: Lab, memory: LayerMemory) -> None:
    """What was remembered of a layer on the original base is right on its squashed form."""
    lab.put(image_of(OS, RUNTIME), "original:1")
    lab.copy("original:1", "base/os:1", base="none")
    lab.put(image_of(*LAYERS, version(1)), "app:1")
    prune(lab, "app:1", memory, base="2")
    lab.put(image_of(*LAYERS, version(2)), "app:2")
    repositories = (Repository(lab.new.host, "base/os"),)
    copied = prune(lab, "app:2", memory, base_repos=repositories)
    assert [layer.action.value for layer in copied.layers] == [
        "base", "base", "reused", "kept", "kept",
    ]  # fmt: skip
    arrived = lab.arrived("2")
    assert arrived.layers[:1] == lab.arrived("1", "base/os").layers
    assert arrived.layers[1] == lab.arrived("1").layers[2]
    assert arrived.tree() == tree(*LAYERS, version(2))


def test_an_earlier_result_that_lacks_what_can_be_seen_now_is_not_taken(
    lab: Lab, memory: LayerMemory
) -> None:
    body = LayerBuilder().file("one", noise(50_000)).file("two", noise(50_200, 2))
    lab.put(image_of(OS, body, LayerBuilder().whiteout("one")), "app:1")
    later = LayerBuilder().whiteout("two")
    lab.put(image_of(OS, body, later), "app:2")
    prune(lab, "app:1", memory)
    assert prune(lab, "app:2", memory).layers[1].action.value == "pruned"
    assert lab.arrived("2").tree() == tree(OS, body, later)


def test_under_an_earlier_result_that_still_holds_a_little_no_layer_is_left_out(
    lab: Lab, memory: LayerMemory
) -> None:
    doomed = LayerBuilder().file("doomed", noise(4000, 7))
    body = LayerBuilder().file("large", noise(90_000)).file("gone", noise(50_000, 2))
    body = body.file("little", b"x" * 300)
    top = LayerBuilder().whiteout("gone")
    lab.put(image_of(OS, body, top), "app:1")
    later = LayerBuilder().whiteout("little").whiteout("doomed")
    layers = (OS, doomed, body, top, later)
    lab.put(image_of(*layers), "app:2")
    prune(lab, "app:1", memory)
    found = [layer.action.value for layer in prune(lab, "app:2", memory).layers]
    assert found[1:3] == ["pruned", "reused"]
    assert lab.arrived("2").tree() == tree(*layers)
