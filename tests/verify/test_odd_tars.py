"""Copy and verify agree about every tar: what one refuses, the other refuses, too."""

from __future__ import annotations

import pytest

from squashproxy.errors import BadArchive, LimitExceeded
from squashproxy.limits import Limits
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import LayerBuilder
from squashproxy.verify.compare import compare
from squashproxy.verify.content import ZEROS_READ
from squashproxy.verify.spent import Spent
from tests.squash.trap import squash
from tests.verify.odd_tars import END, HOLES, ODD
from tests.verify.unpacking import nodes, unpack

BELOW = LayerBuilder().directory("d").file("d/x", b"lower").tar()


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("chunk", [1000, 65_536])
def test_copy_and_verify_give_the_same_answer(name: str, chunk: int) -> None:
    tar, refusal = ODD[name]
    layers = [BELOW, tar + END]
    if refusal is None:
        result = squash(layers, MergeOptions(), chunk).tar
        assert not compare(unpack(layers, chunk), unpack([result])).differences
        return
    for read in (squash, unpack):
        with pytest.raises(BadArchive) as refused:
            read(layers, chunk=chunk)
        assert refusal in str(refused.value)
        assert len(str(refused.value)) < 600, "a long name is cut"


@pytest.mark.parametrize("name", HOLES)
def test_holes_are_compared_as_holes(name: str) -> None:
    layers = [HOLES[name] + END]
    result = squash(layers, MergeOptions()).tar
    tree = unpack(layers)
    assert not compare(tree, unpack([result])).differences
    assert nodes(tree)[b"s"].size == (1 << 63) - 1


@pytest.mark.parametrize("name", HOLES)
def test_what_a_sparse_file_claims_counts_as_unpacked(name: str) -> None:
    with pytest.raises(LimitExceeded, match="`max_unpacked`"):
        squash([HOLES[name] + END], MergeOptions(max_unpacked=1 << 40))
    spent = Spent(Limits(), 1 << 20)
    with pytest.raises(LimitExceeded, match="`max_unpacked`"):
        spent.note_hole((1 << 63) - 513, "layer 1")


@pytest.mark.parametrize("at", [0, 4096, 5000, ZEROS_READ, 3 * ZEROS_READ + 1])
def test_a_file_has_one_digest_however_it_is_stored(at: int) -> None:
    """With few zeros and with many, in blocks and beside them."""
    size = 4 * ZEROS_READ
    content = bytearray(size)
    content[at : at + 512] = b"data" * 128
    sparse = LayerBuilder().sparse("f", [(at, b"data" * 128)], size)
    dense = LayerBuilder().file("f", bytes(content))
    found = [
        nodes(unpack([layer], chunk))[b"f"].content
        for layer in (sparse, dense)
        for chunk in (999, 65_536)
    ]
    assert len(set(found)) == 1
    moved = LayerBuilder().sparse("f", [(at + 1, b"data" * 128)], size)
    assert nodes(unpack([moved]))[b"f"].content != found[0]
