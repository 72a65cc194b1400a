"""A container as orchestrators run it: runc, a read-only root, no capabilities, no root."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.real.judges import run
from tests.real.registries import RealRegistry

_START_SECONDS = 60
_POLL_SECONDS = 0.05
_SHARED = ("cgroup", "network")
_CGROUPS = ("/sys/fs/cgroup",)


class Container:
    """An image, unpacked with its configuration by umoci; runc runs commands in it.

    The host's network is used unless `own_network`, where only loopback is up.
    """

    def __init__(
        self, registry: RealRegistry, image: str, folder: Path, volumes: Sequence[str]
    ) -> None:
        self._folder = folder
        self._bundle = folder / "bundle"
        layout = folder / "layout"
        command = ("skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false")
        source = f"docker://{registry.host}/{image}"
        run([*command, "--format=oci", source, f"oci:{layout}:image"])
        run(["umoci", "unpack", "--image", f"{layout}:image", self._bundle])
        self._volumes = tuple(volumes)
        self._configuration = json.loads((self._bundle / "config.json").read_text())

    @property
    def root(self) -> Path:
        """The root of the container."""
        return self._bundle / "rootfs"

    @property
    def user(self) -> tuple[int, int]:
        """Its user and group."""
        user = self._configuration["process"]["user"]
        return user["uid"], user["gid"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; the program's path comes first."""
        self._write(arguments, own_network=False)
        return self._runc("run", uuid.uuid4().hex)

    @contextmanager
    def running(self, *arguments: str, until: str) -> Iterator[str]:
        """Run a command in a network of its own until the block ends; yields its name.

        The block begins when the command has said `until`.
        """
        self._write(arguments, own_network=True)
        name = uuid.uuid4().hex
        command = [*self._command("run"), "--bundle", str(self._bundle), name]
        with (
            (self._folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process,
        ):
            try:
                self._wait(process, until)
                yield name
            finally:
                self._runc("kill", name, "TERM")
                try:
                    process.wait(60)
                finally:
                    self._runc("kill", name, "KILL")

    def _wait(self, process: subprocess.Popen[bytes], text: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while text not in self.log:
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(_POLL_SECONDS)

    def execute(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container that runs already, as a health check is."""
        command = [*self._command("exec"), name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    @property
    def _of_user(self) -> tuple[str, str]:
        """How orchestrators mount a volume: it belongs to the image's user."""
        user, group = self.user
        return f"uid={user}", f"gid={group}"

    @property
    def log(self) -> str:
        """What the container that runs, or ran, has said."""
        return (self._folder / "log").read_text()

    def _command(self, verb: str) -> list[str]:
        return ["runc", "--root", str(self._folder / "runc"), verb]

    def _runc(self, verb: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        bundle = ("--bundle", str(self._bundle)) if verb == "run" else ()
        command = [*self._command(verb), *bundle, name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    def _write(self, arguments: Sequence[str], *, own_network: bool) -> None:
        """Write runc's configuration: that of the image, and what an orchestrator adds."""
        document: dict[str, Any] = json.loads(json.dumps(self._configuration))
        process, linux = document["process"], document["linux"]
        process.update(args=list(arguments), terminal=False, capabilities={}, noNewPrivileges=True)
        process.pop("rlimits", None)
        document["root"]["readonly"] = True
        shared = [name for name in _SHARED if not (own_network and name == "network")]
        linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] not in shared]
        for name in ("resources", "cgroupsPath"):
            linux.pop(name, None)
        mounts = [
            each
            for each in document["mounts"]
            if each["destination"] not in {*_CGROUPS, *self._volumes}
        ]
        mounts += [_temporary(place, *self._of_user) for place in self._volumes]
        document["mounts"] = [*mounts, _temporary("/tmp", "mode=1777")]
        (self._bundle / "config.json").write_text(json.dumps(document))


def _temporary(place: str, *options: str) -> dict[str, Any]:
    return {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": list(options)}
