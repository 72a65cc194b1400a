"""The same registries twice: one pair for a run in one process, one for a run on workers.

Both must end with the same results, tags and reports.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from squashproxy.testing import FakeRegistry
from tests.fleet.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
_VARYING = frozenset({"seconds", "log"})


def program(*words: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "squashproxy", *words]


@dataclass(slots=True)
class Registries:
    """A source and a target."""

    old: FakeRegistry
    new: FakeRegistry

    def named(self, text: str) -> str:
        """Text with the hosts in place of OLD and NEW."""
        return text.replace("OLD", self.old.host).replace("NEW", self.new.host)

    def plain(self, text: str) -> str:
        """The inverse of `named`."""
        return text.replace(self.old.host, "OLD").replace(self.new.host, "NEW")

    @property
    def tags(self) -> dict[str, str]:
        """Every tag of both, with its digest."""
        return {
            f"{side} {repo}:{tag}": digest
            for side, registry in (("old", self.old), ("new", self.new))
            for repo in registry._store.names()
            for tag, digest in registry.tags(repo).items()
        }


@dataclass(slots=True)
class Ended:
    """How a command ended: its exit code, JSON, and sentences on standard error."""

    code: int
    document: dict[str, Any]
    errors: str


@dataclass(slots=True)
class Side:
    """One of the two: registries, a configuration, and a folder with its state."""

    folder: Path
    registries: Registries
    engine: str
    rules: str = ""

    @property
    def config(self) -> Path:
        return self.folder / "sp.yml"

    def write(self, rules: str, folder: Path | None = None) -> Path:
        """Write the configuration, into another folder for workers."""
        hosts = {self.registries.old.host, self.registries.new.host}
        text = f"state: state\nlayer_memory: none\nengine: {self.engine}\nregistries:\n"
        text += "".join(f"  {host}: {{retry_for: 0s}}\n" for host in sorted(hosts))
        path = (folder or self.folder) / "sp.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + self.registries.named(rules))
        return path

    def run(self, *words: str) -> Ended:
        """Run a command on the configuration."""
        done = subprocess.run(
            program(*words, "--json", str(self.config)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        plain = self.registries.plain
        document = json.loads(plain(done.stdout)) if done.stdout else {}
        return Ended(done.returncode, document, plain(done.stderr))


@dataclass(slots=True)
class WorkerProgram:
    """`squashproxy worker` as a process."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, config: Path, log: Path) -> Self:
        with log.open("wb") as written:
            process = subprocess.Popen(
                program("worker", str(config)),
                cwd=ROOT,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log)

    def wait_for(self, text: str) -> None:
        for _ in range(1200):
            if text in self.log.read_text():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"no {text!r} in {self.log.read_text()}")

    def kill(self) -> None:
        """SIGKILL to it and to its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass(slots=True)
class Twin:
    """A run in one process beside a run on workers."""

    local: Side
    fleet: Side
    broker: RedisServer
    workers: list[WorkerProgram] = field(default_factory=list)

    def fill(self, push: Callable[[Registries], object]) -> None:
        """Fill both pairs of registries alike."""
        for side in (self.local, self.fleet):
            push(side.registries)

    def write(self, rules: str) -> None:
        """Write the rules on both sides, and for the workers."""
        for side in (self.local, self.fleet):
            side.write(rules)
            side.rules = rules

    def run(self, *words: str) -> tuple[Ended, Ended]:
        """Run a command on both sides; in one process first."""
        return self.local.run(*words), self.fleet.run(*words)

    def start_worker(self) -> WorkerProgram:
        """Start a worker with a folder of its own, as on another machine."""
        number = len(self.workers)
        folder = self.fleet.folder / f"worker{number}"
        config = self.fleet.write(self.fleet.rules, folder)
        self.workers.append(WorkerProgram.start(config, folder / "worker.log"))
        return self.workers[-1]

    @contextmanager
    def working(self, count: int = 1) -> Iterator[Sequence[WorkerProgram]]:
        """Some workers, which are killed at the end."""
        started = [self.start_worker() for _ in range(count)]
        for each in started:
            each.wait_for(" takes ")
        yield started

    def close(self) -> None:
        for each in self.workers:
            each.kill()


def same(document: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs from run to run: times, and which of two images that share a
    layer came first and sent it.
    """

    def plain(found: dict[str, Any]) -> dict[str, Any]:
        kept = {name: each for name, each in found.items() if name not in _VARYING}
        if "uploaded_bytes" in kept:
            kept["moved_bytes"] = kept.pop("uploaded_bytes") + kept.pop("reused_bytes")
        return kept

    found: dict[str, Any] = json.loads(json.dumps(document), object_hook=plain)
    return found


@contextmanager
def open_twin(folder: Path, broker: RedisServer) -> Iterator[Twin]:
    """Registries and folders for both sides."""
    with ExitStack() as stack:
        pairs = [
            Registries(stack.enter_context(FakeRegistry()), stack.enter_context(FakeRegistry()))
            for _ in range(2)
        ]
        for name in ("local", "fleet"):
            (folder / name).mkdir()
        engine = f"{{kind: celery, broker: '{broker.url}', lease: 3s, drain: 2s, jobs: 2}}"
        twin = Twin(
            Side(folder / "local", pairs[0], "{kind: local, jobs: 2}"),
            Side(folder / "fleet", pairs[1], engine),
            broker,
        )
        stack.callback(twin.close)
        yield twin
