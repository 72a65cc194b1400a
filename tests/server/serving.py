"""A server in this process, in a thread of its own, with real sockets on both sides."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import requests

from squashproxy.config.read import parse_configuration
from squashproxy.oci.mediatypes import INDEXES, MANIFESTS
from squashproxy.oci.platform import Platform
from squashproxy.registry.options import ClientOptions
from squashproxy.server.jobs.fleet_work import ServeFleet
from squashproxy.server.listen import serve
from squashproxy.testing import BuiltIndex, FakeRegistry, ImageBuilder, LayerBuilder, index_of
from tests.server.leftovers import open_files

ACCEPT = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
UP = "up.example"
"""What the tests call the upstream that a FakeRegistry stands in for."""


@dataclass
class Served:
    """A running server: `urls` are those of its listeners, `log` its access log."""

    urls: list[str]
    log: StringIO
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> requests.Response:
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {**ACCEPT, **options.pop("headers", {})}
        return self.session.request(
            method, f"{self.url}{path}", headers=headers, timeout=60, **options
        )

    def log_lines(self, count: int) -> list[dict[str, Any]]:
        """The first lines of the access log, which a thread of its own writes."""
        deadline = time.monotonic() + 20
        while self.log.getvalue().count("\n") < count:
            assert time.monotonic() < deadline, "the log lacks lines"
            time.sleep(0.01)
        return [json.loads(line) for line in self.log.getvalue().splitlines()[:count]]

    def manifest(self, repo: str, selector: str, **options: Any) -> requests.Response:
        return self.get(f"/v2/{UP}/{repo}/manifests/{selector}", **options)

    def blob(self, repo: str, digest: str, **options: Any) -> requests.Response:
        return self.get(f"/v2/{UP}/{repo}/blobs/{digest}", **options)


def settings(upstream: FakeRegistry | str, folder: Path, **more: Any) -> dict[str, Any]:
    """The configuration of a server for one upstream; `more` are keys of the section `serve`."""
    url = upstream if isinstance(upstream, str) else upstream.url
    section = {
        "listen": "127.0.0.1:0",
        "upstreams": {UP: {"url": url}},
        "store": {"directory": str(folder / "store")},
        "drain": "1s",
        **more,
    }
    return {"serve": section}


@contextmanager
def run_serve(
    configuration: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    *,
    may_leave_files: bool = False,
    fleet: ServeFleet | None = None,
) -> Iterator[Served]:
    """Serve until the end of the block; an error of the server's is raised there.

    A stopped server leaves no task and no open file of its store; `may_leave_files` is for tests
    whose upstream hangs for longer than the server waits.
    """
    parsed = parse_configuration(json.dumps(configuration), "serve.yml", Path(), {})
    log = StringIO()
    ready: list[list[str]] = []
    state = _State()

    def tell(addresses: list[str]) -> None:
        ready.append(addresses)
        state.event.set()

    async def run() -> None:
        state.loop = asyncio.get_running_loop()
        state.stop = asyncio.Event()
        await serve(
            parsed,
            ClientOptions(),
            environ or {},
            access_log=log,
            on_ready=tell,
            until=state.stop.wait,
            fleet=fleet,
        )
        state.tasks = [str(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]

    def main() -> None:
        try:
            with asyncio.Runner(loop_factory=make_loop) as runner:
                runner.run(run())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            state.error = error
        finally:
            state.event.set()

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert state.event.wait(30)
    if state.error is not None:
        raise state.error
    served = Served([f"http://{address}" for address in ready[0]], log)
    try:
        yield served
    finally:
        served.session.close()
        assert state.loop is not None
        assert state.stop is not None
        state.loop.call_soon_threadsafe(state.stop.set)
        thread.join(30)
        assert not thread.is_alive(), "the server does not end"
    if state.error is not None:
        raise state.error
    assert state.tasks == [], "the server left tasks"
    store = configuration["serve"]["store"].get("directory")
    if store is not None and not may_leave_files:
        assert open_files(Path(store)) == [], "the server left files open"


class _State:
    def __init__(self) -> None:
        self.event = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stop: asyncio.Event | None = None
        self.error: BaseException | None = None
        self.tasks: list[str] = []


def both_platforms() -> BuiltIndex:
    """An index of two images with three layers each."""
    images = []
    for architecture in ("amd64", "arm64"):
        image = ImageBuilder(platform=Platform("linux", architecture))
        for number in range(3):
            layer = LayerBuilder()
            layer.file(f"{architecture}{number}", b"content")
            image.layer(layer)
        images.append(image)
    return index_of(images)


def app(
    seed: str = "app",
    layers: int = 4,
    size: int = 2000,
    annotations: Mapping[str, str] | None = None,
) -> ImageBuilder:
    """An image whose layers above the first hide a part of each other."""
    image = ImageBuilder(annotations=annotations)
    for number in range(layers):
        layer = LayerBuilder()
        content = random.Random(f"{seed}{number}")
        layer.file(f"{seed}{number}", content.randbytes(size // 2))
        layer.file("same", content.randbytes(size // 2))
        image.layer(layer)
    return image
