"""Servers, workers and the broker are killed, stopped and frozen while clients pull."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from squashproxy.testing import FakeRegistry
from tests.fleet.redis_server import redis_server
from tests.fleet.serving import ServingWorker, World
from tests.real.serving import RealServer, run_server
from tests.server.serving import ACCEPT, UP, app

pytestmark = [pytest.mark.real, pytest.mark.long]

IMAGES = 12
SERVERS = 3
WORKERS = 2
EVENTS = 12
CLIENTS = 6


class Storm:
    """Clients that pull, and what befalls what they pull from."""

    def __init__(self, world: World, seed: int, stack: ExitStack) -> None:
        self._world = world
        self._random = random.Random(seed)
        self._stack = stack
        self._count = 0
        self._killed: set[str] = set()
        self._servers = [self._new_server() for _ in range(SERVERS)]
        self._workers = [self._new_worker() for _ in range(WORKERS)]
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.digests: dict[str, set[str]] = defaultdict(set)
        """The digests that clients got of each image."""
        self.wrong: list[str] = []
        self.story: list[str] = []

    def rage(self) -> None:
        """Let clients pull while one thing after another happens."""
        clients = [
            threading.Thread(target=self._pull_on, args=(number,)) for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        events = [
            *(self._kill_worker, self._kill_server, self._restart_broker, self._lose_broker),
            self._freeze_broker,
        ]
        for _ in range(EVENTS):
            self._random.choice(events)()
            time.sleep(self._random.uniform(0.0, 1.5))
        self._over.set()
        for client in clients:
            client.join(120)

    def until_all_are_squashed(self) -> None:
        """Pull until every image is squashed."""
        deadline = time.monotonic() + 120
        left = {f"app{number}" for number in range(IMAGES)}
        while left:
            assert time.monotonic() < deadline, (left, self.story, self._world.snapshot())
            for name in sorted(left):
                answer = self._pull(self._servers[0], name)
                if answer is not None and "X-Squashproxy-Source-Digest" in answer.headers:
                    left.discard(name)
            time.sleep(0.1)

    def _new_server(self) -> RealServer:
        self._count += 1
        section = self._world.section(first_pull={"wait": "2s"}, negative_ttl="1s")
        folder = self._world.folder / f"server-{self._count}"
        return self._stack.enter_context(run_server(folder, section))

    def _new_worker(self) -> ServingWorker:
        return self._stack.enter_context(self._world.worker())

    def _kill_worker(self) -> None:
        self.story.append("a worker is killed")
        at = self._random.randrange(WORKERS)
        self._workers[at].kill()
        self._workers[at] = self._new_worker()

    def _kill_server(self) -> None:
        self.story.append("a server is killed")
        at = self._random.randrange(SERVERS)
        self._killed.add(self._servers[at].host)
        self._servers[at].kill()
        self._servers[at] = self._new_server()

    def _restart_broker(self) -> None:
        self.story.append("the broker is restarted with its data")
        self._world.broker.stop(with_data=True)
        time.sleep(self._random.uniform(0.0, 2.0))
        self._world.broker.start()

    def _lose_broker(self) -> None:
        self.story.append("the broker loses its data")
        self._world.broker.stop()
        self._world.broker.start()

    def _freeze_broker(self) -> None:
        self.story.append("the broker hangs")
        self._world.broker.freeze()
        time.sleep(self._random.uniform(0.0, 3.0))
        self._world.broker.thaw()

    def _pull_on(self, number: int) -> None:
        chance = random.Random(number)
        while not self._over.is_set():
            self._pull(chance.choice(self._servers), f"app{chance.randrange(IMAGES)}")
            time.sleep(0.02)

    def _pull(self, server: RealServer, name: str) -> requests.Response | None:
        """One pull; None where the server was killed meanwhile."""
        url = f"http://{server.host}/v2/{UP}/{name}/manifests/1"
        try:
            answer = requests.get(url, headers=ACCEPT, timeout=60)
        except requests.ConnectionError:
            if server.host not in self._killed:
                self.wrong.append(f"{url}: no connection")
            return None
        with self._lock:
            if answer.status_code != 200:
                self.wrong.append(f"{url}: {answer.status_code} {answer.text[:200]}")
            else:
                self.digests[name].add(answer.headers["Docker-Content-Digest"])
        return answer


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(4))
def test_no_pull_fails_and_every_image_is_squashed_in_the_end(tmp_path: Path, seed: int) -> None:
    with FakeRegistry() as upstream, FakeRegistry() as store, ExitStack() as stack:
        (tmp_path / "redis").mkdir()
        broker = stack.enter_context(redis_server(tmp_path / "redis"))
        world = World(broker, upstream, store, tmp_path)
        sources = {
            f"app{number}": app(f"app{number}", size=400_000).push(upstream, f"app{number}", "1")
            for number in range(IMAGES)
        }
        storm = Storm(world, seed, stack)
        storm.rage()
        storm.until_all_are_squashed()
        assert storm.wrong == [], storm.story
        for name, source in sources.items():
            squashed = storm.digests[name] - {source}
            assert len(squashed) == 1, f"{name} has one squashed image: {squashed}"
        assert upstream.open_uploads == 0
