"""Retries: only of temporary errors, with the same waits in every run."""

from __future__ import annotations

import pytest

from squashproxy.errors import (
    Denied,
    Patience,
    ServerFault,
    SquashproxyError,
    TooManyRequests,
    Unreachable,
)
from squashproxy.registry.http.retry import Retry, Wait


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
        listener=lambda wait: told.append(("told", wait.seconds, wait.host, wait.reason)),
    )
    assert retry.call(attempt, "h") == "done"
    assert told == [
        ("told", 0.25, "h", "h broke"),
        ("slept", 0.25, "", ""),
        ("told", 9, "h", "h limits"),
        ("slept", 9, "", ""),
    ]


class Clock:
    """Sleeping moves the clock; each attempt takes `cost` seconds."""

    def __init__(self, cost: float = 0.0) -> None:
        self.now = 0.0
        self.cost = cost
        self.waits: list[Wait] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def retry(self, retry_for: float = 300.0, retries: int = 4) -> Retry:
        return Retry(
            retries,
            self.sleep,
            listener=self.waits.append,
            retry_for=retry_for,
            clock=lambda: self.now,
        )

    def seconds_until_given_up(self, error: SquashproxyError, retry: Retry) -> float:
        def attempt() -> None:
            self.now += self.cost
            raise error

        begin = self.now
        with pytest.raises(type(error)):
            retry.call(attempt, "h")
        return self.now - begin


GIVEN_UP: dict[str, tuple[SquashproxyError, float]] = {
    "no connection to a host that answered before": (Unreachable("x"), 300.0),
    "a gateway without its server": (ServerFault("x", status=502), 300.0),
    "a server that is starting": (ServerFault("x", status=503), 300.0),
    "a gateway that waited too long": (ServerFault("x", status=504), 300.0),
    "a rate limit": (TooManyRequests("x", status=429), 300.0),
    "a server that fails": (ServerFault("x", status=500), 60.0),
    "a host that never answered": (Unreachable("x", patience=Patience.SECONDS), 3.75),
    "a refusal": (Denied("x"), 0.0),
}


@pytest.mark.parametrize(("error", "seconds"), GIVEN_UP.values(), ids=GIVEN_UP)
def test_an_error_is_given_up_after(error: SquashproxyError, seconds: float) -> None:
    clock = Clock()
    assert clock.seconds_until_given_up(error, clock.retry()) == seconds


@pytest.mark.parametrize("seconds", [0.0, 30.0, 3600.0])
def test_the_time_can_be_chosen(seconds: float) -> None:
    clock = Clock()
    given_up = clock.seconds_until_given_up(Unreachable("x"), clock.retry(seconds))
    assert given_up == max(seconds, 3.75)


ATTEMPTS: dict[str, tuple[float, float, int]] = {
    "outages count the time-outs of attempts": (100.0, 300.0, 3),
    "a few attempts are made in any case": (5.0, 0.0, 4),
    "unless they take more than a minute": (30.0, 0.0, 2),
}


@pytest.mark.parametrize(("cost", "retry_for", "repeated"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_attempts_that_take_their_time(cost: float, retry_for: float, repeated: int) -> None:
    clock = Clock(cost)
    clock.seconds_until_given_up(Unreachable("x"), clock.retry(retry_for))
    assert len(clock.waits) == repeated


def test_an_outage_that_ends_in_time_is_survived() -> None:
    clock = Clock()

    def attempt() -> float:
        if clock.now < 290.0:
            raise Unreachable("x")
        return clock.now

    assert clock.retry().call(attempt) <= 300.0


def test_progress_starts_the_time_anew() -> None:
    clock = Clock()
    attempts = clock.retry().begin("h")
    for _ in range(50):
        for _ in range(20):
            attempts.wait(Unreachable("x"))
        attempts.progress()
    assert clock.now > 3600.0


def test_a_wait_tells_for_how_long_there_was_none_and_how_long_there_may_be() -> None:
    clock = Clock()
    clock.seconds_until_given_up(Unreachable("x"), clock.retry())
    assert {wait.waited + wait.left for wait in clock.waits if wait.left is not None} == {300.0}
    assert max(wait.seconds for wait in clock.waits) == 10.0
