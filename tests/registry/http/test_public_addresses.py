"""Where a public registry may lead its clients, over sockets."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import Denied, RegistryError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.http.public_addresses import is_public
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import Bearer, FakeRegistry, Fault, RegistryOptions
from tests.internet import PUBLIC, Internet, lay_out

UP = "registry.example.com"

ADDRESSES = {
    "a public one": ("93.184.216.34", True),
    "a public one of IPv6": ("2606:2800:220:1::1", True),
    "loopback": ("127.0.0.1", False),
    "this host": ("0.0.0.0", False),
    "RFC 1918": ("172.20.0.1", False),
    "cloud metadata": ("169.254.169.254", False),
    "behind a carrier's NAT": ("100.64.0.1", False),
    "multicast": ("224.0.0.1", False),
    "loopback of IPv6": ("::1", False),
    "unique local": ("fd00:ec2::254", False),
    "site local": ("fec0::1", False),
    "mapped": ("::ffff:127.0.0.1", False),
    "mapped, public": ("::ffff:93.184.216.34", True),
    "compatible": ("::127.0.0.1", False),
    "6to4": ("2002:7f00:1::", False),
    "NAT64": ("64:ff9b::a9fe:a9fe", False),
    "NAT64, public": ("64:ff9b::5db8:d822", True),
    "teredo": ("2001:0:7f00:1::", False),
    "NAT64 of a network's own": ("64:ff9b:1::a00:1", False),
    "translated": ("::ffff:0:10.0.0.1", False),
    "a tunnel in a site": ("2001:470:1::5efe:a00:1", False),
    "a tunnel in a site, global": ("2001:470:1::200:5efe:a00:1", False),
    "a tunnel to a public address": ("2001:470:1::200:5efe:5db8:d822", True),
    "documentation": ("3fff::1", False),
    "segment routing": ("5f00::1", False),
    "not yet given out": ("4000::1", False),
    "beside loopback": ("::1:0:0:1", False),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_which_addresses_are_public(address: str, *, expected: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is expected


def remote(registry: FakeRegistry, host: str = UP, password: str = "") -> RemoteRepository:
    port = registry.host.rpartition(":")[2]
    logins = {UP: ("u", password)} if password else {}
    options = ClientOptions(urls={UP: f"http://{host}:{port}"}, logins=logins, retries=0)
    return RegistryClient(options, environ={}).repository(Repository(UP, "app"))


HOSTS = {
    "a number": "2130706433",
    "octal": "0177.0.0.1",
    "hexadecimal": "0x7f000001",
    "two parts": "127.1",
    "zero": "0",
    "metadata as a number": "2852039166",
    "mapped": "[::ffff:127.0.0.1]",
    "mapped, in hexadecimal": "[::ffff:7f00:1]",
    "NAT64": "[64:ff9b::7f00:1]",
    "6to4": "[2002:7f00:1::]",
    "a name of a private network": "inside.example.com",
    "a name of the metadata": "metadata.example.com",
    "a name with both": "both.example.com",
    "a name of loopback in IPv6": "six.example.com",
    "loopback": "127.0.0.1",
    "localhost": "localhost",
}
NAMES = {
    UP: [[PUBLIC]],
    "storage.example.com": [[PUBLIC]],
    "inside.example.com": [["10.0.0.7"]],
    "metadata.example.com": [["169.254.169.254"]],
    "both.example.com": [[PUBLIC, "192.168.0.1"]],
    "six.example.com": [["::1"]],
    "localhost": [["127.0.0.1"]],
    "rebound.example.com": [[PUBLIC], ["127.0.0.1"]],
    "lan.example.com": [["10.0.0.1"]],
    "mixed.example.com": [[PUBLIC, "10.0.0.1"]],
}

ASKING: dict[str, Callable[[RemoteRepository], object]] = {
    "a blob": lambda repository: b"".join(
        repository.iter_blob(Descriptor("", digest_of(b"bytes"), 5))
    ),
    "a HEAD of a blob": lambda repository: repository.find_blob(digest_of(b"bytes")),
    "a manifest": lambda repository: repository.get_manifest("1"),
    "tags": lambda repository: list(repository.iter_tags()),
}


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    return lay_out(monkeypatch, NAMES)


def lead(registry: FakeRegistry, host: str) -> str:
    """Let the registry redirect its next request to a host, at its own port; the port."""
    port = registry.host.rpartition(":")[2]
    headers = (("Location", f"http://{host}:{port}/elsewhere"),)
    registry.arm(Fault("*", "/v2/", status=307, headers=headers))
    return port


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_a_public_registry_does_not_lead_into_a_private_network(
    internet: Internet, ask: Callable[[RemoteRepository], object], host: str
) -> None:
    with FakeRegistry() as registry:
        lead(registry, host)
        with pytest.raises(RegistryError):
            ask(remote(registry))
        assert set(internet.connected) == {PUBLIC}
        assert not any("elsewhere" in exchange.path for exchange in registry.requests)


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_link_does_not_lead_there_either(internet: Internet, host: str) -> None:
    with FakeRegistry() as registry:
        registry.put_blob("app", b"bytes")
        port = registry.host.rpartition(":")[2]
        link = f'<http://{host}:{port}/elsewhere>; rel="next"'
        body = b'{"name": "app", "tags": ["a"]}'
        registry.arm(Fault("GET", "/tags/", status=200, headers=(("Link", link),), body=body))
        with pytest.raises(RegistryError):
            list(remote(registry).iter_tags())
        assert set(internet.connected) == {PUBLIC}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_no_password_goes_to_a_realm_in_a_private_network(internet: Internet, host: str) -> None:
    with FakeRegistry() as inside:
        port = inside.host.rpartition(":")[2]
        options = RegistryOptions(auth=Bearer("u", "secret", realm=f"http://{host}:{port}/token"))
        with FakeRegistry(options) as registry:
            with pytest.raises(RegistryError):
                remote(registry, password="secret").find_manifest("1")
            assert inside.requests == ()
            assert set(internet.connected) == {PUBLIC}


def test_a_public_registry_leads_to_public_storage(internet: Internet) -> None:
    with FakeRegistry() as registry:
        digest = registry.put_blob("app", b"bytes")
        port = registry.host.rpartition(":")[2]
        headers = (("Location", f"http://storage.example.com:{port}/v2/app/blobs/{digest}"),)
        registry.arm(Fault("HEAD", "/blobs/", status=307, headers=headers))
        assert remote(registry).find_blob(digest) == 5
        assert set(internet.connected) == {PUBLIC}


def test_the_address_that_was_checked_is_connected_to(internet: Internet) -> None:
    """The name's second answer would be loopback; nobody asks for it."""
    with FakeRegistry() as registry:
        lead(registry, "rebound.example.com")
        with pytest.raises(RegistryError):
            remote(registry).get_manifest("1")
        assert internet.lookups.count("rebound.example.com") == 1
        assert set(internet.connected) == {PUBLIC}


def test_a_registry_in_a_private_network_leads_to_its_neighbours(internet: Internet) -> None:
    with FakeRegistry() as registry:
        digest = registry.put_blob("app", b"bytes")
        port = registry.host.rpartition(":")[2]
        headers = (("Location", f"http://inside.example.com:{port}/v2/app/blobs/{digest}"),)
        registry.arm(Fault("HEAD", "/blobs/", status=307, headers=headers))
        assert remote(registry, "lan.example.com").find_blob(digest) == 5
        assert internet.connected[-1] == "10.0.0.7"


def test_one_private_address_does_not_make_a_registry_private(internet: Internet) -> None:
    with FakeRegistry() as registry:
        lead(registry, "inside.example.com")
        with pytest.raises(
            Denied, match=r"inside\.example\.com has the private address 10\.0\.0\.7"
        ):
            remote(registry, "mixed.example.com").get_manifest("1")
        assert "10.0.0.7" not in internet.connected
