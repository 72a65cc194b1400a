"""Metrics of the fleet, from the last look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from squashproxy.fleet.job import JobState, QueueName
from squashproxy.fleet.snapshot import QueueView, Snapshot
from squashproxy.server.jobs.fleet_watch import FleetState

_PREFIX = "squashproxy_fleet_"


class FleetCollector(Collector):
    """The metrics of the fleet that `state` returns.

    While the broker is away, only that is told: what was true before it left would mislead.
    """

    def __init__(self, state: Callable[[], FleetState]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """All metrics of the fleet."""
        state = self._state()
        snapshot = None if state.away else state.snapshot
        yield _gauge("broker_up", "1 where the broker answers.", float(snapshot is not None))
        if snapshot is not None:
            yield from _iter_gauges(snapshot)
            yield from _iter_queues(snapshot)
            yield from _iter_counters(snapshot)


def _iter_gauges(snapshot: Snapshot) -> Iterator[Metric]:
    counts = snapshot.counts
    yield _gauge("workers", "Workers that are alive.", len(snapshot.workers))
    yield _gauge("running", "Jobs that a worker holds.", counts.get(JobState.RUNNING, 0))
    yield _gauge(
        *("parked", "Jobs that ended their worker again and again, and wait for a person."),
        counts.get(JobState.PARKED, 0),
    )
    yield _gauge("failed", "Jobs that failed in the last day.", counts.get(JobState.FAILED, 0))


def _iter_queues(snapshot: Snapshot) -> Iterator[Metric]:
    queued = GaugeMetricFamily(f"{_PREFIX}queued", "Jobs that wait for a worker.", labels=["queue"])
    oldest = GaugeMetricFamily(
        f"{_PREFIX}oldest_seconds", "How long the oldest of them has waited.", labels=["queue"]
    )
    for name in QueueName:
        view = snapshot.queues.get(name, QueueView())
        queued.add_metric([name.value], view.queued)
        oldest.add_metric([name.value], view.oldest_seconds)
    yield queued
    yield oldest


def _iter_counters(snapshot: Snapshot) -> Iterator[Metric]:
    yield CounterMetricFamily(
        f"{_PREFIX}deliveries", "Jobs handed to a worker.", value=snapshot.deliveries
    )
    yield CounterMetricFamily(
        f"{_PREFIX}redeliveries", "Jobs handed to a worker again.", value=snapshot.redeliveries
    )
    waits = CounterMetricFamily(
        f"{_PREFIX}registry_wait_seconds",
        "Seconds that workers waited for the rate of a registry.",
        labels=["registry"],
    )
    for registry, seconds in sorted(snapshot.registry_waits.items()):
        waits.add_metric([registry], seconds)
    yield waits


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}{name}", text, value=value)
