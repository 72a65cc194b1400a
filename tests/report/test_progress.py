"""Progress on a terminal, log lines beside it, and every warning once."""

from __future__ import annotations

import io
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from squashproxy.report.observer import LoggingObserver
from squashproxy.report.progress import ProgressObserver


def terminal() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=True, width=100, color_system=None), stream


def test_a_bar_shows_label_bytes_and_outcome() -> None:
    console, stream = terminal()
    with ProgressObserver(console) as observer:
        task = observer.start("layer [b]0123[/b]", 3_000_000)
        task.advance(2_000_000)
        task.advance(1_000_000)
        task.finish("mounted")
    text = stream.getvalue()
    assert "layer [b]0123[/b]" in text
    assert "3.0/3.0 MB" in text
    assert "mounted" in text


def test_what_is_counted_shows_how_many_of_how_many() -> None:
    console, stream = terminal()
    with ProgressObserver(console) as display:
        task = LoggingObserver(display).tally("apps: images", 1_200)
        for _ in range(1_200):
            task.advance(1)
        task.finish()
    assert "apps: images" in stream.getvalue()
    assert "1,200/1,200" in stream.getvalue()


def test_many_threads_many_tasks_and_only_the_last_finished_stay() -> None:
    console, _ = terminal()
    with ProgressObserver(console) as observer:

        def work(number: int) -> None:
            task = observer.start(f"blob {number:02}", None)
            for _ in range(50):
                task.advance(65_536)
            task.finish()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(40)))
        left = observer._progress.tasks
        assert len(left) == 6
        assert all(task.completed == task.total == 50 * 65_536 for task in left)


def test_a_warning_is_logged_once_and_a_task_when_it_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("squashproxy"), "propagate", True)
    with caplog.at_level(logging.INFO, logger="squashproxy"):
        observer = LoggingObserver()
        observer.warn("an attestation was dropped")
        observer.warn("an attestation was dropped")
        task = observer.start("layer 0123", 10)
        task.advance(10)
        task.finish("reused")
    assert [record.getMessage() for record in caplog.records] == [
        "an attestation was dropped",
        "layer 0123: reused, 10 B",
    ]
