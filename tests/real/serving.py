"""`squashproxy serve` as a user runs it: a process of its own, with a snippet of deploy/."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.real.registries import PASSWORD, USER, RealRegistry

DEPLOY = Path(__file__).parents[2] / "deploy"
_ADDRESS = "127.0.0.1:5000"
_START_SECONDS = 30


@dataclass
class RealServer:
    """A running server; `host` is 127.0.0.1:PORT."""

    host: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The lines of its access log."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def kill(self) -> None:
        """As the system kills it, without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def snippet(name: str, server: RealServer, folder: Path) -> Path:
    """A file of deploy/ with the server's address in it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((DEPLOY / name).read_text().replace(_ADDRESS, server.host))
    return path


def configuration_for(upstream: RealRegistry | str, store: Mapping[str, str]) -> dict[str, Any]:
    """The server's own snippet, with a registry on loopback in the place of Docker Hub."""
    url = upstream if isinstance(upstream, str) else f"http://{upstream.host}"
    configuration: dict[str, Any] = yaml.safe_load(
        (DEPLOY / "serve" / "squashproxy.yml").read_text()
    )
    section = configuration["serve"]
    section["listen"]["address"] = "127.0.0.1:0"
    section["store"] = dict(store)
    section["upstreams"]["docker.io"] = {"url": url, "username": USER, "password": PASSWORD}
    section["drain"] = "1s"
    return configuration


@contextmanager
def run_server(folder: Path, configuration: Mapping[str, Any]) -> Iterator[RealServer]:
    """Start a server, its files in `folder`, and stop it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "squashproxy.yml"
    path.write_text(yaml.safe_dump(dict(configuration)))
    log = folder / "log"
    errors = folder / "errors"
    command = [sys.executable, "-m", "squashproxy", "serve", str(path)]
    environment = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / ".config")}
    with (
        log.open("ab") as output,
        errors.open("wb") as said,
        subprocess.Popen(command, stdout=output, stderr=said, env=environment) as process,
    ):
        try:
            yield RealServer(_address(process, errors), process, log)
        finally:
            process.terminate()
            process.wait(30)


def _address(process: subprocess.Popen[bytes], errors: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for line in errors.read_text().splitlines():
            if "listening on " in line:
                return line.rpartition("listening on ")[2].partition(",")[0]
        assert process.poll() is None, errors.read_text()
        time.sleep(0.02)
    raise AssertionError(f"the server does not start: {errors.read_text()}")
