"""The demo's witness knows what overlay file systems do, and sees every kind of difference."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from squashproxy.demo.trees import differences, unpack
from squashproxy.testing import LayerBuilder

BASE = LayerBuilder().directory("d").file("d/a", b"one").file("d/b", b"two").file("c", b"three")


@pytest.mark.parametrize(
    ("top", "paths"),
    [
        pytest.param(LayerBuilder().whiteout("c"), {"d", "d/a", "d/b"}, id="whiteout-of-a-file"),
        pytest.param(LayerBuilder().whiteout("d"), {"c"}, id="whiteout-of-a-folder"),
        pytest.param(LayerBuilder().opaque("d"), {"c", "d"}, id="opaque"),
        pytest.param(LayerBuilder().file("d", b""), {"c", "d"}, id="file-over-folder"),
        pytest.param(
            LayerBuilder().whiteout("d").directory("d").file("d/y"),
            {"c", "d", "d/y"},
            id="whiteout-then-new-folder",
        ),
        pytest.param(
            LayerBuilder().directory("d").file("d/y").opaque("d"),
            {"c", "d", "d/y"},
            id="opaque-after-its-folder",
        ),
        pytest.param(
            LayerBuilder().hardlink("e", "d/a").whiteout("c"),
            {"d", "d/a", "d/b", "e"},
            id="link-into-a-lower-layer",
        ),
    ],
)
def test_what_two_layers_unpack_to(top: LayerBuilder, paths: set[str]) -> None:
    assert set(unpack([BASE.tar(), top.tar()])) == paths


def test_compressed_and_plain_layers_are_the_same() -> None:
    assert not differences(unpack([BASE.tar()]), unpack([gzip.compress(BASE.tar())]))


def test_a_link_outlives_its_first_name() -> None:
    linked = LayerBuilder().file("one", b"data").hardlink("two", "one")
    left = unpack([linked.tar(), LayerBuilder().whiteout("one").tar()])
    plain = unpack([LayerBuilder().file("two", b"data").tar()])
    assert not differences(left, plain)


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", b"2"), ("mode", 0o600), ("owner", (1, 0)), ("mtime", 1), ("content", "other")],
)
def test_each_field_makes_a_difference(field: str, value: object) -> None:
    tree = unpack([BASE.tar()])
    node = replace(tree["d/a"], **{field: value})  # type: ignore[arg-type]  # one field of each type
    changed = {**tree, "d/a": node}
    (sentence,) = differences(tree, changed)
    assert sentence.startswith("d/a: ")


def test_a_missing_path_and_a_new_one_make_a_difference() -> None:
    tree = unpack([BASE.tar()])
    less = {path: node for path, node in tree.items() if path != "c"}
    assert differences(tree, less) == ["c: only in the source"]
    assert differences(less, tree) == ["c: only in the result"]


def test_a_copy_instead_of_a_hard_link_makes_a_difference() -> None:
    linked = unpack([LayerBuilder().file("a", b"x").hardlink("b", "a").tar()])
    copied = unpack([LayerBuilder().file("a", b"x").file("b", b"x").tar()])
    assert differences(linked, copied) == [
        "a: its hard links differ",
        "b: its hard links differ",
    ]
