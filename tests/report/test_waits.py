"""Waits are told with -v and on a terminal, once a host."""

from __future__ import annotations

import logging
import sys

import pytest

from squashproxy.registry.http.retry import Wait
from squashproxy.report.waits import WaitTeller

HOST = "registry.example.com"


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("terminal", [False, True])
def test_a_long_wait_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with caplog.at_level(logging.INFO):
        WaitTeller()(Wait(20.0, HOST, "it limits how often it may be asked (HTTP 429)"))
    (record,) = caplog.records
    assert record.levelno == (logging.WARNING if terminal else logging.INFO)
    assert record.getMessage() == (
        f"{HOST} is asked again in 20 seconds: it limits how often it may be asked (HTTP 429)"
    )


def test_short_waits_are_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        WaitTeller()(Wait(2.0, HOST, "it broke"))
    assert caplog.records == []


def test_waits_side_by_side_are_told_once_a_host(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    teller = WaitTeller(time)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            teller(Wait(20.0, HOST, "it broke"))
            teller(Wait(20.0, "other.example.com", "it broke"))
        assert len(caplog.records) == 2
        time.now = 20.0
        teller(Wait(20.0, HOST, "it broke again"))
        assert len(caplog.records) == 3


def test_an_outage_says_how_long_it_lasts_and_when_it_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        WaitTeller()(Wait(10.0, HOST, "it broke", waited=16.0, left=284.0))
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"{HOST} is asked again in 10 seconds: it broke "
            "(for 16 seconds now, given up after 5 minutes)"
        )
    ]


def test_a_terminal_shows_one_warning_a_minute_of_an_outage(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    time = Time()
    teller = WaitTeller(time)
    with caplog.at_level(logging.INFO):
        for second in range(0, 120, 10):
            time.now = float(second)
            teller(Wait(10.0, HOST, "it broke", waited=second, left=300.0 - second))
    levels = [record.levelno for record in caplog.records]
    assert (levels.count(logging.WARNING), len(levels)) == (2, 12)
