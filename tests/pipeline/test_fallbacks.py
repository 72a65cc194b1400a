"""Layers that need another reading: it is counted, and the result is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from squashproxy.testing import LayerBuilder
from tests.pipeline.images import OS, image_of, noise
from tests.pipeline.lab import Lab, asked, fetched, pushed_bytes, tree

TWICE = LayerBuilder().file("twice", b"first").file("b", b"b").file("twice", b"last")
ONCE = LayerBuilder().file("b", b"b").file("twice", b"last")
LARGE = LayerBuilder().file("large", noise(6 << 20))
"""More than one chunk of an upload, and above the layer that makes the merge begin again."""


class TestAPathThatStandsTwice:
    """The last entry wins; the merge finds out when the first may be at the target already."""

    def test_the_tree_is_right(self, lab: Lab) -> None:
        lab.put(image_of(OS, TWICE, LayerBuilder().file("c", b"c")))
        (copied,) = lab.copy(base="1").platforms
        assert copied.fallbacks == 1
        assert lab.arrived().tree() == tree(OS, ONCE, LayerBuilder().file("c", b"c"))

    @pytest.mark.parametrize(
        "registry",
        [
            pytest.param({}, id="chunks"),
            pytest.param({"ranged_uploads": False}, id="one-stream"),
            pytest.param({"resumable_uploads": False}, id="sessions-that-forget"),
        ],
    )
    def test_the_upload_that_had_begun_is_cancelled(
        self, labs: Callable[..., Lab], registry: dict[str, Any]
    ) -> None:
        lab = labs(new=registry)
        lab.put(image_of(OS, TWICE, LARGE))
        (copied,) = lab.copy(base="1").platforms
        assert copied.fallbacks == 1
        assert any(line.startswith("DELETE app/uploads 204") for line in asked(lab.new))
        assert lab.new.blobs("app") == set(lab.arrived().blobs)
        assert lab.arrived().tree() == tree(OS, ONCE, LARGE)
        arrived = lab.arrived()
        assert copied.uploaded_bytes == arrived.size + arrived.manifest["config"]["size"]
        assert copied.uploaded_bytes < pushed_bytes(lab.new)

    def test_in_several_layers(self, lab: Lab) -> None:
        upper = LayerBuilder().file("x", b"1").file("x", b"2").file("x", b"3")
        lab.put(image_of(OS, TWICE, upper))
        (copied,) = lab.copy(base="none").platforms
        assert copied.fallbacks == 2
        assert lab.arrived().tree() == tree(OS, ONCE, LayerBuilder().file("x", b"3"))

    def test_in_the_only_layer_above_the_base(self, lab: Lab) -> None:
        lab.put(image_of(OS, TWICE))
        (copied,) = lab.copy(base="1").platforms
        assert copied.layers_after == 2
        assert lab.arrived().tree() == tree(OS, ONCE)

    def test_in_a_base_that_is_kept_it_needs_no_other_reading(self, lab: Lab) -> None:
        image = image_of(TWICE, LayerBuilder().file("c", b"c"), LayerBuilder().file("d", b"d"))
        lab.put(image)
        (copied,) = lab.copy(base="1").platforms
        assert copied.fallbacks == 0
        assert lab.arrived().layers[0] == image.layers[0].digest


class TestHardLinks:
    @pytest.mark.parametrize(
        ("between", "readings"),
        [
            pytest.param(1, 1, id="soon"),
            pytest.param(7, 2, id="behind-many-others"),
        ],
    )
    def test_a_link_whose_target_is_hidden_becomes_the_file(
        self, lab: Lab, between: int, readings: int
    ) -> None:
        """Its bytes are still in memory, or the layer is read again."""
        linked = LayerBuilder().file("a", b"x" * 5000, mode=0o640, xattrs={"user.k": b"v"})
        linked.directory("d")
        for number in range(between):
            linked.file(f"d/{number}", noise(1 << 20))
        linked.hardlink("b", "a").hardlink("c", "a")
        upper = LayerBuilder().whiteout("a").whiteout("d")
        image = image_of(OS, linked, upper)
        lab.put(image)
        for base in ("none", "1"):
            (copied,) = lab.copy(base=base).platforms
            assert copied.fallbacks == readings - 1
            assert copied.hidden_bytes == 512 + between * ((1 << 20) + 512)
            assert lab.arrived().tree() == tree(OS, linked, upper)
        assert fetched(lab.old, image.layers[1].digest) == 2 * readings

    def test_a_link_to_a_file_of_the_kept_base_becomes_a_file(self, lab: Lab) -> None:
        base = LayerBuilder().file("a", b"x" * 5000, mode=0o640)
        upper = LayerBuilder().hardlink("b", "a").hardlink("c", "a").file("d")
        lab.put(image_of(base, upper, LayerBuilder().file("d", b"new")))
        (copied,) = lab.copy(base="1").platforms
        found = lab.arrived().tree()
        assert copied.fallbacks == 1
        assert found[b"b"].links == (b"b", b"c")
        assert (found[b"b"].content, found[b"b"].mode) == (found[b"a"].content, 0o640)
        assert not found[b"a"].links

    def test_a_link_to_a_file_of_a_lower_layer(self, lab: Lab) -> None:
        lower = LayerBuilder().file("a", b"x" * 5000)
        lab.put(image_of(lower, LayerBuilder().hardlink("b", "a")))
        (copied,) = lab.copy(base="none").platforms
        assert copied.fallbacks == 0
        assert lab.arrived().tree() == tree(
            LayerBuilder().file("a", b"x" * 5000).hardlink("b", "a")
        )
