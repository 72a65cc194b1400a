"""A client that is stopped ends what it waits for, and sends nothing but the cancelling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from squashproxy.cancellation import Cancelled
from squashproxy.errors import SquashproxyError
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.http.open_connections import OpenConnections
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry, Fault, FaultKind

Ask = Callable[[RemoteRepository], Any]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry
        registry.disarm()


WAITS: dict[str, tuple[Fault, Ask]] = {
    "an answer": (
        Fault("GET", "/manifests/", FaultKind.HANG, times=99),
        lambda app: app.get_manifest("v1"),
    ),
    "the end of an outage": (
        Fault("GET", "/manifests/", status=503, headers=(("Retry-After", "60"),), times=99),
        lambda app: app.get_manifest("v1"),
    ),
    "the answer to a chunk": (
        Fault("PATCH", "", FaultKind.HANG, times=99),
        lambda app: app.upload_blob([b"x" * 100]),
    ),
}


@pytest.mark.parametrize(("fault", "ask"), WAITS.values(), ids=WAITS)
def test_what_a_thread_waits_for_ends(registry: FakeRegistry, fault: Fault, ask: Ask) -> None:
    ended: list[BaseException] = []
    with RegistryClient(ClientOptions(), environ={}) as client:
        app = client.repository(Repository(registry.host, "app"))

        def work() -> None:
            with pytest.raises(SquashproxyError) as raised:
                ask(app)
            ended.append(raised.value)

        armed = registry.arm(fault)
        thread = threading.Thread(target=work)
        thread.start()
        assert armed.reached.wait(30)
        client.stop()
        before = len(registry.requests)
        thread.join(30)
        assert len(ended) == 1
        registry.disarm()
        after = {each.method for each in registry.requests[before:]}
        assert after <= {"DELETE", fault.method}
        assert registry.open_uploads == 0


def test_nothing_new_is_sent(registry: FakeRegistry) -> None:
    with RegistryClient(ClientOptions(), environ={}) as client:
        app = client.repository(Repository(registry.host, "app"))
        client.stop()
        with pytest.raises(Cancelled, match="nothing more is sent"):
            app.get_manifest("v1")
    assert registry.requests == ()


def test_a_sleep_ends_in_its_middle() -> None:
    opened = OpenConnections()
    slept: list[float] = []

    def stop_then(seconds: float) -> None:
        slept.append(seconds)
        opened.stop()

    opened.sleep(1.0, stop_then)
    with pytest.raises(Cancelled):
        opened.sleep(1.0, stop_then)
    with pytest.raises(Cancelled):
        opened.sleep(3600.0, time.sleep)
    assert slept == [1.0]
