"""A listener that speaks TLS, for clients outside of loopback."""

from __future__ import annotations

from pathlib import Path

import requests
import trustme

from squashproxy.digest import digest_of
from squashproxy.testing import FakeRegistry
from tests.server.serving import UP, app, run_serve, settings


def test_everything_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, ca = (tmp_path / name for name in ("c.pem", "k.pem", "ca.pem"))
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    tls = {"certificate": str(certificate), "key": str(key)}
    with FakeRegistry() as upstream:
        app(size=3_000_000).push(upstream, "app", "1")
        with run_serve(settings(upstream, tmp_path, tls=tls)) as served:
            url = served.url.replace("http://", "https://") + f"/v2/{UP}/app"
            manifest = requests.get(f"{url}/manifests/1", verify=str(ca), timeout=30)
            for layer in manifest.json()["layers"]:
                blob = requests.get(f"{url}/blobs/{layer['digest']}", verify=str(ca), timeout=30)
                assert digest_of(blob.content) == layer["digest"]
