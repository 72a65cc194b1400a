"""How many entries a second go through scan and merge: no network, no inflating, one thread.

    python -m tests.bench.merge [ENTRIES]

Prints a JSON document with `entries_per_second`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

from squashproxy.squash.layer import MergeOptions
from squashproxy.squash.merge import Merge
from tests.bench.content import Pool, iter_file, iter_tar
from tests.model.squashing import MemoryLayer

_CHUNK = 256 << 10


def measure(entries: int) -> dict[str, float]:
    """Merge two layers of half as many files each."""
    pool = Pool()
    tars = [b"".join(_iter_layer(pool, number, entries // 2)) for number in range(2)]
    layers = [MemoryLayer(f"layer {number}", tar, _CHUNK) for number, tar in enumerate(tars)]
    merge = Merge(layers, MergeOptions())
    begun = time.perf_counter()
    for _ in merge.iter_spans():
        pass
    return {"entries_per_second": round(merge.report.entries / (time.perf_counter() - begun))}


def _iter_layer(pool: Pool, layer: int, count: int) -> Iterator[bytes]:
    return iter_tar(
        iter_file(
            f"srv/{layer}/{number // 100:05}/{number % 100:02}.txt",
            pool.iter_content(number, 300),
            300,
        )
        for number in range(count)
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
