"""Opening the store that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from squashproxy.config.serve import DirectoryStoreSettings, ServeSettings
from squashproxy.errors import UsageError
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.http.rate_limit import PacerMaker
from squashproxy.registry.options import ClientOptions
from squashproxy.report.observer import LoggingObserver
from squashproxy.server.store.base import Store
from squashproxy.server.store.directory import DirectoryStore
from squashproxy.server.store.registry import RegistryStore


def open_store(
    settings: ServeSettings,
    options: ClientOptions,
    environ: Mapping[str, str],
    on_warning: Callable[[str], None],
    pacer: PacerMaker | None = None,
) -> Store:
    """The store of the configuration. Raises UsageError for a registry that is an upstream too.

    `on_warning` gets sentences about damage, in any thread. `pacer` as in RegistryClient.
    """
    store = settings.store
    if isinstance(store, DirectoryStoreSettings):
        return DirectoryStore(store.directory, store.max_size, on_warning=on_warning)
    if store.registry.host in settings.upstreams:
        raise UsageError(
            f"{store.registry} is on the upstream {store.registry.host}, so squashed images would "
            "be squashed again",
            advice="keep them on another registry",
        )
    return RegistryStore(
        RegistryClient(options, environ=environ, on_warning=LoggingObserver().warn, pacer=pacer),
        RegistryClient(options.quick, environ=environ, pacer=pacer),
        store.registry,
    )
