"""The parts of compose.yml as plain processes: the same files, the same command lines.

Addresses and paths of containers are replaced by those of this machine, in copies of the files.
What Debian has no package of (Grafana) is left out, with a line that says so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PORTS = {"serve": 5000, "run": 5000, "redis": 6379, "registry": 5000, "prometheus": 9090}
"""Where each part listens in its container."""
PROGRAMS = {
    "redis": ("redis-server",),
    "registry": ("docker-registry",),
    "prometheus": ("prometheus",),
}
"""What stands for the entry point of an image, and is the name of a package of Debian, too."""
_START_SECONDS = 60
_WRONG_CONFIGURATION = 2
_POLL_SECONDS = 0.05


class PartError(Exception):
    """A part cannot be started, or has ended; the text is one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A process to start: its command line, its own environment, and where it will listen."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    log: Path
    grace: float


@dataclass(slots=True)
class Running:
    """The parts that run, in the order in which they were started."""

    processes: dict[Part, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, part: Part) -> int:
        """Start a part, and wait until it listens; return its process. Raises PartError."""
        environment = {**os.environ, **part.environment}
        with part.log.open("ab") as log:
            # In a session of its own: Ctrl-C is for this program, which ends the others in order.
            process = subprocess.Popen(
                part.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self.processes[part] = process
        deadline = time.monotonic() + _START_SECONDS
        while part.address and not _is_open(part.address):
            if process.poll() is not None:
                raise _ended(part, process)
            if time.monotonic() > deadline:
                raise PartError(f"{part.name} does not listen at {part.address}; see {part.log}")
            time.sleep(_POLL_SECONDS)
        return process.pid

    def start_ended(self) -> Iterator[Part]:
        """Start again what has ended, as compose does; yields the parts.

        Raises PartError for a configuration that is not valid, which starting again does not heal.
        """
        for part, process in list(self.processes.items()):
            if process.poll() is not None:
                _end_group(process)
                if process.returncode == _WRONG_CONFIGURATION:
                    raise _ended(part, process)
                self.start(part)
                yield part

    def stop(self) -> None:
        """End all parts, the last one first, each with the time that compose would give it."""
        for part, process in reversed(self.processes.items()):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(part.grace)
            _end_group(process)
        self.processes.clear()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a part, as a container ends with its first process."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ended(part: Part, process: subprocess.Popen[bytes]) -> PartError:
    return PartError(
        f"{part.name} has ended with code {process.returncode}; the end of {part.log}:\n"
        f"{_tail(part.log)}"
    )


def parts_of(folder: Path, workers: int) -> tuple[list[Part], list[str]]:
    """The parts, those first that others need, and the names of those that are left out.

    Their files are copied into `folder`. Raises PartError where a program is not installed.
    """
    services: dict[str, Any] = yaml.safe_load((HERE / "compose.yml").read_text())["services"]
    known = {name: service for name, service in _ordered(services) if name in {*PORTS, "worker"}}
    addresses = _addresses(services)
    found: list[Part] = []
    for name, service in known.items():
        copies = workers if name == "worker" else 1
        for number in range(1, copies + 1):
            label = name if copies == 1 else f"{name}-{number}"
            found.append(_part(name, label, service, addresses, folder / label))
    return found, [name for name in services if name not in known]


def _part(
    name: str, label: str, service: dict[str, Any], addresses: Mapping[str, str], folder: Path
) -> Part:
    own = addresses.get(f"{name}:{PORTS[name]}", "") if name in PORTS else ""
    texts = dict(addresses)
    if own:
        texts[f"0.0.0.0:{PORTS[name]}"] = own
    paths = _places(service, folder)
    for source, inside in _files(service):
        target = Path(_replaced(inside, {}, paths))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_replaced(source.read_text(), texts, paths))
    command = [_replaced(word, texts, paths) for word in service["command"]]
    environment = {
        key: _replaced(value, texts, paths) for key, value in service.get("environment", {}).items()
    }
    return Part(
        label,
        [*_program(name, command), *_own_options(name, own, folder)],
        {**environment, **_own_environment(name, own, folder)},
        own,
        folder / "log",
        float(str(service.get("stop_grace_period", "10s")).removesuffix("s")),
    )


def _program(name: str, command: list[str]) -> list[str]:
    if name not in PROGRAMS:
        return [sys.executable, "-m", "squashproxy", *command]
    (program,) = PROGRAMS[name]
    path = shutil.which(program)
    if path is None:
        raise PartError(f"{program} is not installed; on Debian: apt-get install {program}")
    return [path, *(command[1:] if command[0] == program else command)]


def _own_options(name: str, own: str, folder: Path) -> list[str]:
    """Options for what an image decides by itself: where to listen, and where data lies."""
    if name == "redis":
        return ["--bind", "127.0.0.1", "--port", own.rpartition(":")[2]]
    if name == "prometheus":
        return [f"--web.listen-address={own}"]
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    return []


def _own_environment(name: str, own: str, folder: Path) -> dict[str, str]:
    if name == "registry":
        return {"REGISTRY_HTTP_ADDR": own}
    return {} if name in PROGRAMS else {"XDG_CACHE_HOME": str(folder / "cache")}


def _places(service: dict[str, Any], folder: Path) -> dict[str, str]:
    """The folders of a container, and those of this machine that stand for them."""
    inside = [str(volume).split(":")[1] for volume in service.get("volumes", ())]
    inside += [str(place).split(":")[0] for place in service.get("tmpfs", ())]
    places = {place: str(folder / place.lstrip("/")) for place in inside}
    files = {target for _, target in _files(service)}
    for place, here in places.items():
        if place not in files:
            Path(here).mkdir(parents=True, exist_ok=True)
    return places


def _files(service: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files of the repository that a service reads, with their paths in the container."""
    for volume in service.get("volumes", ()):
        source, inside, *_ = str(volume).split(":")
        if source.startswith("."):
            yield HERE / source, inside


def _replaced(text: str, addresses: Mapping[str, str], paths: Mapping[str, str]) -> str:
    """Replace each address and path once; what came for one is not looked at again."""
    names = {**addresses, **paths}
    if not names:
        return text
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = rf"(?<![\w.-])(?:{'|'.join(longest_first)})(?![\w.-])"
    return re.sub(pattern, lambda found: names[found.group()], text)


def _ordered(services: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The services, those first that others depend on."""
    waiting = dict(services)
    while waiting:
        free = [
            name
            for name, service in waiting.items()
            if waiting.keys().isdisjoint(service.get("depends_on", ()))
        ]
        for name in free:
            yield name, waiting.pop(name)


def _addresses(services: dict[str, Any]) -> dict[str, str]:
    """Where each part listens here: at the port that compose publishes, if it is free, or at any.

    All sockets stay open until the last port is found, so that no two parts get the same one.
    """
    found: dict[str, str] = {}
    with ExitStack() as probes:
        for name, inside in PORTS.items():
            published = [str(port).split(":") for port in services[name].get("ports", ())]
            wished = [int(port) for _, port, target in published if int(target) == inside]
            probe = probes.enter_context(socket.socket())
            found[f"{name}:{inside}"] = f"127.0.0.1:{_bind(probe, [*wished, 0])}"
    return found


def _bind(probe: socket.socket, ports: Sequence[int]) -> int:
    """Take the first of these ports that is free; 0 is any. Return its number."""
    for port in ports:
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            break
    found: int = probe.getsockname()[1]
    return found


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - this is a program


def _stop_at_signal(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Start all parts, and end them at Ctrl-C or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where data and logs go; default: a new one")
    parser.add_argument("--workers", type=int, default=1, help="how many workers; default: 1")
    chosen = parser.parse_args(arguments)
    folder = (chosen.folder or Path(tempfile.mkdtemp(prefix="squashproxy-"))).resolve()
    signal.signal(signal.SIGTERM, _stop_at_signal)
    running = Running()
    try:
        parts, left_out = parts_of(folder, chosen.workers)
        for part in parts:
            process = running.start(part)
            _say(f"{part.name}: {part.address or 'runs'}, process {process}")
        for name in left_out:
            _say(f"{name}: left out, as Debian has no package of it")
        _say(f"all of it runs; data and logs are in {folder}; end it with Ctrl-C")
        while True:
            for part in running.start_ended():
                _say(f"{part.name}: had ended, and runs again; see {part.log}")
            time.sleep(1)
    except PartError as error:
        _say(f"without_docker: {error}")
        return 1
    except KeyboardInterrupt:
        _say("ending")
        return 0
    finally:
        running.stop()


if __name__ == "__main__":
    sys.exit(main())
