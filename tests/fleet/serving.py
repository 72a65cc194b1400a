"""Servers and workers of one configuration: an upstream, a store, and a broker between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from squashproxy.automation.fleet import fleet_settings
from squashproxy.automation.serve import opened_fleet
from squashproxy.config.configuration import Configuration
from squashproxy.config.read import parse_configuration
from squashproxy.fleet.broker import Broker
from squashproxy.fleet.snapshot import Snapshot
from squashproxy.fleet.view import read_snapshot
from squashproxy.testing import FakeRegistry
from tests.fleet.redis_server import RedisServer
from tests.server.serving import UP, Served, run_serve


class World:
    """What servers and workers share; `folder` holds the files of workers."""

    def __init__(
        self, broker: RedisServer, upstream: FakeRegistry, store: FakeRegistry, folder: Path
    ) -> None:
        self.broker = broker
        self.upstream = upstream
        self.store = store
        self.folder = folder
        self._number = 0

    def section(self, **more: Any) -> dict[str, Any]:
        """The configuration; `more` are keys of the section `serve`."""
        engine = {"kind": "celery", "broker": self.broker.url, "lease": "2s", "drain": "1s"}
        return {
            "engine": engine,
            "layer_memory": "none",
            "state": str(self.folder / "state"),
            "serve": {
                "listen": "127.0.0.1:0",
                "upstreams": {UP: {"url": self.upstream.url}},
                "store": {"registry": f"{self.store.host}/cache"},
                "drain": "1s",
                **more,
            },
        }

    def configuration(self, **more: Any) -> Configuration:
        """The same, read."""
        return parse_configuration(json.dumps(self.section(**more)), "serve.yml", Path(), {})

    @contextmanager
    def server(self, **more: Any) -> Iterator[Served]:
        """A server in this process that runs during the block."""
        with (
            opened_fleet(self.configuration(**more), None) as fleet,
            run_serve(self.section(**more), fleet=fleet) as served,
        ):
            yield served

    @contextmanager
    def worker(self) -> Iterator[ServingWorker]:
        """A worker process that runs during the block."""
        self._number += 1
        worker = ServingWorker(self.section(), self.folder / f"worker-{self._number}")
        try:
            worker.wait_ready()
            yield worker
        finally:
            worker.kill()

    def snapshot(self) -> Snapshot:
        """The state of the fleet."""
        broker = Broker(fleet_settings(self.configuration()))
        try:
            return read_snapshot(broker)
        finally:
            broker.close()


class ServingWorker:
    """`squashproxy worker`, as users run it."""

    def __init__(self, section: dict[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True)
        path = folder / "squashproxy.yml"
        path.write_text(json.dumps(section))
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "squashproxy", "worker", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"HOME": str(folder)},
            )

    def wait_ready(self) -> None:
        """Wait until it listens to its queues."""
        deadline = time.monotonic() + 30
        while "takes interactive" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to it and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def metric(served: Served, name: str) -> float:
    """The value of a metric; 0 where there is none."""
    for line in served.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def squashed_count(served: Served) -> float:
    """How many images a server counts as squashed by jobs that it began."""
    return metric(served, 'squashproxy_jobs_total{outcome="squashed"}')


def until_squashed(served: Served, repo: str) -> None:
    """Pull until the image is squashed; no pull may fail meanwhile."""
    deadline = time.monotonic() + 60
    while True:
        answer = served.manifest(repo, "1")
        assert answer.status_code == 200, answer.text
        if "X-Squashproxy-Source-Digest" in answer.headers:
            return
        assert time.monotonic() < deadline, served.get("/api/v1/status").json()
        time.sleep(0.05)
