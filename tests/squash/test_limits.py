"""Limits: at the limit all is well, one past it the merge stops and names the setting."""

from __future__ import annotations

import pytest

from squashproxy.errors import LimitExceeded
from squashproxy.squash.layer import MergeOptions
from squashproxy.testing import LayerBuilder as Layer
from tests.squash.trap import squash

TARS = [
    Layer().file("base", b"x" * 5000).tar(),
    Layer().file("a", b"1").file("b", b"2").tar(),
    Layer().file("c", b"3").file("a", b"4").whiteout("b").tar(),
]
ENTRIES = 5
UNPACKED = len(TARS[1]) + len(TARS[2])


@pytest.mark.parametrize("chunk", [512, 65536])
def test_limits_count_the_layers_above_the_base_and_hold_at_the_limit(chunk: int) -> None:
    options = MergeOptions(kept=1, max_entries=ENTRIES, max_unpacked=UNPACKED, max_memory=10_000)
    report = squash(TARS, options, chunk).report
    assert report.entries == ENTRIES
    assert report.unpacked == UNPACKED


LIMITS = {
    "entries": (MergeOptions(kept=1, max_entries=ENTRIES - 1), "4 entries", "`max_entries`"),
    "unpacked": (
        MergeOptions(kept=1, max_unpacked=UNPACKED - 1),
        f"{UNPACKED - 1} unpacked bytes",
        "`max_unpacked`",
    ),
    "memory": (MergeOptions(kept=1, max_memory=300), "300 bytes", "`memory`"),
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("chunk", [1, 512, 65536])
def test_past_a_limit_the_merge_stops_and_names_the_setting(limit: str, chunk: int) -> None:
    options, words, setting = LIMITS[limit]
    with pytest.raises(LimitExceeded) as exceeded:
        squash(TARS, options, chunk)
    assert f"the image has more than {words}" in str(exceeded.value)
    assert f"raise the limit with {setting} " in str(exceeded.value)


def test_many_paths_in_many_layers_pass_the_memory_limit() -> None:
    tars = []
    for number in range(5):
        layer = Layer()
        for entry in range(100):
            layer.file(f"{number}-{entry}")
        tars.append(layer.tar())
    assert squash(tars[:1], MergeOptions(max_memory=50_000)).report.entries == 100
    with pytest.raises(LimitExceeded, match="`memory`"):
        squash(tars, MergeOptions(max_memory=50_000))


def test_whiteouts_count_as_entries_and_take_memory() -> None:
    layer = Layer()
    for number in range(1000):
        layer.whiteout(f"gone-{number}")
    with pytest.raises(LimitExceeded, match="`max_entries`"):
        squash([layer.tar()], MergeOptions(max_entries=999))
    with pytest.raises(LimitExceeded, match="`memory`"):
        squash([layer.tar()], MergeOptions(max_memory=100_000))
