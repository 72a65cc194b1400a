"""Two registries for each test, and a check after each that no thread is left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, RegistryOptions
from tests.pipeline.lab import Lab

_END_SECONDS = 10.0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """No thread outlives its copy."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(_END_SECONDS)
        assert not thread.is_alive(), f"{thread.name} is left over"


@pytest.fixture
def labs() -> Iterator[Callable[..., Lab]]:
    """Make a lab; `old` and `new` are options of its registries, `one` makes them the same."""
    with ExitStack() as stack:

        def make(*, one: bool = False, **registries: dict[str, Any]) -> Lab:
            old = stack.enter_context(FakeRegistry(RegistryOptions(**registries.get("old", {}))))
            new = old
            if not one:
                made = FakeRegistry(RegistryOptions(**registries.get("new", {})))
                new = stack.enter_context(made)
            stack.callback(_check, new)
            client = RegistryClient(environ={}, sleep=lambda _seconds: None)
            return Lab(old, new, stack.enter_context(client))

        yield make


@pytest.fixture
def lab(labs: Callable[..., Lab]) -> Lab:
    """Two friendly registries."""
    return labs()


def _check(registry: FakeRegistry) -> None:
    assert registry.open_uploads == 0, "upload sessions are left open"
