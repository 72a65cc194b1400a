"""Random stacks: the tree is the model's, and a squash of it compares as the same."""

from __future__ import annotations

from squashproxy.verify.compare import compare
from tests.model.batches import BATCH, each_batch
from tests.model.node import compare_trees
from tests.model.squashing import squash_in_process
from tests.model.stacks import random_stack
from tests.verify.unpacking import nodes, unpack

STACKS = 800
ALWAYS = 300
"""So many of the stacks are compared in every run, the others with `--long`."""


@each_batch(STACKS, always=ALWAYS)
def test_a_stack_unpacks_to_the_models_tree(first: int) -> None:
    for seed in range(first, first + BATCH):
        stack = random_stack(seed)
        built = stack.build()
        expected = dict(built.trees[-1])
        found = nodes(unpack(built.tars, chunk=1 + seed * 37))
        if not stack.layers[0][1].root:
            del expected[b""], found[b""]
        assert compare_trees(expected, found) == [], f"seed {seed} of\n{stack}"


@each_batch(STACKS, always=ALWAYS)
def test_a_squashed_stack_shows_no_difference_for_any_number_of_kept_layers(first: int) -> None:
    for seed in range(first, first + BATCH):
        tars = random_stack(seed).build().tars
        source = unpack(tars)
        for kept in range(len(tars)):
            result = unpack([*tars[:kept], squash_in_process(tars, kept)])
            found = compare(source, result).differences
            assert found == (), f"seed {seed}, {kept} layers kept"
