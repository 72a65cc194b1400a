"""The key that signs, and its password, are in no log, page, metric, answer or file of a server."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from squashproxy.errors import UsageError
from squashproxy.testing import FakeRegistry, Fault
from tests.cli.command_line import InProcess
from tests.pipeline.signatures.signed import RIGHT, sign_by_bundle
from tests.server.pull.signing import ENVIRON, PASSWORD, RULE, write_key, write_sealed_key
from tests.server.serving import UP, app, both_platforms, run_serve, settings


def _secrets(sealed: Path) -> dict[str, bytes]:
    raw = RIGHT._raw.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]  # it is ECDSA
    return {
        "the password": PASSWORD.encode(),
        "the key": raw,
        "the key in hex": raw.hex().encode(),
        "a private key": b"PRIVATE KEY",
        "its sealed form": sealed.read_bytes().splitlines()[1],
    }


@pytest.mark.parametrize("kind", ["directory", "registry"])
def test_neither_key_nor_password_is_ever_shown_or_kept(
    upstream: FakeRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Searched: the log of every level, every answer, and every byte of the store."""
    caplog.set_level(logging.DEBUG)
    keys = tmp_path / "keys"
    keys.mkdir()
    sealed = write_sealed_key(keys)
    sign_by_bundle(upstream, "app", both_platforms().push(upstream, "app", "1"))
    app().push(upstream, "unsigned", "1")
    sign_by_bundle(upstream, "broken", app("broken").push(upstream, "broken", "1"))
    upstream.arm(Fault("GET", f"/v2/broken/blobs/{app('broken').build().layers[1].digest}"))
    sign = {"key": str(sealed), "password": PASSWORD, "format": "both"}
    shown = io.BytesIO()
    with FakeRegistry() as backing:
        store = {} if kind == "directory" else {"store": {"registry": f"{backing.host}/cache"}}
        section = settings(upstream, tmp_path, sign=sign, provenance=True, rules=[RULE], **store)
        with run_serve(section, ENVIRON) as served:
            result = served.manifest("app", "1")
            assert result.headers["X-Squashproxy-Source"] == "squashed"
            for repo in ("unsigned", "broken", "app"):
                shown.write(served.manifest(repo, "1").content)
            digest = result.headers["Docker-Content-Digest"]
            shown.write(served.get(f"/v2/{UP}/app/referrers/{digest}").content)
            for path in ("/", "/api/v1/status", "/metrics", "/readyz"):
                shown.write(served.get(path).content)
            for header, value in result.headers.items():
                shown.write(f"{header}: {value}".encode())
            shown.write(served.log.getvalue().encode())
        held = f"cache/{UP}/app"
        if kind == "registry":
            for blob in backing.blobs(held):
                shown.write(backing.blob(held, blob))
            for manifest in backing.manifests(held):
                shown.write(backing.manifest(held, manifest).data)
    shown.write(caplog.text.encode())
    for file in (tmp_path / "store").rglob("*"):
        shown.write(file.read_bytes() if file.is_file() else b"")
    for what, secret in _secrets(sealed).items():
        assert secret not in shown.getvalue(), what


BAD_KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong password": (
        {"sign": {"key": "sealed.key", "password": "x"}},
        "its password is another one",
    ),
    "no password": ({"sign": {"key": "sealed.key"}}, "is encrypted, and no password was given"),
    "no such key": ({"sign": {"key": "nowhere.key"}}, "cannot be read: no such file"),
    "a folder": ({"sign": {"key": "."}}, "cannot be read"),
    "no key at all": ({"sign": {"key": "noise"}}, "noise"),
    "a key of another kind": ({"sign": {"key": "x25519.key"}}, "signs no images; use ECDSA"),
    "a public key to sign with": ({"sign": {"key": "right.pub"}}, "holds a public key"),
    "a variable that is not set": ({"sign": {"key": "env:NOWHERE"}}, "$NOWHERE"),
    "a program that fails": ({"sign": {"key": "exec:false"}}, "ended with exit code 1"),
    "an absent required key": (
        {"rules": [{"match": "*", "require_signature": ["nowhere.pub"]}]},
        "cannot be read: no such file",
    ),
    "a private key that is required": (
        {"rules": [{"match": "*", "require_signature": ["sign.key"]}]},
        "holds a private key",
    ),
}


def _write_files(folder: Path) -> None:
    write_sealed_key(folder)
    write_key(folder)
    (folder / "noise").write_bytes(b"nothing")
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "x25519.key").write_bytes(X25519PrivateKey.generate().private_bytes(*form))
    (folder / "right.pub").write_bytes(RIGHT.public.pem)


@pytest.mark.parametrize(("more", "why"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_cannot_be_used_keeps_the_server_from_starting(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    more: dict[str, Any],
    why: str,
) -> None:
    """Before it makes a store, or listens anywhere."""
    _write_files(tmp_path)
    section = settings("http://127.0.0.1:1", tmp_path, **more)
    path = tmp_path / "squashproxy.yml"
    path.write_text(json.dumps(section))
    monkeypatch.delenv("COSIGN_PASSWORD", raising=False)
    outcome = InProcess(capsys)("serve", str(path))
    assert outcome.code == 2
    assert why in outcome.err
    assert outcome.err.count("\n") == 1
    assert PASSWORD not in outcome.err
    assert not (tmp_path / "store").exists()


def test_a_key_that_others_may_read_is_a_warning(
    upstream: FakeRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = write_key(tmp_path)
    key.chmod(0o644)
    with run_serve(settings(upstream, tmp_path, sign={"key": str(key)})):
        pass
    assert f"the private key {key} can be read by other users; run: chmod 600" in caplog.text


def test_a_password_of_the_environment_opens_the_key(
    upstream: FakeRegistry, tmp_path: Path
) -> None:
    sealed = write_sealed_key(tmp_path)
    section = settings(upstream, tmp_path, sign={"key": str(sealed)})
    with run_serve(section, {"COSIGN_PASSWORD": PASSWORD}):
        pass
    with pytest.raises(UsageError, match="no password was given"), run_serve(section):
        pass
