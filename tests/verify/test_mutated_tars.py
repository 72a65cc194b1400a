"""Mutated tars: copy and verify read them or refuse them, both in the same way, and never crash."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from squashproxy.errors import SquashproxyError
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing.headers import with_checksum
from squashproxy.verify.compare import compare
from squashproxy.verify.tree import Tree
from tests.squash.trap import squash
from tests.verify.odd_tars import END, HOLES, ODD
from tests.verify.unpacking import unpack

SMALL = [tar for tar in (*(tar for tar, _ in ODD.values()), *HOLES.values()) if len(tar) < 6000]
KINDS = b"0123456LKxgSX7\0"
SIZES = (b"\xff" * 12, b"\x80" + bytes(11), bytes(12), b" 12 " + bytes(8), b"%011o\0" % 700)
BYTES = (0, 32, 0x30, 0x37, 0x39, 0x80, 0xFF)
BLOCK = 512


def mutated(chance: random.Random) -> bytes:
    """Two odd tars in one, with some fields changed, mostly under a right checksum."""
    data = bytearray(chance.choice(SMALL) + chance.choice(SMALL) + END)
    for _ in range(chance.randint(1, 3)):
        block = chance.randrange(len(data) // BLOCK) * BLOCK
        match chance.randrange(6):
            case 0:
                data[block + 156] = chance.choice(KINDS)
            case 1:
                data[block + 124 : block + 136] = chance.choice(SIZES)
            case 2:
                del data[block : block + BLOCK]
            case _:
                data[chance.randrange(len(data))] = chance.choice(BYTES)
    if chance.random() < 0.8:
        for at in range(0, len(data) - BLOCK + 1, BLOCK):
            if data[at + 257 : at + 262] == b"ustar":
                data[at : at + BLOCK] = with_checksum(bytes(data[at : at + BLOCK]))
    return bytes(data)


def tree_or_refusal(read: Callable[[], Tree]) -> Tree | None:
    """The tree; None for a tar that is refused. Any other error is a failure."""
    try:
        return read()
    except SquashproxyError:
        return None


@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param(range(300), id="some"),
        pytest.param(range(300, 20_000), id="many", marks=pytest.mark.long),
    ],
)
def test_copy_and_verify_agree(seeds: range) -> None:
    agreed = 0
    for seed in seeds:
        tar = mutated(random.Random(seed))
        before = tree_or_refusal(lambda tar=tar: unpack([tar]))  # type: ignore[misc]
        after = tree_or_refusal(lambda tar=tar: unpack([squash([tar], MergeOptions()).tar]))  # type: ignore[misc]
        assert (before is None) == (after is None), f"seed {seed}"
        if before is not None and after is not None:
            assert not compare(before, after).differences, f"seed {seed}"
            agreed += 1
    assert agreed > len(seeds) // 20, "enough are read"
