"""Two registries that have everything already, as one small process: a source and its target.

    python -m tests.bench.steady_registry REPOSITORIES TAGS OPTIONS

OPTIONS is the hash of options that the target's images are stamped with. Prints the port, serves
until its standard input ends, then prints the number of requests of each kind as JSON.

Repositories under `dev/` hold originals, those under `prod/` their squashed forms. Nothing is kept
for an image: its manifest is made when it is asked for. So the process costs little beside the
client that is measured.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qs

from squashproxy.digest import Digest, digest_of
from squashproxy.pipeline.stamp import Stamp

_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_TLS = b"\x16"
"""The first byte of a client that tries TLS."""


@dataclass(slots=True)
class Registry:
    """What is in the registries, and a count of requests by method and kind."""

    repositories: int
    tags: int
    options: str
    asked: Counter[str] = field(default_factory=Counter)
    by_digest: dict[str, tuple[str, str]] = field(default_factory=dict)

    def answer(self, method: str, target: str) -> bytes:
        """The whole response to a request."""
        path, _, query = target.partition("?")
        parts = path.split("/")
        if "manifests" in parts[-2:]:
            self.asked[f"{method} manifest"] += 1
            return self._manifest(method, "/".join(parts[2:-2]), parts[-1])
        if path.endswith("/tags/list"):
            self.asked[f"{method} tags"] += 1
            names = [f"v{number}" for number in range(self.tags)]
            return _page("tags", names, query, {"name": "/".join(parts[2:-2])})
        if path == "/v2/_catalog":
            self.asked[f"{method} catalog"] += 1
            names = [f"dev/r{number:05}" for number in range(self.repositories)]
            return _page("repositories", names, query, {})
        self.asked[f"{method} other"] += 1
        return _response(200, b"{}", "application/json", "")

    def _manifest(self, method: str, repository: str, selector: str) -> bytes:
        name = (repository, selector)
        if ":" in selector:
            name = self.by_digest.get(selector, ("", ""))
        if not name[0]:
            return _response(
                404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "application/json", ""
            )
        data, digest = manifest(*name, self.options)
        if ":" not in selector:
            self.by_digest[digest] = name
        return _response(200, data, _TYPE, digest, is_head=method == "HEAD")


@lru_cache(maxsize=1 << 18)
def manifest(repository: str, tag: str, options: str) -> tuple[bytes, Digest]:
    """The manifest of an image, and its digest."""
    place, _, name = repository.partition("/")
    seed = f"{name}:{tag}"
    layers = 6 if place == "dev" else 2
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": _TYPE,
        "config": _blob(f"{place} config of {seed}", _CONFIG),
        "layers": [
            _blob(f"layer {number} of {seed if number else 'all'}", _LAYER)
            for number in range(layers)
        ],
    }
    if place == "prod":
        _, source = manifest(f"dev/{name}", tag, options)
        document["annotations"] = Stamp(source, options).annotations
    data = json.dumps(document).encode()
    return data, digest_of(data)


def _blob(seed: str, kind: str) -> dict[str, object]:
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": 1234}


def _page(key: str, names: list[str], query: str, fields: dict[str, object]) -> bytes:
    asked = parse_qs(query)
    last = asked.get("last", [""])[0]
    count = int(asked.get("n", ["1000"])[0])
    after = names.index(last) + 1 if last in names else 0
    page = names[after : after + count]
    return _response(200, json.dumps({**fields, key: page}).encode(), "application/json", "")


def _response(status: int, body: bytes, kind: str, digest: str, *, is_head: bool = False) -> bytes:
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    if digest:
        head += f"Docker-Content-Digest: {digest}\r\n"
    head += "Docker-Distribution-Api-Version: registry/2.0\r\n\r\n"
    return head.encode() + (b"" if is_head else body)


class _Connection(asyncio.Protocol):
    def __init__(self, answer: Callable[[str, str], bytes]) -> None:
        self._answer = answer
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if data.startswith(_TLS):
            self._transport.close()
            return
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            method, target, _ = self._data[: self._data.index(b"\r\n")].decode().split(" ")
            self._data = self._data[end + 4 :]
            self._transport.write(self._answer(method, target))


async def _serve(registry: Registry) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(registry.answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - its answer
    async with server:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            if line.strip() == "count":
                print(json.dumps(registry.asked), flush=True)  # noqa: T201 - its answer
                registry.asked.clear()


if __name__ == "__main__":
    asyncio.run(_serve(Registry(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
