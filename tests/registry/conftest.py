"""Clients that read no file of this machine, wait for nothing and have a clock of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry


class Time:
    """Waits are recorded, not waited; the clock stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


@pytest.fixture
def connect(time: Time, environ: dict[str, str]) -> Iterator[Callable[..., RegistryClient]]:
    """A client with the options given; by default it repeats calls a few times only."""
    with ExitStack() as stack:

        def make(options: ClientOptions | None = None) -> RegistryClient:
            client = RegistryClient(
                options or ClientOptions(retry_for=0.0),
                environ=environ,
                sleep=time.waits.append,
                clock=lambda: time.now,
            )
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(connect: Callable[..., RegistryClient]) -> RegistryClient:
    return connect()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def app(client: RegistryClient, registry: FakeRegistry) -> RemoteRepository:
    """The repository `app` of a friendly registry."""
    return client.repository(parse_repository(f"{registry.host}/app"))
