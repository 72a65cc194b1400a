"""The model and its reader agree on every stack, and the reader refuses what it says it does."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Sequence

import pytest

from tests.model.inode import tree_of
from tests.model.node import Kind, compare_trees
from tests.model.stacks import random_stack, shrink
from tests.model.untar import BadLayerError, Names, apply_layer, phantoms, read_tree

Entry = tuple[str, bytes] | tuple[str, bytes, str]


def make_tar(*entries: Entry) -> bytes:
    """A tar of (name, type) entries, with a link name as the third where one is needed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, *link in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "".join(link)
            tar.addfile(info)
    return buffer.getvalue()


DIR, FILE, LINK = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_layers_read_back_give_the_tree_of_the_model(first: int) -> None:
    for seed in range(first, first + 100):
        stack = random_stack(seed)
        built = stack.build()
        names: Names = {}
        for tar, tree in zip(built.tars, built.trees, strict=True):
            names = apply_layer(names, tar, lenient=True)
            expected, found = dict(tree), tree_of(names)
            if not stack.layers[0][1].root:
                expected.pop(b"")
                found.pop(b"", None)
            assert compare_trees(expected, found) == [], f"seed {seed}"


def test_stacks_hold_all_that_layers_can_hold() -> None:
    kinds: set[Kind] = set()
    linked = replaced = 0
    for seed in range(200):
        trees = random_stack(seed).build().trees
        for before, after in itertools.pairwise(trees):
            kinds |= {node.kind for node in after.values()}
            linked += any(node.links for node in after.values())
            replaced += any(
                before[path].kind is Kind.DIRECTORY and after[path].kind is not Kind.DIRECTORY
                for path in before.keys() & after.keys()
            )
    assert kinds == set(Kind) - {Kind.PHANTOM}
    assert linked > 100
    assert replaced > 20


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        pytest.param([[("a", FILE), ("./a", FILE)]], "stands twice", id="a path twice"),
        pytest.param([[(".wh.a", FILE), ("./.wh.a", FILE)]], "stands twice", id="a whiteout twice"),
        pytest.param([[("b", LINK, "a")]], "before its hard link", id="a link to nothing"),
        pytest.param(
            [[("b", LINK, "a"), ("a", FILE)]], "before its hard link", id="a link before its target"
        ),
        pytest.param(
            [[("a", FILE)], [("b", LINK, "a")]],
            "before its hard link",
            id="a link to a lower layer, which overlay unpackers do not find",
        ),
        pytest.param(
            [[("d", DIR), ("d/x", FILE)], [(".wh.d", FILE), ("d", DIR)]],
            "an entry and a whiteout",
            id="a whiteout beside its directory, which overlay unpackers undo",
        ),
        pytest.param([[("d/x", FILE)]], "no entry for the directories", id="an implied directory"),
        pytest.param([[("d", FILE), ("d/x", FILE)]], "no directory", id="a child of a file"),
    ],
)
def test_the_reader_refuses_what_unpackers_refuse(
    layers: Sequence[Sequence[Entry]], message: str
) -> None:
    with pytest.raises(BadLayerError, match=message):
        read_tree(make_tar(*entries) for entries in layers)


@pytest.mark.parametrize(
    ("upper", "seen"),
    [
        pytest.param([(".wh.d", FILE)], {b"f"}, id="whiteout of a directory"),
        pytest.param([("d/.wh.x", FILE)], {b"d", b"f"}, id="whiteout of a file"),
        pytest.param(
            [("d/y", FILE), ("d", DIR), ("d/.wh..wh..opq", FILE)],
            {b"d", b"d/y", b"f"},
            id="an opaque marker at the end hides what is lower only",
        ),
        pytest.param([("d", FILE)], {b"d", b"f"}, id="a file in place of a directory"),
        pytest.param([("f", DIR), ("f/x", FILE)], {b"d", b"d/x", b"f", b"f/x"}, id="the reverse"),
        pytest.param([("d", DIR)], {b"d", b"d/x", b"f"}, id="a directory keeps what is lower"),
    ],
)
def test_the_reader_hides(upper: Sequence[Entry], seen: set[bytes]) -> None:
    lower = make_tar(("d", DIR), ("d/x", FILE), ("f", FILE))
    assert read_tree([lower, make_tar(*upper)]).keys() == seen


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        pytest.param([("d/.wh.x", FILE)], [], id="in a directory of the base"),
        pytest.param([("n", DIR), ("n/.wh.x", FILE)], [b"n/.wh.x"], id="in a new directory"),
        pytest.param(
            [("d", DIR), ("d/.wh..wh..opq", FILE), ("d/.wh.x", FILE)],
            [b"d/.wh.x"],
            id="in an opaque directory",
        ),
    ],
)
def test_phantoms_are_whiteouts_where_nothing_merges(
    upper: Sequence[Entry], expected: list[bytes]
) -> None:
    base = apply_layer({}, make_tar(("d", DIR), ("d/x", FILE)))
    assert phantoms(base, make_tar(*upper)) == expected


def test_a_failing_stack_shrinks_to_the_step_that_matters() -> None:
    stacks = map(random_stack, itertools.count())
    stack = next(stack for stack in stacks if len(stack.build().trees[-1]) > 5)
    name = min(path for path in stack.build().trees[-1] if path)
    small = shrink(stack, lambda smaller: name in smaller.build().trees[-1])
    assert [len(steps) for steps, _ in small.layers] == [1], str(small)
