"""Earlier results of pruning: whatever is taken as it is, the image looks as it did."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Mapping, Sequence

import pytest

from squashproxy.digest import digest_of
from squashproxy.layer_memory.pruned_result import Ordinals, PrunedResult, is_subset, left_in
from squashproxy.oci.mediatypes import Compression
from squashproxy.squash.cut import Cut, iter_pruned
from squashproxy.testing import LayerBuilder
from tests.model.inode import tree_of
from tests.model.node import Tree, compare_trees
from tests.model.pruning import scan_in_process
from tests.model.squashing import MemoryLayer
from tests.model.stacks import random_stack
from tests.model.untar import BadLayerError, Names, apply_layer

STACKS = 160
BATCH = 40


def result_of(tar: bytes, cut: Cut) -> PrunedResult:
    pruned = pruned_by(tar, cut)
    return PrunedResult(
        source=digest_of(tar),
        source_diff_id=digest_of(tar),
        dropped=Ordinals(cut.dropped),
        whiteouts=Ordinals(cut.whiteouts),
        hidden_bytes=cut.hidden_bytes,
        compression=Compression.NONE,
        digest=digest_of(pruned),
        size=len(pruned),
        diff_id=digest_of(pruned),
        unpacked=len(pruned),
    )


def pruned_by(tar: bytes, cut: Cut) -> bytes:
    layer = MemoryLayer("a layer", tar, 65536)
    return b"".join(bytes(span.data) for span in iter_pruned(layer, cut, 0))


def tree_after(tars: Sequence[bytes], *, root: bool) -> Tree:
    names: Names = {}
    for tar in tars:
        names = apply_layer(names, tar, lenient=True, makes_parents=True)
    return {path: node for path, node in tree_of(names).items() if path or root}


def assemble(
    tars: Sequence[bytes], cuts: Mapping[int, Cut], dice: random.Random, reused: Mapping[int, bytes]
) -> list[bytes]:
    """The pruned image, in which some layers are earlier results, some new ones, some kept."""
    layers = []
    is_clear = True
    for number in reversed(range(len(tars))):
        cut = cuts[number]
        if number in reused:
            layers.append(reused[number])
            is_clear = False
        elif cut.is_nothing or dice.random() < 0.3:
            layers.append(tars[number])
            is_clear &= not cut.holds_hidden
        elif not (cut.leaves_nothing and is_clear):
            layers.append(pruned_by(tars[number], cut))
            is_clear &= not (cut.unseen or cut.held_back)
    return layers[::-1]


def is_sound(tars: Sequence[bytes]) -> bool:
    """Whether unpackers agree on the image; layers that were put together may not fit."""
    try:
        tree_after(tars, root=True)
    except BadLayerError:
        return False
    return True


def versions(seed: int) -> Iterator[tuple[bytes, ...]]:
    """Images with layers in common, whose upper layers hide different things."""
    dice = random.Random(seed)
    tars = random_stack(seed).build().tars
    other = random_stack(seed, disputed=False).build().tars
    yield tars
    for length in range(2, len(tars)):
        yield tars[:length]
    if len(tars) > 2:
        left_out = dice.randrange(1, len(tars) - 1)
        yield (*tars[:left_out], *tars[left_out + 1 :])
    names = sorted(path for path in random_stack(seed).build().trees[-1] if path)
    for _ in range(2):
        upper = LayerBuilder()
        for path in dice.sample(names, min(len(names), 3)):
            dice.choice((upper.whiteout, upper.file, upper.directory))(path)
        yield (*tars[:2], upper.tar())
    yield (tars[0], *other[1:])


@pytest.mark.parametrize("first", range(0, STACKS, BATCH))
def test_a_subset_of_what_is_hidden_gives_the_same_tree(first: int) -> None:
    taken = refused = 0
    for seed in range(first, first + BATCH):
        root = random_stack(seed).layers[0][1].root
        dice = random.Random(seed)
        images = [image for image in versions(seed) if is_sound(image)]
        all_cuts = [scan_in_process(image, 0) for image in images]
        for image, cuts in zip(images, all_cuts, strict=True):
            expected = tree_after(image, root=root)
            for earlier, earlier_cuts in zip(images, all_cuts, strict=True):
                reused = {}
                for number in range(min(len(image), len(earlier))):
                    cut = earlier_cuts[number]
                    if image[number] != earlier[number] or cut.is_nothing or cut == cuts[number]:
                        continue
                    if is_subset(result_of(image[number], cut), cuts[number]):
                        reused[number] = pruned_by(image[number], cut)
                        taken += 1
                    else:
                        refused += 1
                if reused:
                    pruned = assemble(image, cuts, dice, reused)
                    difference = compare_trees(expected, tree_after(pruned, root=root))
                    assert not difference, (seed, list(reused), "\n".join(difference))
    assert taken > 10 * BATCH
    assert refused > 10 * BATCH


def cut_of(dropped: Sequence[int], whiteouts: Sequence[int] = (), size: int = 1024) -> Cut:
    hidden = size * (len(dropped) + len(whiteouts)) - 512 * len(whiteouts)
    paths = {each: b".wh.%d" % each for each in whiteouts}
    entries = len(dropped) + len(whiteouts)
    return Cut(array("q", dropped), paths, hidden, entries, 0, 0, 100)


CASES: dict[str, tuple[Cut, Cut, bool]] = {
    "the same": (cut_of([1, 5], [7]), cut_of([1, 5], [7]), True),
    "less was hidden then": (cut_of([1]), cut_of([1, 5], [7]), True),
    "more was hidden then": (cut_of([1, 5, 6]), cut_of([1, 5]), False),
    "something else was hidden": (cut_of([4]), cut_of([1, 5]), False),
    "a whiteout that can be dropped now": (cut_of([1], [7]), cut_of([1, 7]), True),
    "dropped what has to be a whiteout now": (cut_of([7]), cut_of([1], [7]), False),
    "a whiteout of what is visible now": (cut_of([1], [7]), cut_of([1, 5]), False),
}


@pytest.mark.parametrize(("earlier", "now", "is_right"), CASES.values(), ids=list(CASES))
def test_which_results_will_do(earlier: Cut, now: Cut, *, is_right: bool) -> None:
    result = result_of(LayerBuilder().tar(), earlier)
    assert is_subset(result, now) == is_right


def test_what_a_result_leaves_in_is_told() -> None:
    result = result_of(LayerBuilder().tar(), cut_of([1], [7]))
    assert left_in(result, cut_of([1, 3, 7, 8], [9])) == Ordinals([3, 8, 9])
    assert left_in(result, cut_of([1], [7])) == Ordinals([])


def test_what_a_missing_whiteout_would_show() -> None:
    """The reason for the third rule: the lowest layer's file would come back."""
    lowest = LayerBuilder().directory("d").file("d/old", b"old").tar()
    middle = LayerBuilder().file("d", b"x" * 900).tar()
    removed = LayerBuilder().whiteout("d").tar()
    replaced = LayerBuilder().directory("d").file("d/new", b"new").tar()
    earlier = scan_in_process((lowest, middle, removed), 0)[1]
    now = scan_in_process((lowest, middle, replaced), 0)[1]
    assert not is_subset(result_of(middle, earlier), now)
    assert is_subset(result_of(middle, now), earlier)
    right = tree_after((lowest, pruned_by(middle, now), replaced), root=False)
    wrong = tree_after((lowest, pruned_by(middle, earlier), replaced), root=False)
    assert right == tree_after((lowest, middle, replaced), root=False)
    assert compare_trees(right, wrong)
