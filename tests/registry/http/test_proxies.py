"""Proxies of the environment are used, but never for loopback."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from squashproxy.errors import Unreachable
from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import FakeRegistry, ImageBuilder

HOST = "registry.example.com"
PLAIN = ClientOptions(plain_http=frozenset({HOST}))


class Proxy(ThreadingHTTPServer):
    """Answers every request itself, and refuses to open tunnels."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _answer(self, status: int, body: bytes) -> None:
        proof = self.headers.get("Proxy-Authorization")
        self.server.asked.append((self.command, self.path, proof))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(200, b"{}")

    def do_CONNECT(self) -> None:
        self._answer(403, b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def running() -> Iterator[Proxy]:
    with Proxy() as proxy:
        thread = Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("login", "proof"),
    [("", None), ("ann:p%40ss@", "Basic " + base64.b64encode(b"ann:p@ss").decode())],
    ids=["open", "with a password"],
)
@pytest.mark.parametrize("scheme", ["http://", ""], ids=["a URL", "host and port"])
def test_plain_http_goes_through_with_its_whole_url(
    login: str,
    proof: str | None,
    scheme: str,
    connect: Callable[[ClientOptions], RegistryClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running() as proxy:
        monkeypatch.setenv("http_proxy", f"{scheme}{login}{proxy.address}")
        connect(PLAIN).repository(parse_repository(f"{HOST}/app")).get_manifest("v1")
    assert proxy.asked == [("GET", f"http://{HOST}/v2/app/manifests/v1", proof)]


@pytest.mark.parametrize("name", [HOST, "example.com"])
def test_no_proxy_names_hosts_and_domains(
    name: str,
    connect: Callable[[ClientOptions], RegistryClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    with running() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        monkeypatch.setenv("no_proxy", name)
        monkeypatch.setattr("socket.getaddrinfo", unknown)
        with pytest.raises(Unreachable, match="the name is not known"):
            connect(PLAIN).repository(parse_repository(f"{HOST}/app")).get_manifest("v1")
    assert proxy.asked == []


def test_loopback_is_asked_directly(
    client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as proxy, FakeRegistry() as registry:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        ImageBuilder().push(registry, "app", "v1")
        client.repository(parse_repository(f"{registry.host}/app")).get_manifest("v1")
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://{proxy}", "the proxy does not connect"),
        ("http://127.0.0.1:1", "the proxy does not connect"),
        ("socks5://127.0.0.1:1", "the proxy of the environment is no HTTP proxy"),
    ],
    ids=["refuses the tunnel", "is down", "speaks no HTTP"],
)
def test_a_proxy_that_does_not_serve_is_told(
    address: str, sentence: str, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as proxy:
        monkeypatch.setenv("https_proxy", address.format(proxy=proxy.address))
        with pytest.raises(Unreachable, match=f"cannot reach {HOST}: {sentence}"):
            client.repository(parse_repository(f"{HOST}/app")).get_manifest("v1")
