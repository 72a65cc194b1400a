"""The event loop never blocks: not for the store, not for upstream, not for a job.

Wall-clock time proves nothing on a busy machine, where every callback waits for a processor. So
this looks at what the loop's thread does: which blocking functions it calls, and how much time of
the processor each callback takes.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest

from squashproxy.server.http import ranges
from squashproxy.testing import FakeRegistry
from tests.server.serving import UP, app, run_serve, settings

_LONG_SECONDS = 0.25
_BLOCKING = frozenset(
    {
        "time.sleep",
        "io.open",
        "posix.open",
        "posix.stat",
        "posix.lstat",
        "posix.scandir",
        "posix.listdir",
        "posix.unlink",
        "posix.rename",
        "posix.replace",
        "posix.link",
        "posix.mkdir",
        "posix.read",
        "posix.pread",
        "posix.fsync",
        "_socket.getaddrinfo",
        "FileIO.read",
        "FileIO.write",
        "BufferedReader.read",
        "Connection.execute",
        "Connection.executemany",
        "Cursor.fetchall",
    }
)


class Watch:
    """Watches the thread of a loop while it is `active`."""

    def __init__(self) -> None:
        self.is_active = False
        self.blocking: list[str] = []
        self.long: list[str] = []

    def make_loop(self) -> asyncio.AbstractEventLoop:
        """A loop; to be called in its thread."""
        sys.setprofile(self._note_call)
        loop = asyncio.SelectorEventLoop()
        loop.set_debug(enabled=False)  # debugging looks for source files
        return loop

    def timed(self, run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
        """In place of Handle._run, which runs one callback."""

        def run_timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            took = time.thread_time() - began
            if self.is_active and took > _LONG_SECONDS:
                self.long.append(f"{handle!r}: {took:.3f} s")

        return run_timed

    def _note_call(self, frame: FrameType, event: str, function: object) -> None:
        if event != "c_call" or not self.is_active:
            return
        owner = getattr(function, "__module__", None)
        if owner is None:
            owner = type(getattr(function, "__self__", None)).__name__
        name = f"{owner.removeprefix('_') if owner == '_io' else owner}.{function.__name__}"  # type: ignore[attr-defined]
        if name in _BLOCKING:
            self.blocking.append(f"{name} in {frame.f_code.co_qualname}")


@pytest.fixture
def own_heap() -> None:
    """Freeze what earlier tests left in this process: it is no garbage of the server's.

    A full collection of it takes half a second, perhaps in the loop's thread.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(asyncio.Handle, "_run", watch.timed(asyncio.Handle._run))
    return watch


def pull_everything(upstream: FakeRegistry, folder: Path, watch: Watch) -> None:
    for name in ("one", "two"):
        app(name, layers=6, size=2_000_000).push(upstream, name, "1")
    with (
        run_serve(settings(upstream, folder), make_loop=watch.make_loop) as served,
        ThreadPoolExecutor(16) as pool,
    ):
        watch.is_active = True

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
        watch.is_active = False


@pytest.mark.usefixtures("own_heap")
def test_no_callback_blocks_or_takes_long(watch: Watch, tmp_path: Path) -> None:
    with FakeRegistry() as upstream:
        pull_everything(upstream, tmp_path, watch)
    assert watch.blocking == []
    assert watch.long == []


def read_a_file() -> None:
    Path("/proc/self/stat").read_bytes()


def compute() -> None:
    end = time.thread_time() + _LONG_SECONDS * 1.2
    while time.thread_time() < end:
        pass


FAULTS: dict[str, tuple[Callable[[], None], str]] = {
    "sleeping": (lambda: time.sleep(0.001), "time.sleep"),
    "reading a file": (read_a_file, "io.open"),
    "computing": (compute, ""),
}


@pytest.mark.parametrize(("fault", "name"), FAULTS.values(), ids=FAULTS)
def test_a_loop_that_blocks_is_found_out(
    watch: Watch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[], None],
    name: str,
) -> None:
    """A loop that blocks is caught; otherwise the test above would prove nothing."""
    honest = ranges.find_part

    def slow(header: str | None, size: int) -> object:
        fault()
        return honest(header, size)

    monkeypatch.setattr("squashproxy.server.api.pull.find_part", slow)
    with FakeRegistry() as upstream:
        app().push(upstream, "app", "1")
        with run_serve(settings(upstream, tmp_path), make_loop=watch.make_loop) as served:
            layer = served.manifest("app", "1").json()["layers"][0]
            watch.is_active = True
            served.blob("app", layer["digest"])
            watch.is_active = False
    if name:
        assert any(call.startswith(name) for call in watch.blocking)
    else:
        assert watch.long != []
