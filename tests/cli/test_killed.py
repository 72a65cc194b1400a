"""A process that is killed at any moment of any verb leaves nothing wrong: `tests/bench/kills.py`.

Afterwards, whatever a tag points to is whole and right, and a second run finishes what the first
began.
"""

from __future__ import annotations

import signal

import pytest

from tests.bench.kill_scenes import SCENES
from tests.bench.kills import SIGNALS, Moment, kill_at, kill_once
from tests.bench.outages import Ending

ALWAYS = {
    ("promote", signal.SIGTERM),
    ("cleanup that deletes", signal.SIGINT),
}
CASES = [
    pytest.param(
        verb,
        name,
        seed,
        marks=[] if (verb, name) in ALWAYS and not seed else [pytest.mark.long],
        id=f"{verb}, {name.name}, {seed}",
    )
    for verb in SCENES
    for name in SIGNALS
    for seed in range(5)
]


@pytest.mark.parametrize(("verb", "name", "seed"), CASES)
def test_whatever_moment_a_second_run_comes_out_right(
    verb: str, name: signal.Signals, seed: int
) -> None:
    verdict = kill_once(verb, name, seed)
    assert verdict.ending in (Ending.RIGHT, Ending.CLEAR_ERROR), verdict.why


@pytest.mark.parametrize(
    "change", [pytest.param(n, marks=[] if n == 3 else [pytest.mark.long]) for n in range(1, 13)]
)
def test_a_layout_that_was_hardly_begun_is_gone_on_with(change: int) -> None:
    """The folder holds little or nothing yet that tells what it is to become."""
    verdict = kill_at("copy from an archive to a layout", Moment(change=change))
    assert verdict.ending is Ending.RIGHT, verdict.why
