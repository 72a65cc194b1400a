"""Pruning against a model: whatever is dropped from layers, the image looks as it did.

The model (tests/model) shares no code with the scan. A stack that fails is made as small as
possible and printed with its seed: `random_stack(SEED)` gives it again.
"""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Collection, Mapping, Sequence

import pytest

from squashproxy.errors import LimitExceeded, SquashproxyError
from squashproxy.squash.cut import Cut
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.prune import PruneScan
from squashproxy.testing import LayerBuilder
from tests.model.batches import BATCH, each_batch
from tests.model.inode import tree_of
from tests.model.node import Tree, compare_trees
from tests.model.pruning import prune_in_process, scan_in_process
from tests.model.squashing import MemoryLayer
from tests.model.stacks import Stack, random_stack, shrink
from tests.model.untar import Names, apply_layer

STACKS = 600
ALWAYS = 200
"""So many of the stacks are pruned in every run, the others with `--long`."""
CHUNKS = (100, 511, 512, 513, 1537, 65536)


def tree_after(tars: Sequence[bytes], *, root: bool) -> Tree:
    """What the layers unpack to; an unpacker may make directories that are hidden later."""
    names: Names = {}
    for tar in tars:
        names = apply_layer(names, tar, lenient=True, makes_parents=True)
    return {path: node for path, node in tree_of(names).items() if path or root}


def check_pruned(
    tars: Sequence[bytes], cuts: Mapping[int, Cut], rewritten: Collection[int], *, root: bool
) -> None:
    """The same tree, and no layer is larger than it was."""
    pruned = prune_in_process(tars, cuts, rewritten)
    difference = compare_trees(tree_after(tars, root=root), tree_after(pruned, root=root))
    assert not difference, "\n".join(difference)
    assert sum(map(len, pruned)) <= sum(map(len, tars)) + 1024 * len(tars)


def check_stack(stack: Stack) -> None:
    """Every promise of pruning about one stack and every number of kept layers."""
    tars = stack.build().tars
    root = stack.layers[0][1].root
    for kept in range(len(tars)):
        dice = random.Random(kept + sum(map(len, tars)))
        cuts = scan_in_process(tars, kept)
        assert scan_in_process(tars, kept, dice.choice(CHUNKS)) == cuts
        check_pruned(tars, cuts, set(cuts), root=root)
        some = {number for number in cuts if dice.random() < 0.5}
        check_pruned(tars, cuts, some, root=root)
        if kept + 1 < len(tars):
            fewer = scan_in_process(tars[: dice.randrange(kept + 1, len(tars))], kept)
            check_pruned(tars, {**cuts, **fewer}, set(fewer), root=root)


def _problem(stack: Stack) -> str | None:
    try:
        check_stack(stack)
    except (AssertionError, SquashproxyError) as error:
        return str(error)
    return None


@each_batch(STACKS, always=ALWAYS)
def test_random_stacks_look_the_same(first: int) -> None:
    """All layers rewritten, or some, or by what a shorter image (an older version) hides."""
    for seed in range(first, first + BATCH):
        stack = random_stack(seed)
        problem = _problem(stack)
        if problem is not None:
            small = shrink(stack, lambda tried: _problem(tried) is not None)
            pytest.fail(
                f"seed {seed}: {problem}\nas small as possible:\n{small}\n{_problem(small)}"
            )


LOWER = LayerBuilder().directory("d").file("d/old", b"x" * 5000).file("keep", b"k")
LAYERS: dict[str, tuple[list[LayerBuilder], int, str]] = {
    "a deleted file goes, its directory stays": (
        [LOWER, LayerBuilder().whiteout("d/old")], 0, "d keep",
    ),
    "a removed directory stays, its files go": (
        [LOWER, LayerBuilder().whiteout("d")], 0, "d keep",
    ),
    "a replaced file goes": (
        [LOWER, LayerBuilder().file("d/old", b"new")], 0, "d keep",
    ),
    "a file that became a directory becomes a whiteout": (
        [LOWER, LayerBuilder().directory("d/old").file("d/old/f", b"f")], 0, "d d/.wh.old keep",
    ),
    "what an opaque directory hides goes": (
        [LOWER, LayerBuilder().directory("d").opaque("d")], 0, "d keep",
    ),
    "a file that a link of its layer needs stays": (
        [
            LayerBuilder().file("a", b"x" * 900).hardlink("b", "a"),
            LayerBuilder().whiteout("a"),
        ],
        0, "a b",
    ),
    "a lower file goes, though links need the upper one at its path": (
        [
            LayerBuilder().file("a", b"x" * 900).file("k"),
            LayerBuilder().file("a", b"y" * 900).hardlink("b", "a").hardlink("c", "a"),
            LayerBuilder().whiteout("a"),
        ],
        0, "k",
    ),
    "a file whose links are all hidden goes with them": (
        [
            LayerBuilder().file("a", b"x" * 900).hardlink("b", "a").file("c", b""),
            LayerBuilder().whiteout("a").whiteout("b"),
        ],
        0, "c",
    ),
    "a symlink stays where entries lie behind it": (
        [
            LayerBuilder().directory("real").symlink("s", "real").file("s/f", b"f"),
            LayerBuilder().whiteout("s"),
        ],
        0, "real s s/f",
    ),
    "a file that replaced a directory of its layer stays, since a whiteout hides no own entries": (
        [
            LayerBuilder().directory("d").directory("d/e").file("d", b"x" * 900),
            LayerBuilder().directory("d"),
        ],
        0, "d d/e d",
    ),
    "a file that a directory of its layer replaced stays: a whiteout would hide more": (
        [
            LayerBuilder().directory("d").file("d/f", b"f"),
            LayerBuilder().file("d", b"x" * 900).directory("d"),
            LayerBuilder().directory("d"),
        ],
        1, "d d",
    ),
    "a file that stands twice becomes one whiteout": (
        [
            LayerBuilder().file("d", b"x" * 900).file("d", b"y" * 900).file("k"),
            LayerBuilder().directory("d"),
        ],
        0, ".wh.d k",
    ),
    "an entry lies where it says once a directory replaced the symlink above it": (
        [
            LayerBuilder().directory("d").file("d/f", b"f"),
            LayerBuilder().symlink("s", "d").directory("s").file("s/f", b"new"),
        ],
        0, "d d/f",
    ),
    "a whiteout stays, whatever it hides": (
        [
            LayerBuilder().directory("d").file("d/f", b"f"),
            LayerBuilder().whiteout("d/f").file("g", b"g").file("h", b"h"),
            LayerBuilder().whiteout("d").whiteout("g"),
        ],
        1, "d/.wh.f h",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "number", "left"), LAYERS.values(), ids=list(LAYERS))
def test_what_is_left_of_a_layer(layers: list[LayerBuilder], number: int, left: str) -> None:
    tars = [layer.tar() for layer in layers]
    cuts = scan_in_process(tars, 0)
    pruned = prune_in_process(tars, cuts, {number})
    assert " ".join(names_of(pruned[number])) == left


def names_of(tar: bytes) -> list[str]:
    """The names in a tar, in their order."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


def test_a_layer_without_hidden_entries_loses_nothing() -> None:
    tars = [LOWER.tar(), LayerBuilder().file("more", b"m").tar()]
    assert all(cut.is_nothing for cut in scan_in_process(tars, 0).values())


def test_the_base_is_not_read() -> None:
    tars = [LOWER.tar(), LayerBuilder().whiteout("d").tar()]
    assert list(scan_in_process(tars, 1)) == [1]


def test_a_layer_that_is_hidden_as_a_whole_is_left_out() -> None:
    tars = [LOWER.tar(), LayerBuilder().whiteout("d").whiteout("keep").tar()]
    cuts = scan_in_process(tars, 0)
    assert cuts[0].leaves_nothing
    assert prune_in_process(tars, cuts, {0}) == [tars[1]]


@pytest.mark.parametrize(
    ("limit", "words", "setting"),
    [
        pytest.param(MergeOptions(max_entries=3), "3 entries", "`max_entries`", id="entries"),
        pytest.param(
            MergeOptions(max_unpacked=2048), "2048 unpacked bytes", "`max_unpacked`", id="unpacked"
        ),
        pytest.param(
            MergeOptions(max_memory=100),
            "100 bytes to remember",
            "`memory`",
            id="memory",
        ),
    ],
)
def test_past_a_limit_it_stops_and_names_the_setting(
    limit: MergeOptions, words: str, setting: str
) -> None:
    layers = [
        MemoryLayer(f"layer {number}", layer.tar(), 65536)
        for number, layer in enumerate([LOWER, LayerBuilder().whiteout("d").file("x", b"")])
    ]
    with pytest.raises(LimitExceeded) as exceeded:
        PruneScan(layers, limit).run()
    assert str(exceeded.value).endswith(
        f": the image has more than {words}; nothing was pushed; "
        f"raise the limit with {setting} if you trust the image"
    )
