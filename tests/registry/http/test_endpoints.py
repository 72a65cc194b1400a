"""The addresses of APIs, and the URLs that a registry may lead to."""

from __future__ import annotations

from typing import Any

import pytest

from squashproxy.errors import Denied
from squashproxy.registry.http.endpoints import Endpoint, Endpoints
from squashproxy.registry.http.urls import shown
from squashproxy.registry.options import ClientOptions

PUBLIC = Endpoint("registry.example.com", "https", "registry.example.com")


def find(host: str, *, tls: bool = True, plain_http: tuple[str, ...] = ()) -> str:
    options = ClientOptions(plain_http=frozenset(plain_http))
    return Endpoints(options, lambda *_: tls).find(host).url("/v2/")


@pytest.mark.parametrize(
    ("host", "options", "url"),
    [
        pytest.param("docker.io", {}, "https://registry-1.docker.io/v2/", id="docker hub"),
        pytest.param(
            "a.example.com", {"tls": False}, "https://a.example.com/v2/", id="never asked"
        ),
        pytest.param(
            "a.example.com:5000",
            {"plain_http": ("a.example.com:5000",)},
            "http://a.example.com:5000/v2/",
            id="plain, by host and port",
        ),
        pytest.param(
            "a.example.com:5000",
            {"plain_http": ("a.example.com",)},
            "http://a.example.com:5000/v2/",
            id="plain, by host",
        ),
        pytest.param(
            "a.example.com:5000",
            {"plain_http": ("a.example.com:80",)},
            "https://a.example.com:5000/v2/",
            id="another port is another registry",
        ),
        pytest.param("localhost:1", {}, "https://localhost:1/v2/", id="loopback with TLS"),
        pytest.param("localhost:1", {"tls": False}, "http://localhost:1/v2/", id="localhost"),
        pytest.param("127.1.2.3", {"tls": False}, "http://127.1.2.3/v2/", id="127.0.0.0/8"),
        pytest.param("[::1]:5", {"tls": False}, "http://[::1]:5/v2/", id="[::1]"),
        pytest.param("10.0.0.1", {"tls": False}, "https://10.0.0.1/v2/", id="private, no loopback"),
    ],
)
def test_where_an_api_is(host: str, options: dict[str, Any], url: str) -> None:
    assert find(host, **options) == url


@pytest.mark.parametrize(
    ("location", "url"),
    [
        pytest.param("/v2/u?s=1", "https://registry.example.com/v2/u?s=1", id="relative"),
        pytest.param("next?n=1", "https://registry.example.com/v2/next?n=1", id="a sibling"),
        pytest.param("//b.example.com/u", "https://b.example.com/u", id="without a scheme"),
        pytest.param(
            "https://b.example.com/u?x=%2F", "https://b.example.com/u?x=%2F", id="foreign"
        ),
        pytest.param(
            "http://registry.example.com/v2/u?s=1",
            "https://registry.example.com/v2/u?s=1",
            id="a proxy ended TLS, and the registry does not know it",
        ),
        pytest.param("https://b.example.com/x#f", "https://b.example.com/x", id="a fragment"),
        pytest.param("https://B.Example.com:443/X", "https://b.example.com:443/X", id="capitals"),
        pytest.param("https://b.example.com:/x", "https://b.example.com/x", id="an empty port"),
        pytest.param("https://b.example.com./x", "https://b.example.com/x", id="a last dot"),
        pytest.param("https://[2606:4700::1]:8/u", "https://[2606:4700::1]:8/u", id="IPv6"),
        pytest.param("https://8.8.8.8/u", "https://8.8.8.8/u", id="a public address"),
    ],
)
def test_where_a_location_leads(location: str, url: str) -> None:
    assert PUBLIC.resolve("https://registry.example.com/v2/x", location) == url


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("https://127.0.0.1/t", id="loopback"),
        pytest.param("https://localhost:8080/t", id="localhost"),
        pytest.param("https://10.1.2.3/t", id="RFC 1918"),
        pytest.param("https://192.168.0.1/t", id="a home"),
        pytest.param("https://169.254.169.254/latest", id="link-local: cloud metadata"),
        pytest.param("https://[fe80::1]/t", id="link-local, IPv6"),
        pytest.param("https://[::ffff:10.0.0.1]/t", id="IPv4 in IPv6"),
        pytest.param("http://b.example.com/t", id="plain HTTP"),
        pytest.param("ftp://b.example.com/t", id="another scheme"),
        pytest.param("file:///etc/passwd", id="a file"),
    ],
)
def test_where_a_public_registry_may_not_send_us(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(0, 0, 0, "", ("93.184.216.34", 0))])
    with pytest.raises(Denied, match=r"registry\.example\.com points to"):
        PUBLIC.resolve("https://registry.example.com/v2/", location)


def test_a_private_registry_may_send_us_to_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Endpoint("10.0.0.1", "https", "10.0.0.1")
    assert address.resolve("https://10.0.0.1/v2/", "https://10.0.0.2/t") == "https://10.0.0.2/t"
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [(0, 0, 0, "", ("10.0.0.1", 0))])
    assert PUBLIC.resolve("https://registry.example.com/", "https://10.0.0.2/t").endswith(".2/t")


def test_urls_are_shown_without_their_secrets() -> None:
    assert shown("https://u:p@a.example.com/x?sig=secret#f") == "https://a.example.com/x"
