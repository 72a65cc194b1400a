"""The overhead of a job through the broker: `python -m tests.bench.fleet_overhead [JOBS]`.

A job that does nothing is asked for, one after another, and in eight threads at once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from squashproxy.cancellation import Cancellation
from squashproxy.fleet.fleet import Fleet
from squashproxy.fleet.job import JobKind, JobRequest
from squashproxy.fleet.settings import FleetSettings
from squashproxy.progress import SilentObserver
from tests.fleet.redis_server import redis_server
from tests.fleet.worker_process import workers

_THREADS = 8


def main(count: int) -> int:
    """Measure so many jobs of each kind, and write a line for each."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        settings = FleetSettings(server.url, jobs=2)
        with workers(settings, Path(folder), notes=""), Fleet(settings) as fleet:

            def run(number: int) -> float:
                job = JobRequest(JobKind.PROMOTE, str(number), "nothing")
                began = time.perf_counter()
                fleet.run(job, SilentObserver(), Cancellation())
                return time.perf_counter() - began

            for number in range(20):
                run(-1 - number)
            taken = sorted(run(number) for number in range(count))
            sys.stdout.write(
                f"one after another: median {1000 * median(taken):.1f} ms, "
                f"p90 {1000 * quantiles(taken, n=10)[-1]:.1f} ms\n"
            )
            began = time.perf_counter()
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(run, range(count, 5 * count)))
            each = (time.perf_counter() - began) / (4 * count)
            sys.stdout.write(f"{_THREADS} at once, 2 processes: {1000 * each:.1f} ms a job\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
