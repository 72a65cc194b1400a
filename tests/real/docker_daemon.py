"""A docker daemon of the tests' own, with its own storage; it runs no containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.judges import CommandFailedError, run

_START_SECONDS = 60
_POLL_SECONDS = 0.1
_ISOLATED = (
    *("--bridge=none", "--iptables=false", "--ip6tables=false"),
    *("--storage-driver=vfs", "--log-level=error"),
)


def why_no_docker() -> str | None:
    """Why no daemon can run here, None where one can."""
    if shutil.which("dockerd") is None or shutil.which("docker") is None:
        return "not installed"
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "this machine allows no mount namespaces" if probe.returncode else None


@contextmanager
def run_docker(folder: Path, configuration: Path | None = None) -> Iterator[dict[str, str]]:
    """Start a daemon with its files in `folder`, and stop it; the environment that leads to it.

    `configuration` is its daemon.json; without one, the machine's own is not read, either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if configuration is None:
        configuration = folder / "daemon.json"
        configuration.write_text("{}")
    socket = folder / "docker.sock"
    command = [
        "dockerd",
        *(f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}"),
        *(f"--pidfile={folder / 'pid'}", f"--host=unix://{socket}", *_ISOLATED),
        f"--config-file={configuration}",
    ]
    environment = {"DOCKER_HOST": f"unix://{socket}"}
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
        ) as process,
    ):
        try:
            _wait_until_ready(process, environment, log)
            yield environment
        finally:
            process.terminate()
            process.wait()
            if os.path.ismount(folder / "data"):  # a daemon that did not start leaves it behind
                subprocess.run(["umount", folder / "data"], check=True)


def _wait_until_ready(
    process: subprocess.Popen[bytes], environment: dict[str, str], log: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            run(["docker", "version"], environment)
        except CommandFailedError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise RuntimeError(f"dockerd does not answer: {log.read_text(errors='replace')[-2000:]}")
