"""Real registries on loopback: distribution 2 and 3, and that of go-containerregistry."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

USER = "tester"
PASSWORD = "a made-up word"
_HTPASSWD = "tester:$2y$04$bhs8lFGJSjNkJnk97x2OJu0GDziv8mYkZa6xsLTTJXsicguDm1Yqy\n"
_START_SECONDS = 20
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class RealRegistry:
    """A running registry.

    `host` is `127.0.0.1:PORT`; `ca` is the certificate to trust where it speaks TLS, `secured`
    says that it asks for `USER` and `PASSWORD`.
    """

    host: str
    storage: Path
    log: Path
    ca: Path | None = None
    secured: bool = False

    def log_tail(self) -> str:
        """The last errors in its log that are more than a question for something unknown."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if "status=404" not in line][-10:])


@contextmanager
def run_registry(
    folder: Path,
    *,
    secured: bool = False,
    tls: bool = False,
    logs_access: bool = False,
    max_entries: int | None = None,
    proxies: RealRegistry | None = None,
) -> Iterator[RealRegistry]:
    """Start a registry with its storage in `folder`, and stop it at the end.

    With `logs_access`, its log has a line for every request, in the common log format; with
    `max_entries`, it lists no more repositories at once; with `proxies`, it is a pull-through cache
    of another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    config = _config(folder, port, secured=secured)
    config["log"]["accesslog"]["disabled"] = not logs_access
    if max_entries is not None:
        config["catalog"] = {"maxentries": max_entries}
    if proxies is not None:
        config["proxy"] = {"remoteurl": f"http://{proxies.host}"}
    ca = _write_certificates(folder, config) if tls else None
    path = folder / "config.yml"
    path.write_text(json.dumps(config))
    registry = RealRegistry(
        f"127.0.0.1:{port}", folder / "storage", folder / "registry.log", ca, secured
    )
    with _running(["docker-registry", "serve", str(path)], registry):
        yield registry


@contextmanager
def run_referrers(folder: Path, program: Path) -> Iterator[RealRegistry]:
    """Start the other one, which has the referrers API and keeps everything in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{_free_port()}"
    registry = RealRegistry(host, folder / "storage", folder / "registry.log")
    with _running([str(program), host], registry):
        yield registry


@contextmanager
def run_distribution3(folder: Path, program: Path) -> Iterator[RealRegistry]:
    """Start distribution 3, with its storage in `folder`; it deletes tags and manifests."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    path = folder / "config.yml"
    path.write_text(json.dumps(_config(folder, port, secured=False)))
    registry = RealRegistry(f"127.0.0.1:{port}", folder / "storage", folder / "registry.log")
    with _running([str(program), str(path)], registry):
        yield registry


@contextmanager
def _running(command: list[str], registry: RealRegistry) -> Iterator[None]:
    with (
        registry.log.open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait_until_open(process, registry)
            yield
        finally:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _config(folder: Path, port: int, *, secured: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "one process, one secret"},
    }
    if secured:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    return config


def _write_certificates(folder: Path, config: dict[str, Any]) -> Path:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    ca = folder / "ca.crt"
    authority.cert_pem.write_to_path(ca)
    pem = str(folder / "server.pem")
    config["http"]["tls"] = {"certificate": pem, "key": pem}
    return ca


def _wait_until_open(process: subprocess.Popen[bytes], registry: RealRegistry) -> None:
    port = int(registry.host.rpartition(":")[2])
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the registry stopped: {registry.log_tail()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the registry does not listen: {registry.log_tail()}")
