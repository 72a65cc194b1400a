"""A listener that speaks TLS, for clients outside of loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from pathlib import Path

import pytest
import requests
import trustme

from squashproxy.config.read import parse_configuration
from squashproxy.digest import digest_of
from squashproxy.registry.options import ClientOptions
from squashproxy.server.listen import serve
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.server.leftovers import connections_at
from tests.server.serving import UP, app, run_serve, settings


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """The section `tls` for a listener on loopback."""
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return {"certificate": str(certificate), "key": str(key)}


def test_everything_over_tls(
    upstream: FakeRegistry, tmp_path: Path, authority: trustme.CA, tls: dict[str, str]
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    app(size=3_000_000).push(upstream, "app", "1")
    with run_serve(settings(upstream, tmp_path, tls=tls)) as served:
        url = served.url.replace("http://", "https://") + f"/v2/{UP}/app"
        manifest = requests.get(f"{url}/manifests/1", verify=str(ca), timeout=30)
        for layer in manifest.json()["layers"]:
            blob = requests.get(f"{url}/blobs/{layer['digest']}", verify=str(ca), timeout=30)
            assert digest_of(blob.content) == layer["digest"]


def test_a_client_that_does_not_end_its_tls_connection_is_cut_off_at_a_stop(
    upstream: FakeRegistry, tmp_path: Path, authority: trustme.CA, tls: dict[str, str]
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with run_serve(settings(upstream, tmp_path, tls=tls)) as served:
        host, port = served.host.split(":")
        raw = socket.create_connection((host, int(port)), timeout=10)
        client = context.wrap_socket(raw, server_hostname=host)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100)
        assert connections_at(int(port)) == 1
    assert connections_at(int(port)) == 0
    client.close()


@pytest.mark.parametrize("path", ["/healthz", f"/v2/{UP}/app/manifests/1"], ids=["idle", "asking"])
def test_a_stop_that_is_cancelled_cuts_off_such_a_client_too(
    upstream: FakeRegistry, tmp_path: Path, authority: trustme.CA, tls: dict[str, str], path: str
) -> None:
    """The client is idle, or waits for an answer: upstream hangs until the server has stopped."""
    app().push(upstream, "app", "1")
    hang = upstream.arm(Fault("HEAD", "/manifests/", FaultKind.HANG, times=9))
    section = json.dumps(settings(upstream, tmp_path, tls=tls, drain="10m"))
    configuration = parse_configuration(section, "serve.yml", Path(), {})
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def connect(address: str) -> ssl.SSLSocket:
        host, port = address.split(":")
        raw = socket.create_connection((host, int(port)), timeout=10)
        client = context.wrap_socket(raw, server_hostname=host)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(100) if path == "/healthz" else hang.reached.wait(10)
        return client

    async def stop_twice() -> None:
        stop = asyncio.Event()
        ready: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(
            serve(
                configuration,
                ClientOptions(),
                {},
                access_log=None,
                on_ready=ready.set_result,
                until=stop.wait,
            )
        )
        address = (await ready)[0]
        client = await asyncio.to_thread(connect, address)
        stop.set()
        for _ in range(20):  # steps of the loop, after which the server waits for its clients
            await asyncio.sleep(0)
        hang.release()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert connections_at(int(address.rpartition(":")[2])) == 0
        client.close()

    asyncio.run(stop_twice())
