"""The context of rules: the configuration, registry clients, and the state of earlier runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from squashproxy.automation.options import RunOptions
from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.config.clients import client_options
from squashproxy.config.configuration import Configuration
from squashproxy.errors import UsageError
from squashproxy.layer_memory.choice import default_layer_memory
from squashproxy.layer_memory.open import open_layer_memory
from squashproxy.location import Location
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.reference import Reference
from squashproxy.registry.client import RegistryClient
from squashproxy.report.observer import LoggingObserver
from squashproxy.report.waits import WaitTeller
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from squashproxy.state.promotions import PromotionMemory
from squashproxy.state.tags import TagMemory
from squashproxy.transports.registry import RegistrySource

if TYPE_CHECKING:  # needs the extra `fleet`
    from squashproxy.fleet.fleet import Fleet

_AUDIT = "audit"
_MOST_SUBMITTED = 256
"""The most jobs of a run that are submitted at once: each is waited for by a thread, and the broker
holds its body.
"""


class Named(Protocol):
    """A rule."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


_Rule = TypeVar("_Rule", bound=Named)


@dataclass(frozen=True, slots=True)
class Context:
    """The dependencies of a run; `folder` holds the state.

    `quick` is a second client that gives up soon, for requests whose answer is not essential.
    `fleet` runs jobs on workers; None where this process does everything itself.
    """

    configuration: Configuration
    folder: Path
    client: RegistryClient
    quick: RegistryClient
    manifests: ManifestMemory
    tags: TagMemory
    promotions: PromotionMemory
    options: CopyOptions
    observer: LoggingObserver
    cancellation: Cancellation
    fleet: Fleet | None = None

    @property
    def graph_loader(self) -> GraphLoader:
        """Loads the graphs of repositories."""
        return GraphLoader(self.client, self.manifests, self.tags, self.observer.tally)

    @property
    def jobs_at_once(self) -> int:
        """How many images or repositories are worked on, or wait for workers, at once."""
        return self.configuration.engine.jobs if self.fleet is None else _MOST_SUBMITTED

    @property
    def audit_folder(self) -> Path:
        """The folder of the audit logs."""
        return self.folder / _AUDIT

    def open_source(self, location: Location) -> RegistrySource:
        """Open a base image."""
        return _source(self.client, location)

    def quick_source(self, location: Location) -> RegistrySource:
        """Open a base image whose registry must answer soon, or counts as unreachable."""
        return _source(self.quick, location)


@contextmanager
def open_context(
    configuration: Configuration,
    options: RunOptions,
    observer: LoggingObserver,
    cancellation: Cancellation,
    fleet: Fleet | None = None,
) -> Iterator[Context]:
    """Open what a configuration names, and close it at the end.

    With a `fleet`, registries' rates are shared by all of its processes. Raises UsageError where
    there is no place for the state, or it cannot be opened.
    """
    folder = configuration.state or default_state(os.environ)
    client_settings = client_options(configuration, options.client)
    teller = WaitTeller()
    pacer = None if fleet is None else fleet.pacer
    with open_state(folder) as database:
        manifests = ManifestMemory(database, time.time)
        manifests.forget_unused()
        with (
            RegistryClient(
                client_settings,
                on_wait=teller,
                on_warning=observer.warn,
                cache=manifests,
                pacer=pacer,
            ) as client,
            RegistryClient(
                client_settings.quick, on_wait=teller, on_warning=observer.warn, pacer=pacer
            ) as quick,
        ):
            memory = open_layer_memory(
                configuration.layer_memory or default_layer_memory(os.environ),
                ENGINE,
                quick.repository,
                observer.warn,
            )
            yield Context(
                configuration,
                folder,
                client,
                quick,
                manifests,
                TagMemory(database),
                PromotionMemory(database),
                CopyOptions(
                    jobs=options.jobs,
                    memory=memory,
                    limits=configuration.limits.of_images,
                    base_hosts=frozenset(configuration.registries),
                ),
                observer,
                cancellation,
                fleet,
            )


def default_state(environ: Mapping[str, str]) -> Path:
    """The state folder where the configuration names none (XDG base directory specification).

    Raises UsageError where it would be in a home directory and there is none.
    """
    stated = environ.get("XDG_STATE_HOME", "")
    if stated.startswith("/"):
        return Path(stated) / "squashproxy"
    try:
        return Path("~/.local/state/squashproxy").expanduser()
    except RuntimeError as error:
        raise UsageError(
            "there is no home directory for what runs remember", advice="name a folder as `state`"
        ) from error


def choose_rules(rules: Sequence[_Rule], name: str | None, section: str, path: Path) -> list[_Rule]:
    """All rules of a section, or the one of that name. Raises UsageError where there is none.

    `path` is the configuration's file, for the message.
    """
    if not rules:
        raise UsageError(f"{path} has no rule in its section {section!r}", advice="write one")
    if name is None:
        return list(rules)
    found = [rule for rule in rules if rule.name == name]
    if not found:
        there = ", ".join(rule.name for rule in rules)
        raise UsageError(f"{path} has no rule {name!r} in {section!r}; it has {there}")
    return found


def _source(client: RegistryClient, location: Location) -> RegistrySource:
    if not isinstance(location, Reference):
        raise UsageError(f"{location}: a base is an image in a registry here")
    return RegistrySource(client, location)
