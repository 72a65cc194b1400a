"""Work and memory are linear in the bytes of all paths, however deep: steps are counted."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from types import FrameType

import pytest

from squashproxy.errors import BadArchive, LimitExceeded
from squashproxy.squash.census import Census
from squashproxy.squash.index import PathIndex
from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.prune import PruneScan
from tests.model.squashing import MemoryLayer, split_in_process
from tests.squash.hostile_layers import DEEP, LARGE, path
from tests.squash.trap import squash
from tests.verify.unpacking import unpack

SHALLOW, DEEPER = 150, 600
LINEAR = 1.5 * DEEPER / SHALLOW
LIMIT = 2 << 20
MARGIN = 2 << 20
"""Chunks, listings and other things that are there once."""


def _merge(tars: Sequence[bytes], options: MergeOptions) -> None:
    squash(tars, options)


def _scan(tars: Sequence[bytes], options: MergeOptions) -> None:
    PruneScan([MemoryLayer("layer", tar, 65_536) for tar in tars], options).run()


def _count(tars: Sequence[bytes], options: MergeOptions) -> None:
    census = Census(PathIndex(), options)
    for number in reversed(range(len(tars))):
        census.count(number, MemoryLayer("layer", tars[number], 65_536))


READERS: dict[str, Callable[[Sequence[bytes]], object]] = {
    "merge": lambda tars: _merge(tars, MergeOptions()),
    "merge above a base": lambda tars: _merge(tars, MergeOptions(kept=len(tars) - 1)),
    "scan": lambda tars: _scan(tars, MergeOptions()),
    "census": lambda tars: _count(tars, MergeOptions()),
    "split": lambda tars: split_in_process(tars, 0, 600),
    "verify": unpack,
}


def steps(read: Callable[[Sequence[bytes]], object], tars: Sequence[bytes]) -> int:
    """The number of calls, of functions written in C too, while layers are read."""
    count = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        read(tars)
    finally:
        sys.setprofile(None)
    return count


def peak(read: Callable[[Sequence[bytes]], object], tars: Sequence[bytes]) -> int:
    """The most bytes of memory that are taken while layers are read.

    Garbage counts: when it would be collected depends on what ran before.
    """
    gc.disable()
    tracemalloc.start()
    try:
        read(tars)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", DEEP)
def test_steps_grow_with_the_bytes_of_a_path(kind: str, reader: str) -> None:
    read, layers = READERS[reader], DEEP[kind]
    shallow, deeper = (steps(read, layers(depth)) for depth in (SHALLOW, DEEPER))
    assert deeper < LINEAR * shallow, f"{deeper} steps, and {shallow} for a quarter of the depth"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", DEEP)
def test_memory_grows_with_the_bytes_of_a_path(kind: str, reader: str) -> None:
    read, layers = READERS[reader], DEEP[kind]
    shallow, deeper = (peak(read, layers(depth)) for depth in (SHALLOW, DEEPER))
    assert deeper < LINEAR * shallow, f"{deeper} bytes, and {shallow} for a quarter of the depth"


@pytest.mark.parametrize("reader", [name for name in READERS if name != "split"])
@pytest.mark.parametrize("depth", [4000, 50_000, 500_000])
def test_a_deeper_path_is_refused_at_once(depth: int, reader: str) -> None:
    tar = DEEP["one path"](depth)
    with pytest.raises(BadArchive, match=f"has a path of {2 * depth + 1} bytes"):
        READERS[reader](tar if "base" not in reader else [tar[0], *tar])
    assert len(path(depth)) == 2 * depth + 1


@pytest.mark.parametrize("read", [_merge, _scan, _count])
@pytest.mark.parametrize("kind", LARGE)
def test_the_memory_limit_counts_bytes(
    kind: str, read: Callable[[Sequence[bytes], MergeOptions], None]
) -> None:
    """What is taken before the limit ends it is no more than what is allowed."""
    tars = LARGE[kind]()

    def reading(tars: Sequence[bytes]) -> None:
        try:
            read(tars, MergeOptions(max_memory=LIMIT, on_listing=lambda _number, _listing: None))
        except LimitExceeded as error:
            ends.append(error.fact)
        except BadArchive as error:
            ends.append(error.fact)

    ends: list[str] = []
    assert peak(reading, tars) < LIMIT + MARGIN
    reason = "" if not ends else ends[0]
    assert "bytes to remember" in reason or "link" in kind, "links alone have no files"
