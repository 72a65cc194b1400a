"""The parts that squashing needs, opened from the configuration: in servers and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from squashproxy.config.clients import client_options
from squashproxy.config.configuration import Configuration
from squashproxy.layer_memory.choice import default_layer_memory
from squashproxy.layer_memory.open import open_layer_memory
from squashproxy.pipeline.stamp import ENGINE
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.http.rate_limit import PacerMaker
from squashproxy.registry.options import ClientOptions
from squashproxy.report.observer import LoggingObserver
from squashproxy.server.jobs.keys import load_keys
from squashproxy.server.jobs.rules import Rules
from squashproxy.server.store.base import Store
from squashproxy.server.store.open import open_store
from squashproxy.server.upstream.clients import FailureListener, UpstreamClients


@dataclass(frozen=True, slots=True)
class SquashParts:
    """The registries to read from, the store to write to, and the rules."""

    upstreams: UpstreamClients
    store: Store
    rules: Rules
    memory_client: RegistryClient

    def stop(self) -> None:
        """End all calls to registries, whatever they wait for; no new ones are made."""
        for waiting in (self.upstreams, self.memory_client, self.store):
            waiting.stop()


@contextmanager
def open_parts(
    configuration: Configuration,
    common: ClientOptions,
    environ: Mapping[str, str],
    *,
    on_failure: FailureListener,
    warn: Callable[[str, str], None],
    pacer: PacerMaker | None = None,
) -> Iterator[SquashParts]:
    """Open the parts for the section `serve`, and close them at the end.

    `on_failure` is called for each failed call to an upstream; `warn` with what a sentence is about
    and the sentence, in any thread. `pacer` as in RegistryClient. Raises UsageError for a store
    that cannot work and a key that cannot be read, and the store's errors.
    """
    settings = configuration.serve
    assert settings is not None, "there is something to serve"
    options = client_options(configuration, common)
    keys = load_keys(settings, environ, LoggingObserver().warn)
    with ExitStack() as opened:
        upstreams = UpstreamClients(
            *(frozenset(settings.upstreams), options, environ),
            on_failure,
            LoggingObserver().warn,
            pacer=pacer,
        )
        opened.callback(upstreams.close)
        store = open_store(settings, options, environ, lambda text: warn("the store", text), pacer)
        opened.callback(store.close)
        memory_client = RegistryClient(options.quick, environ=environ, pacer=pacer)
        opened.callback(memory_client.close)
        memory = open_layer_memory(
            configuration.layer_memory or default_layer_memory(environ),
            ENGINE,
            memory_client.repository,
            lambda text: warn("the memory of layers", text),
        )
        rules = Rules(
            *(settings.rules, settings.limits, memory, keys), provenance=settings.provenance
        )
        yield SquashParts(upstreams, store, rules, memory_client)
