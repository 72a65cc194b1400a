"""Upload sessions that are begun in the very moment of Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.upload import attempt, landing
from squashproxy.testing import FakeRegistry
from tests.registry.upload.test_upload import DIGEST, chunks

SECONDS = 30.0


class Interrupt:
    """Ctrl-C in the main thread; `press` returns once the main thread has met it."""

    def __init__(self) -> None:
        self._met = threading.Event()

    def press(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        assert self._met.wait(SECONDS)

    def meet(self, _number: int, _frame: FrameType | None) -> None:
        self._met.set()
        raise KeyboardInterrupt


@pytest.fixture
def interrupt() -> Iterator[Interrupt]:
    made = Interrupt()
    before = signal.signal(signal.SIGINT, made.meet)
    yield made
    signal.signal(signal.SIGINT, before)


def push(remote: RemoteRepository) -> object:
    return remote.upload_blob(chunks())


def mount(remote: RemoteRepository) -> object:
    return remote.try_mount(DIGEST, parse_repository(f"{remote.name.host}/other"))


@pytest.mark.parametrize("begin", [push, mount])
def test_its_session_is_cancelled(
    interrupt: Interrupt, begin: Callable[[RemoteRepository], object]
) -> None:
    """Only the answer to the POST tells where the session is."""

    def act(method: str, _path: str) -> None:
        if method == "POST":
            interrupt.press()

    with FakeRegistry() as registry:
        registry.before_each(act)
        check_cancelled(registry, begin)


def test_no_part_is_sent_if_it_comes_while_a_thread_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody could wait for its answer, which moves the session."""

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
            super().submit(*arguments, **named)
            time.sleep(0.2)  # the thread has begun
            raise KeyboardInterrupt

    monkeypatch.setattr(attempt, "ThreadPoolExecutor", Interrupted)
    with FakeRegistry() as registry:
        check_cancelled(registry, push)


@pytest.mark.parametrize("begin", [push, mount])
def test_it_is_cancelled_if_it_comes_right_behind_the_answer(
    begin: Callable[[RemoteRepository], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the thread that asked ends."""

    class Interrupted(ThreadPoolExecutor):
        def __exit__(self, *_: object) -> None:
            self.shutdown()
            raise KeyboardInterrupt

    monkeypatch.setattr(landing, "ThreadPoolExecutor", Interrupted)
    with FakeRegistry() as registry:
        check_cancelled(registry, begin)


def check_cancelled(registry: FakeRegistry, begin: Callable[[RemoteRepository], object]) -> None:
    """Ctrl-C ends it; its session was begun and cancelled, and nothing was sent between."""
    with RegistryClient(environ={}) as client, pytest.raises(KeyboardInterrupt):
        begin(client.repository(parse_repository(f"{registry.host}/app")))
    assert registry.open_uploads == 0
    methods = [each.method for each in registry.requests if each.method != "GET"]
    assert methods == ["POST", "DELETE"]
