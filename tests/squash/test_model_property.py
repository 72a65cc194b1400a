"""The merge against a model: random stacks of layers must look, when squashed, as they did.

The model (tests/model) shares no code with the merge. A stack that fails is made as small as
possible and printed with its seed: `random_stack(SEED)` gives it again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from squashproxy.errors import SquashproxyError
from squashproxy.squash import recent_hidden
from tests.model.batches import BATCH, each_batch
from tests.model.inode import tree_of
from tests.model.node import Tree, compare_trees
from tests.model.squashing import squash_in_process
from tests.model.stacks import Built, Stack, random_stack, shrink
from tests.model.untar import (
    Names,
    apply_layer,
    phantoms,
    trailing_bytes,
    whiteouts,
)

STACKS = 2400
ALWAYS = 400
"""So many of the stacks are squashed in every run, the others with `--long`."""
END = bytes(1024)
ROOMS = (0, 1024, 3072, 6 << 20)
"""For hidden files that links may take over at once: none, a few, or all."""


@pytest.fixture(autouse=True)
def _small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small stacks lie within one chunk, which would count as a whole."""
    monkeypatch.setattr(recent_hidden, "CELL", 512)


def check_squashed(built: Built, kept: int, base: Names, *, root: bool) -> None:
    """Every promise of the merge about one stack and one number of kept layers."""
    room = random.Random(sum(map(len, built.tars))).choice(ROOMS)
    merged = squash_in_process(built.tars, kept, recent_hidden_bytes=room)
    assert not merged or trailing_bytes(merged) == END
    if kept == 0:
        assert whiteouts(merged) == []
    assert phantoms(base, merged) == [], "a whiteout becomes a name that cannot be opened"
    found = tree_of(apply_layer(base, merged))
    difference = compare_trees(_seen(built.trees[-1], root), _seen(found, root))
    assert not difference, "\n".join(difference)
    chunk = random.Random(len(merged)).choice((100, 511, 512, 513, 1537, 4096))
    assert squash_in_process(built.tars, kept, chunk, room) == merged, (
        f"differs in chunks of {chunk}"
    )


def _seen(tree: Tree, root: bool) -> Tree:
    return tree if root else {path: node for path, node in tree.items() if path}


def _bases(tars: Sequence[bytes]) -> Iterator[tuple[int, Names]]:
    base: Names = {}
    for kept, tar in enumerate(tars):
        yield kept, base
        base = apply_layer(base, tar, lenient=True)


def _problem(stack: Stack) -> str | None:
    built = stack.build()
    root = stack.layers[0][1].root
    for kept, base in _bases(built.tars):
        try:
            check_squashed(built, kept, base, root=root)
        except (AssertionError, SquashproxyError) as error:
            return f"with {kept} layers kept: {error}"
    return None


def _explain(seed: int, stack: Stack) -> str:
    small = shrink(stack, lambda smaller: _problem(smaller) is not None)
    return f"seed {seed}, made small:\n{small}\n{_problem(small)}"


@each_batch(STACKS, always=ALWAYS)
def test_a_squashed_stack_looks_as_it_did_for_every_number_of_kept_layers(first: int) -> None:
    for seed in range(first, first + BATCH):
        print(f"seed {seed}")  # noqa: T201 - names the seed of a crash, pytest shows it
        stack = random_stack(seed)
        if _problem(stack) is not None:
            pytest.fail(_explain(seed, stack), pytrace=False)


def test_every_chunk_size_gives_the_same_bytes() -> None:
    for seed in range(10):
        tars = random_stack(seed).build().tars
        merged = squash_in_process(tars, 1)
        for chunk in (1, 3, 513):
            assert squash_in_process(tars, 1, chunk) == merged, f"seed {seed}, chunks of {chunk}"
