"""Waits are told with -v and on a terminal, once a host."""

from __future__ import annotations

import logging
import sys

import pytest

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
        WaitTeller()(20.0, HOST, "it limits how often it may be asked (HTTP 429)")
    (record,) = caplog.records
    assert record.levelno == (logging.WARNING if terminal else logging.INFO)
    assert record.getMessage() == (
        f"{HOST} is asked again in 20 seconds: it limits how often it may be asked (HTTP 429)"
    )


def test_short_waits_are_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        WaitTeller()(2.0, HOST, "it broke")
    assert caplog.records == []


def test_waits_side_by_side_are_told_once_a_host(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    teller = WaitTeller(time)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            teller(20.0, HOST, "it broke")
            teller(20.0, "other.example.com", "it broke")
        assert len(caplog.records) == 2
        time.now = 20.0
        teller(20.0, HOST, "it broke again")
        assert len(caplog.records) == 3
