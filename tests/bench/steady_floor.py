"""The floor of a promotion in which nothing changed: one process that only sends the requests.

    python -m tests.bench.steady_floor CLIENT HOST REPOSITORIES TAGS

Lists each repository, then asks for each tag on both sides, 16 requests at a time. CLIENT is
`squashproxy`, for its own registry client, or `urllib3`, for the library below it without anything
that makes answers of registries safe to use.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import urllib3

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient

_ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
_AT_ONCE = 16


class Client(Protocol):
    """Sends the requests."""

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository."""
        ...

    def digest(self, repository: str, tag: str) -> str:
        """What a tag points to."""
        ...


class Bare:
    """urllib3 alone."""

    def __init__(self, host: str) -> None:
        self._pool = urllib3.HTTPConnectionPool(host, maxsize=_AT_ONCE)
        self._headers = {"Accept": _ACCEPT}

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository; after the last name is asked, too, as squashproxy does."""
        path = f"/v2/{repository}/tags/list?n=1000"
        answer = self._pool.urlopen("GET", path, headers=self._headers, retries=False)
        found: list[str] = json.loads(answer.data)["tags"]
        after = f"{path}&last={found[-1]}"
        self._pool.urlopen("GET", after, headers=self._headers, retries=False)
        return found

    def digest(self, repository: str, tag: str) -> str:
        """What a tag points to."""
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._pool.urlopen("HEAD", path, headers=self._headers, retries=False)
        return answer.headers["Docker-Content-Digest"]


class Ours:
    """The registry client that promotions use."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._client = RegistryClient(environ={})

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository."""
        remote = self._client.repository(Repository(self._host, repository))
        return list(remote.iter_listed_names())

    def digest(self, repository: str, tag: str) -> str:
        """What a tag points to."""
        remote = self._client.repository(Repository(self._host, repository))
        found = remote.find_manifest(tag)
        assert found is not None, "the registry has everything"
        return found.digest


def main(client: Client, repositories: int, tags: int) -> None:
    """Send every request once."""

    def listed(name: str) -> Iterator[tuple[str, str]]:
        return ((name, tag) for tag in client.tags(f"dev/{name}"))

    def ask(pair: tuple[str, str]) -> None:
        for side in ("dev", "prod"):
            client.digest(f"{side}/{pair[0]}", pair[1])

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        names = [f"r{number:05}" for number in range(repositories)]
        pairs = [pair for each in threads.map(listed, names) for pair in each]
        assert len(pairs) == repositories * tags, "the lists are whole"
        for _ in threads.map(ask, pairs):
            pass


if __name__ == "__main__":
    kinds: dict[str, Callable[[str], Client]] = {"squashproxy": Ours, "urllib3": Bare}
    main(kinds[sys.argv[1]](sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
