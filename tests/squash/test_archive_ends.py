"""Where a tar ends: with two zero blocks, one, none, more, with rubbish, or too early."""

from __future__ import annotations

import pytest

from squashproxy.errors import BadArchive
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import LayerBuilder as Layer
from tests.model.untar import trailing_bytes
from tests.squash.trap import squash

END = bytes(1024)
LAYER = Layer().file("a", b"data" * 200).hardlink("b", "a").file("c" * 120, b"c")

ENDS = {
    "two zero blocks": LAYER.tar(),
    "one zero block": LAYER.tar(end_blocks=1),
    "none": LAYER.tar(end_blocks=0),
    "many": LAYER.tar(end_blocks=99),
    "a record of GNU tar": LAYER.tar(record_size=10240),
    "a record cut short": LAYER.tar() + bytes(100),
    "one zero block, not whole": LAYER.tar(end_blocks=0) + bytes(300),
    "rubbish behind the end": LAYER.tar() + b"rubbish" * 300,
    "another archive behind the end": LAYER.tar() + Layer().file("hidden").tar(),
}


@pytest.mark.parametrize("chunk", [1, 511, 512, 1024, 65536])
@pytest.mark.parametrize("end", ENDS)
def test_every_end_is_cut_and_one_pair_of_zero_blocks_ends_the_result(end: str, chunk: int) -> None:
    bottom = Layer().file("bottom").tar(end_blocks=0)
    for tars in ([ENDS[end]], [bottom, ENDS[end]], [ENDS[end], bottom]):
        result = squash(tars, MergeOptions(), chunk)
        assert [name for name in result.entries if name != "bottom"] == ["a", "b", "c" * 120]
        assert trailing_bytes(result.tar) == END
        assert result.report.hidden_bytes == 0


EMPTY = {
    "no bytes at all": b"",
    "two zero blocks": END,
    "one zero block": bytes(512),
    "a whole record": bytes(10240),
}


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize("chunk", [1, 512, 65536])
def test_an_empty_layer_adds_nothing(empty: str, chunk: int) -> None:
    layer = LAYER.tar()
    assert squash([EMPTY[empty]], MergeOptions(), chunk).tar == b""
    assert squash([layer, EMPTY[empty]], MergeOptions(kept=1), chunk).tar == b""
    assert squash([EMPTY[empty], layer, EMPTY[empty]], MergeOptions(), chunk).tar == layer


TAR = LAYER.tar(end_blocks=0)
CUTS = {
    "in the first header": 300,
    "behind a header, its payload missing": 512,
    "in a payload": 700,
    "in a payload's padding": 512 + 800 + 1,
    "in a pax header's payload": len(TAR) - 3 * 512 + 10,
    "behind a pax header, its entry missing": len(TAR) - 2 * 512,
    "in the last header": len(TAR) - 700,
    "in the last payload": len(TAR) - 511,
}


@pytest.mark.parametrize("chunk", [1, 512, 65536])
@pytest.mark.parametrize("cut", CUTS)
def test_a_tar_that_ends_within_an_entry_is_refused(cut: str, chunk: int) -> None:
    for tars in ([TAR[: CUTS[cut]]], [Layer().file("k").tar(), TAR[: CUTS[cut]]]):
        with pytest.raises(BadArchive, match=f"layer {len(tars) - 1} is cut short"):
            squash(tars, MergeOptions(), chunk)


def test_a_damaged_header_is_refused_with_its_place() -> None:
    damaged = TAR[:1540] + b"\xff" + TAR[1541:]
    with pytest.raises(BadArchive, match=r"checksum is wrong, at byte 1536 of its tar"):
        squash([Layer().file("k").tar(), damaged])
