"""The floor of a promotion in which nothing changed: one process that only sends the requests.

    python -m tests.bench.steady_floor HOST REPOSITORIES TAGS

Lists each repository, then asks for each tag on both sides, 16 requests at a time, with urllib3, as
squashproxy does. Looks at nothing but the digests, and remembers none.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import urllib3

_ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


def main(host: str, repositories: int, tags: int) -> None:
    """Send every request once."""
    pool = urllib3.HTTPConnectionPool(host, maxsize=16)
    headers = {"Accept": _ACCEPT}

    def digest(path: str) -> str:
        response = pool.urlopen("HEAD", path, headers=headers, retries=False)
        return response.headers["Docker-Content-Digest"]

    def ask(names: tuple[str, str]) -> bool:
        repository, tag = names
        there = [digest(f"/v2/{side}/{repository}/manifests/{tag}") for side in ("dev", "prod")]
        return there[0] == there[1]

    def listed(repository: str) -> list[tuple[str, str]]:
        path = f"/v2/dev/{repository}/tags/list?n=1000"
        found = json.loads(pool.urlopen("GET", path, headers=headers, retries=False).data)["tags"]
        last = f"{path}&last={found[-1]}"
        pool.urlopen("GET", last, headers=headers, retries=False)
        return [(repository, tag) for tag in found]

    with ThreadPoolExecutor(16) as threads:
        names = [f"r{number:05}" for number in range(repositories)]
        pairs = [pair for each in threads.map(listed, names) for pair in each]
        assert len(pairs) == repositories * tags
        for _ in threads.map(ask, pairs):
            pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
