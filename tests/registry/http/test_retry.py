"""Retries: only of temporary errors, with the same waits in every run."""

from __future__ import annotations

import pytest

from squashproxy.errors import Denied, SquashproxyError, TooManyRequests, Unreachable
from squashproxy.registry.http.retry import Retry


def run(errors: list[SquashproxyError], retries: int = 4) -> tuple[list[float], int]:
    waits: list[float] = []
    calls = 0

    def attempt() -> int:
        nonlocal calls
        calls += 1
        if errors:
            raise errors.pop(0)
        return calls

    return waits, Retry(retries, waits.append).call(attempt)


def test_waits_double() -> None:
    waits, calls = run([Unreachable("x") for _ in range(4)])
    assert (waits, calls) == ([0.25, 0.5, 1.0, 2.0], 5)


def test_a_registry_may_say_how_long() -> None:
    waits, _ = run([TooManyRequests("x", retry_after=17.0), TooManyRequests("x", retry_after=0.0)])
    assert waits == [17.0, 0.0]


def test_the_last_error_passes() -> None:
    with pytest.raises(Unreachable, match="third"):
        run([Unreachable("first"), Unreachable("second"), Unreachable("third")], retries=2)


def test_lasting_errors_pass_at_once() -> None:
    with pytest.raises(Denied):
        run([Denied("no"), Unreachable("never reached")])


def test_a_registry_that_wants_too_long_a_wait_is_told_at_once() -> None:
    waits: list[float] = []

    def attempt() -> int:
        raise TooManyRequests("x", retry_after=60.0)

    with pytest.raises(TooManyRequests):
        Retry(4, waits.append, longest_wait=1.0).call(attempt)
    assert waits == []


def test_waits_are_told_before_they_begin() -> None:
    told: list[tuple[str, float, str, str]] = []
    errors = [
        Unreachable("h broke", advice="try again"),
        TooManyRequests("h limits", advice="log in", retry_after=9),
    ]

    def attempt() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    retry = Retry(
        4,
        lambda seconds: told.append(("slept", seconds, "", "")),
        listener=lambda *wait: told.append(("told", *wait)),
    )
    assert retry.call(attempt, "h") == "done"
    assert told == [
        ("told", 0.25, "h", "h broke"),
        ("slept", 0.25, "", ""),
        ("told", 9, "h", "h limits"),
        ("slept", 9, "", ""),
    ]
