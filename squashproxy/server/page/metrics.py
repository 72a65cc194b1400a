"""Metrics for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from squashproxy.pipeline.distinct_layers import DistinctLayers, distinct_bytes
from squashproxy.server.jobs.fleet_watch import FleetState
from squashproxy.server.page.fleet_metrics import FleetCollector
from squashproxy.server.store.base import Usage
from squashproxy.server.upstream.clients import Health, UpstreamState
from squashproxy.state.runs import RunHistory

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 25, 30, 60, 300)
_JOB_SECONDS = (0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600, 1800)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals on the page; bytes from upstream and to clients."""

    requests: int
    bytes_in: int
    bytes_out: int


class Metrics:
    """The metrics of one server, apart from those of others in the same process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "squashproxy_requests", "Requests answered.", "kind", "outcome"
        )
        self._seconds = Histogram(
            "squashproxy_request_seconds",
            "Time until a request was answered whole.",
            ["kind"],
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._jobs = self._counter("squashproxy_jobs", "Squashing jobs ended.", "outcome")
        self._job_seconds = Histogram(
            "squashproxy_job_seconds",
            "How long squashing took.",
            registry=self._registry,
            buckets=_JOB_SECONDS,
        )
        self._in = self._counter("squashproxy_upstream_bytes", "Bytes fetched for clients.")
        self._out = self._counter("squashproxy_sent_bytes", "Bytes of bodies sent to clients.")
        self._saved = self._counter(
            "squashproxy_saved_bytes", "Compressed bytes that squashing left out, once an image."
        )
        self._failures = self._counter(
            "squashproxy_upstream_errors", "Calls that an upstream failed.", "upstream", "kind"
        )
        self._stale = self._counter(
            "squashproxy_stale", "Tags answered from memory, as upstream did not.", "upstream"
        )
        self._evictions = self._counter("squashproxy_evictions", "Entries evicted from the store.")
        self._counts = {"requests": 0, "in": 0, "out": 0}

    @property
    def totals(self) -> Totals:
        """The sums since the server began."""
        counts = self._counts
        return Totals(counts["requests"], counts["in"], counts["out"])

    def count_request(self, kind: str, outcome: str, seconds: float) -> None:
        """Count an answered request; `outcome` is the origin of the answer, or the status."""
        self._counts["requests"] += 1
        self._requests.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def count_job(self, outcome: str, seconds: float) -> None:
        """Count a job that ended."""
        self._jobs.labels(outcome).inc()
        self._job_seconds.observe(seconds)

    def count_saved(self, saved: int) -> None:
        """Count the bytes that squashing an image saved."""
        self._saved.inc(max(0, saved))

    def count_in(self, count: int) -> None:
        """Count bytes from upstream; from any thread."""
        with self._lock:
            self._counts["in"] += count
        self._in.inc(count)

    def count_out(self, count: int) -> None:
        """Count bytes to a client."""
        self._counts["out"] += count
        self._out.inc(count)

    def count_failure(self, upstream: str, kind: str) -> None:
        """Count a call that an upstream failed; from any thread."""
        self._failures.labels(upstream, kind).inc()

    def count_stale(self, upstream: str) -> None:
        """Count a tag that was answered from memory because an upstream was down."""
        self._stale.labels(upstream).inc()

    def count_evictions(self, count: int) -> None:
        """Count entries that the store evicted."""
        self._evictions.inc(count)

    def watch(
        self,
        jobs: Callable[[], tuple[int, int, int]],
        usage: Callable[[], Usage],
        states: Callable[[], dict[str, UpstreamState]],
    ) -> None:
        """Ask these whenever the figures are read: jobs running, waiting, and their waiters."""
        for position, (name, text) in enumerate(
            (
                ("squashproxy_jobs_running", "Jobs that run."),
                ("squashproxy_jobs_waiting", "Jobs that wait for their turn."),
                ("squashproxy_job_waiters", "Requests that wait for a job."),
            )
        ):
            gauge = Gauge(name, text, registry=self._registry)
            gauge.set_function(lambda at=position: jobs()[at])  # type: ignore[misc]
        used = Gauge("squashproxy_store_bytes", "Bytes in the store.", registry=self._registry)
        used.set_function(lambda: usage().used or 0)
        most = Gauge("squashproxy_store_max_bytes", "Its bound.", registry=self._registry)
        most.set_function(lambda: usage().most or 0)
        self._watch_upstreams(states)

    def _watch_upstreams(self, states: Callable[[], dict[str, UpstreamState]]) -> None:
        up = Gauge(
            "squashproxy_upstream_up", "1 where it answers.", ["upstream"], registry=self._registry
        )
        left = Gauge(
            "squashproxy_upstream_ratelimit_remaining",
            "Pulls that it still allows.",
            ["upstream"],
            registry=self._registry,
        )
        for host in states():
            up.labels(host).set_function(
                lambda name=host: float(states()[name].health is Health.UP)  # type: ignore[misc]
            )
            left.labels(host).set_function(
                lambda name=host: _or_nan(states()[name].remaining)  # type: ignore[misc]
            )

    def watch_layers(self, layers: Callable[[], list[DistinctLayers]]) -> None:
        """Ask for the layers of squashed images whenever the figures are read."""
        self._registry.register(_DistinctCollector(layers))

    def watch_runs(self, runs: RunHistory) -> None:
        """Include the runs of rules, from their history."""
        self._registry.register(_RunCollector(runs))

    def watch_fleet(self, state: Callable[[], FleetState]) -> None:
        """Include the fleet, as it was when it was last looked at."""
        self._registry.register(FleetCollector(state))

    def render(self) -> bytes:
        """All metrics in Prometheus's text format; may block for a moment."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)


class _DistinctCollector(Collector):
    def __init__(self, layers: Callable[[], list[DistinctLayers]]) -> None:
        self._layers = layers

    def collect(self) -> Iterator[Metric]:
        """Bytes of the layers of squashed images and of their originals, each layer once."""
        layers = self._layers()
        total = distinct_bytes(layers)
        size = GaugeMetricFamily(
            "squashproxy_distinct_bytes",
            "Compressed bytes of the layers of squashed images, each layer once.",
            labels=("what",),
        )
        size.add_metric(["original"], total.plain)
        size.add_metric(["served"], total.held)
        yield size
        yield GaugeMetricFamily(
            "squashproxy_distinct_images",
            "Squashed images that squashproxy_distinct_bytes is about.",
            value=len(layers),
        )


class _RunCollector(Collector):
    def __init__(self, runs: RunHistory) -> None:
        self._runs = runs

    def collect(self) -> Iterator[Metric]:
        """How many runs of each rule the history holds, and when the last one ended."""
        count = GaugeMetricFamily(
            "squashproxy_rule_runs",
            "Runs of a rule that its history holds.",
            labels=("outcome", "rule", "section"),
        )
        ended = GaugeMetricFamily(
            "squashproxy_rule_last_end_seconds",
            "When a rule last ended so, in unix seconds.",
            labels=("outcome", "rule", "section"),
        )
        for section, rule, outcome, number, last in self._runs.counts():
            count.add_metric([outcome.value, rule, section], number)
            ended.add_metric([outcome.value, rule, section], last)
        yield count
        yield ended


def _or_nan(value: int | None) -> float:
    return float("nan") if value is None else float(value)
