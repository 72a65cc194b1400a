"""The fleet that a configuration names."""

from __future__ import annotations

from pathlib import Path

from squashproxy.config.configuration import Configuration
from squashproxy.config.engine import EngineKind
from squashproxy.config.serve import RegistryStoreSettings
from squashproxy.errors import UsageError
from squashproxy.fleet.settings import FleetSettings


def is_fleet(configuration: Configuration) -> bool:
    """Whether jobs run on workers."""
    return configuration.engine.kind is EngineKind.CELERY


def fleet_settings(configuration: Configuration, ca: Path | None = None) -> FleetSettings:
    """The settings of the fleet; `ca` counts where the configuration names no authority.

    Raises UsageError where the engine is not celery.
    """
    engine = configuration.engine
    if engine.kind is not EngineKind.CELERY or engine.broker is None:
        raise UsageError(
            "there are no workers, since engine.kind is local",
            advice="write `engine: {kind: celery, broker: redis://HOST:PORT/0}`",
        )
    return FleetSettings(
        broker=engine.broker,
        password=engine.password,
        ca=engine.ca or ca,
        prefix=engine.queue,
        lease=engine.lease,
        drain=engine.drain,
        jobs=engine.jobs,
        marks=marks_of(configuration),
    )


def marks_of(configuration: Configuration) -> frozenset[str]:
    """What tells this configuration from others: the names of its rules, and its store."""
    rules = {f"promote:{rule.name}" for rule in configuration.promote}
    rules |= {f"cleanup:{rule.name}" for rule in configuration.cleanup}
    serve = configuration.serve
    if serve is not None and isinstance(serve.store, RegistryStoreSettings):
        rules.add(f"store:{serve.store.registry}")
    return frozenset(rules)
