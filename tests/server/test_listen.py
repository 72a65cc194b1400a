"""A listener that speaks TLS, for clients outside of loopback."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import requests
import trustme

from squashproxy.digest import digest_of
from squashproxy.testing import FakeRegistry
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
