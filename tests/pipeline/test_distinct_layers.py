"""Distinct bytes: a layer counts once, however many images have it."""

from __future__ import annotations

import pytest

from squashproxy.digest import Digest
from squashproxy.pipeline.distinct_layers import (
    DistinctBytes,
    distinct_bytes,
    distinct_layers,
    parse_distinct,
)
from squashproxy.pipeline.results import LayerAction, LayerCopy, NewLayerCopy, PlatformCopy

BASE, KEPT, PRUNED = LayerAction.BASE, LayerAction.KEPT, LayerAction.PRUNED
DROPPED, REUSED, SQUASHED = LayerAction.DROPPED, LayerAction.REUSED, LayerAction.SQUASHED
Layer = tuple[str, str | None, LayerAction, int, int]
Image = tuple[list[Layer], list[tuple[str, int]]]


def platform(image: Image) -> PlatformCopy:
    """A platform with these layers, and with what was written new."""
    layers = tuple(
        LayerCopy(Digest(source), None if digest is None else Digest(digest), action, before, after)
        for source, digest, action, before, after in image[0]
    )
    new = tuple(NewLayerCopy(Digest(digest), size, size) for digest, size in image[1])
    zeros = (0,) * 14
    return PlatformCopy("linux/amd64", "s", "d", *zeros, layers=layers, new_layers=new)


CASES: dict[str, tuple[list[Image], tuple[int, int]]] = {
    "nothing": ([], (0, 0)),
    "an image without layers": ([([], [])], (0, 0)),
    "shared layers count once": (
        [
            ([("a", "a", BASE, 100, 100), ("b", "b", KEPT, 7, 7)], []),
            ([("a", "a", BASE, 100, 100), ("c", "c", KEPT, 5, 5)], []),
        ],
        (112, 112),
    ),
    "a layer that an image has twice counts once": (
        [([("a", "a", KEPT, 100, 100), ("a", "a", KEPT, 100, 100)], [])],
        (100, 100),
    ),
    "squashing ends the sharing": (
        [
            ([("a", "x", SQUASHED, 100, 103), ("b", "x", SQUASHED, 7, 0)], [("x", 103)]),
            ([("a", "y", SQUASHED, 100, 102), ("c", "y", SQUASHED, 5, 0)], [("y", 102)]),
        ],
        (112, 205),
    ),
    "pruning keeps it": (
        [
            ([("a", "p", PRUNED, 100, 90), ("b", "b", KEPT, 7, 7)], [("p", 90)]),
            ([("a", "p", REUSED, 100, 90), ("c", "c", KEPT, 5, 5)], []),
        ],
        (112, 102),
    ),
    "a dropped layer is in no result": (
        [([("a", "a", BASE, 100, 100), ("b", None, DROPPED, 9, 0)], [])],
        (109, 100),
    ),
    "a squash of which nothing is left": ([([("a", None, SQUASHED, 9, 0)], [])], (9, 0)),
    "the parts of a squash that was cut": (
        [
            (
                [("a", "x", SQUASHED, 100, 95), ("b", "x", SQUASHED, 7, 0)],
                [("x", 50), ("y", 45)],
            )
        ],
        (107, 95),
    ),
    "a squashed base of fewer layers": (
        [
            ([("a", "x", SQUASHED, 100, 80), ("b", "x", SQUASHED, 50, 0)], [("x", 80)]),
            ([("a", "x", BASE, 100, 80), ("b", "x", BASE, 50, 0), ("c", "c", KEPT, 5, 5)], []),
        ],
        (155, 85),
    ),
    "a squashed base of more layers, which is there itself": (
        [
            ([("a", "x", SQUASHED, 100, 80)], [("x", 50), ("y", 30)]),
            ([("a", "x", BASE, 100, 80), ("c", "c", KEPT, 5, 5)], []),
        ],
        (105, 85),
    ),
    "a squashed base of more layers, which is elsewhere": (
        [
            ([("a", "x", BASE, 100, 80), ("b", "b", KEPT, 7, 7)], []),
            ([("a", "x", BASE, 100, 80), ("c", "c", KEPT, 5, 5)], []),
        ],
        (112, 92),
    ),
}


@pytest.mark.parametrize(("images", "sizes"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("backwards", [False, True])
def test_bytes_in_the_target(
    images: list[Image], sizes: tuple[int, int], *, backwards: bool
) -> None:
    order = list(reversed(images)) if backwards else images
    found = [distinct_layers([platform(each)]) for each in order]
    assert distinct_bytes(found) == DistinctBytes(*sizes)
    assert [parse_distinct(each.to_json()) for each in found] == found


def test_platforms_of_an_image_share_layers_too() -> None:
    shared: Image = ([("a", "a", BASE, 100, 100)], [])
    layers = distinct_layers([platform(shared), platform(shared)])
    assert distinct_bytes([layers]) == DistinctBytes(100, 100)
