"""Retry-After: how long the client waits, when it does not, and who is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from squashproxy.errors import RegistryError, ServerFault, TooManyRequests
from squashproxy.oci import mediatypes
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.http.retry import Wait
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry, Fault

Told = list[tuple[float, str, str]]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.put_manifest("app", "v1", b"{}", mediatypes.OCI_MANIFEST)
        yield registry


def read(registry: FakeRegistry, told: Told, options: ClientOptions | None = None) -> list[float]:
    """Read a manifest; returns the waits, of which all were told before."""
    waits: list[float] = []

    def hear(wait: Wait) -> None:
        assert len(told) == len(waits)
        told.append((wait.seconds, wait.host, wait.reason))

    client = RegistryClient(
        options or ClientOptions(), environ={}, sleep=waits.append, on_wait=hear
    )
    with client:
        client.repository(Repository(registry.host, "app")).get_manifest("v1")
    return waits


def test_a_retry_after_of_a_minute_is_waited(registry: FakeRegistry) -> None:
    told: Told = []
    registry.arm(Fault("GET", "/manifests/", status=429, headers=(("Retry-After", "60"),)))
    assert read(registry, told) == [60.0]
    ((seconds, host, reason),) = told
    assert (seconds, host) == (60.0, registry.host)
    assert reason.endswith("(HTTP 429) and asks to wait 60 seconds")


TOO_LONG: dict[str, tuple[str, str]] = {
    "more than a minute": ("61", "61 seconds"),
    "a day": ("172800", "2 days"),
    "ten to the ninth": ("1000000000", "32 years"),
    "the year 9999": ("Fri, 31 Dec 9999 23:59:59 GMT", "79[0-9][0-9] years"),
}


@pytest.mark.parametrize(("value", "span"), TOO_LONG.values(), ids=TOO_LONG)
@pytest.mark.parametrize(("status", "kind"), [(429, TooManyRequests), (503, ServerFault)])
def test_a_longer_wait_is_an_error_at_once(
    registry: FakeRegistry, value: str, span: str, status: int, kind: type[RegistryError]
) -> None:
    told: Told = []
    fault = Fault("GET", "/manifests/", status=status, headers=(("Retry-After", value),), times=9)
    registry.arm(fault)
    with pytest.raises(kind, match=f"and asks to wait {span}; try again"):
        read(registry, told)
    assert told == []
    assert len(registry.requests) == 1


def test_a_longer_wait_can_be_allowed(registry: FakeRegistry) -> None:
    registry.arm(Fault("GET", "/manifests/", status=429, headers=(("Retry-After", "3600"),)))
    assert read(registry, [], ClientOptions(longest_wait=3600.0)) == [3600.0]


IGNORED = ["-1", "soon", "9" * 5000, "Wed, 21 Oct 2026 099999999999:28:00 GMT", "nan", ""]


@pytest.mark.parametrize("value", IGNORED)
def test_what_cannot_be_understood_is_ignored(registry: FakeRegistry, value: str) -> None:
    registry.arm(Fault("GET", "/manifests/", status=503, headers=(("Retry-After", value),)))
    assert read(registry, []) == [0.25]
