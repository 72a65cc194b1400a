"""Split layers against a model: random stacks, squashed into several, must look as they did."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator, Sequence

import pytest

from squashproxy.errors import SquashproxyError
from squashproxy.squash import recent_hidden
from tests.model.inode import tree_of
from tests.model.node import Tree, ancestors, compare_trees
from tests.model.squashing import split_in_process, squash_in_process
from tests.model.stacks import Built, Stack, random_stack, shrink
from tests.model.untar import Names, apply_layer, phantoms, trailing_bytes

STACKS = 200
BATCH = 100
END = bytes(1024)
SIZES = (1, 1024, 2048, 4096, 8192)
"""From one entry in each part to a few parts in all."""


@pytest.fixture(autouse=True)
def _small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small stacks lie within one chunk, which would count as a whole."""
    monkeypatch.setattr(recent_hidden, "CELL", 512)


def check_split(built: Built, kept: int, base: Names, *, root: bool) -> None:
    """Every promise of the splitter about one stack and one number of kept layers.

    The model refuses a hard link without a file in its own tar, and a path that stands twice.
    """
    chance = random.Random(sum(map(len, built.tars)) + kept)
    size = chance.choice(SIZES)
    parts = split_in_process(built.tars, kept, size)
    names = base
    for part in parts:
        assert trailing_bytes(part) == END
        assert phantoms(names, part) == [], "a whiteout becomes a name that cannot be opened"
        names = apply_layer(names, part, makes_parents=True)
    difference = compare_trees(_seen(built.trees[-1], root), _seen(tree_of(names), root))
    assert not difference, "\n".join(difference)
    assert undescribed(parts) == []
    assert bool(parts) == bool(squash_in_process(built.tars, kept))
    chunk = chance.choice((100, 511, 512, 513, 1537, 4096))
    assert split_in_process(built.tars, kept, size, chunk) == parts, f"differs in chunks of {chunk}"


def undescribed(parts: Sequence[bytes]) -> list[bytes]:
    """Directories whose uppermost part makes them without their entry, which another part has.

    Unpackers that unpack each layer by itself give them mode 0755 there, and the uppermost counts.
    """
    described: list[set[bytes]] = []
    held: list[set[bytes]] = []
    for part in parts:
        with tarfile.open(fileobj=io.BytesIO(part), encoding="utf-8") as archive:
            members = [(_path(info), info.isdir()) for info in archive]
        described.append({path for path, is_directory in members if is_directory})
        held.append({above for path, _ in members for above in ancestors(path)})
    return [
        directory
        for directory in sorted(set().union(*described))
        if not next(
            directory in there
            for there, below in zip(reversed(described), reversed(held), strict=True)
            if directory in there | below
        )
    ]


def _path(info: tarfile.TarInfo) -> bytes:
    path = info.name.encode("utf-8", "surrogateescape")
    return b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))


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
            check_split(built, kept, base, root=root)
        except (AssertionError, SquashproxyError) as error:
            return f"with {kept} layers kept: {error}"
    return None


@pytest.mark.parametrize("first", range(0, STACKS, BATCH))
def test_a_split_stack_looks_as_it_did_for_every_number_of_kept_layers(first: int) -> None:
    for seed in range(first, first + BATCH):
        stack = random_stack(seed)
        if _problem(stack) is not None:
            small = shrink(stack, lambda smaller: _problem(smaller) is not None)
            pytest.fail(f"seed {seed}, made small:\n{small}\n{_problem(small)}", pytrace=False)
