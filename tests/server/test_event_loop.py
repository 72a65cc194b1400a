"""The event loop never blocks: not for the store, not for upstream, not for a job."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from squashproxy.server.http import ranges
from squashproxy.testing import FakeRegistry
from tests.server.serving import UP, app, run_serve, settings

_BLOCKED_SECONDS = 0.25


@pytest.fixture
def own_heap() -> Iterator[None]:
    """What thousands of tests before left in this process is none of the server's garbage.

    A full collection of it stops every thread for half a second, the loop's too.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def slow_callbacks(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What asyncio itself says of callbacks that took too long."""
    caplog.set_level(logging.WARNING, "asyncio")
    return caplog


def watchful_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.set_debug(enabled=True)
    loop.slow_callback_duration = _BLOCKED_SECONDS
    return loop


def pull_everything(upstream: FakeRegistry, folder: Path) -> None:
    for name in ("one", "two"):
        app(name, layers=6, size=2_000_000).push(upstream, name, "1")
    with (
        run_serve(settings(upstream, folder), make_loop=watchful_loop) as served,
        ThreadPoolExecutor(16) as pool,
    ):

        def pull(number: int) -> None:
            repo = ("one", "two")[number % 2]
            manifest = served.manifest(repo, "1")
            for layer in manifest.json()["layers"]:
                served.blob(repo, layer["digest"])
            source = manifest.headers["X-Squashproxy-Source-Digest"]
            for layer in served.manifest(repo, source).json()["layers"]:
                served.blob(repo, layer["digest"])
            served.get(f"/v2/{UP}/{repo}/tags/list")
            for path in ("/metrics", "/api/v1/status", "/readyz", "/"):
                served.get(path)

        list(pool.map(pull, range(32)))


def blocked(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if "Executing" in record.getMessage()]


@pytest.mark.usefixtures("own_heap")
def test_no_callback_takes_long(slow_callbacks: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with FakeRegistry() as upstream:
        pull_everything(upstream, tmp_path)
    assert blocked(slow_callbacks) == []


def test_one_that_does_is_found_out(
    slow_callbacks: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above proves nothing."""
    honest = ranges.find_part

    def slow(header: str | None, size: int) -> object:
        time.sleep(_BLOCKED_SECONDS * 1.2)
        return honest(header, size)

    monkeypatch.setattr("squashproxy.server.api.pull.find_part", slow)
    with FakeRegistry() as upstream:
        app().push(upstream, "app", "1")
        with run_serve(settings(upstream, tmp_path), make_loop=watchful_loop) as served:
            layer = served.manifest("app", "1").json()["layers"][0]
            served.blob("app", layer["digest"])
    assert blocked(slow_callbacks) != []
