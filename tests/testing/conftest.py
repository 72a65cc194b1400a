"""A plain HTTP client, so that the registry is seen as any client sees it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from squashproxy.testing import FakeRegistry, RegistryOptions


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["errors"][0]["code"])

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Client:
    """One keep-alive connection to a registry."""

    def __init__(self, registry: FakeRegistry) -> None:
        self._connection = http.client.HTTPConnection(registry.host, timeout=20)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        location = path.partition("/v2/")
        target = location[1] + location[2] if path.startswith("http") else path
        chunked = body is not None and not isinstance(body, bytes)
        self._connection.request(
            method, target, body=body, headers=dict(headers or {}), encode_chunked=chunked
        )
        response = self._connection.getresponse()
        return Reply(response.status, response.headers, response.read())

    def begin(self, repo: str = "app") -> str:
        """Open an upload session and return its location."""
        location = self.ask("POST", f"/v2/{repo}/blobs/uploads/").headers["Location"]
        assert location is not None
        return str(location)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def registries() -> Iterator[Callable[..., FakeRegistry]]:
    """Make registries with options; they are closed at the end."""
    made: list[FakeRegistry] = []

    def make(**options: Any) -> FakeRegistry:
        shares = options.pop("shares", None)
        made.append(FakeRegistry(RegistryOptions(**options), shares=shares))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


@pytest.fixture
def connect() -> Iterator[Callable[[FakeRegistry], Client]]:
    """Make clients; they are closed at the end."""
    made: list[Client] = []

    def make(registry: FakeRegistry) -> Client:
        made.append(Client(registry))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def registry(registries: Callable[..., FakeRegistry]) -> FakeRegistry:
    return registries()


@pytest.fixture
def client(registry: FakeRegistry, connect: Callable[[FakeRegistry], Client]) -> Client:
    return connect(registry)
