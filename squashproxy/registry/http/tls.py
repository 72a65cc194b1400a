"""TLS contexts: the system's authorities, the user's own, and the certs.d directories.

The certs.d directories are those of docker and podman (containers-certs.d(5)).
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import certifi

from squashproxy.decimals import parse_port
from squashproxy.errors import UsageError
from squashproxy.lru import LruCache
from squashproxy.registry.options import ClientOptions

_MOST_HOSTS = 1024
"""Hosts whose contexts are kept: redirects may name any number of hosts."""

_SYSTEM_DIRECTORIES = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


class TlsContexts:
    """Makes and keeps the TLS context of each host; usable from several threads.

    Hosts without settings of their own share one context. Raises UsageError if the user's authority
    is not a certificate.
    """

    def __init__(self, options: ClientOptions, environ: Mapping[str, str]) -> None:
        self._options = options
        self._environ = environ
        self._lock = threading.Lock()
        self._common: ssl.SSLContext | None = None
        self._contexts: LruCache[str, ssl.SSLContext] = LruCache(_MOST_HOSTS)
        if options.ca is not None:
            self._common = self._make("", ())

    def context_for(self, netloc: str) -> ssl.SSLContext:
        """The context for `host:port`. Raises UsageError if a certificate file is broken."""
        with self._lock:
            return self._contexts.find_or_make(netloc, partial(self._find, netloc))

    def is_insecure(self, netloc: str) -> bool:
        """Whether the certificate of `host:port` is not to be checked."""
        name, _, port = netloc.rpartition(":")
        host = netloc if parse_port(port) is None else name
        return not self._options.insecure.isdisjoint({netloc, host})

    def _find(self, netloc: str) -> ssl.SSLContext:
        files = tuple(self._iter_files(netloc))
        if (authority := self._options.authorities.get(netloc)) is not None:
            files = (*files, authority)
        if files or self.is_insecure(netloc):
            return self._make(netloc, files)
        if self._common is None:
            self._common = self._make("", ())
        return self._common

    def _make(self, netloc: str, files: tuple[Path, ...]) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not context.cert_store_stats()["x509_ca"]:
            context.load_verify_locations(certifi.where())
        if self._options.ca is not None:
            _load_authority(context, self._options.ca, "the certificate authority given")
        for file in files:
            if file.suffix == ".cert":
                _load_client(context, file)
            else:
                _load_authority(context, file, f"an authority for {netloc}")
        if netloc and self.is_insecure(netloc):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _iter_files(self, netloc: str) -> Iterator[Path]:
        """Authorities (`*.crt`), then client certificates (`*.cert`, each with a `*.key`)."""
        for directory in self._directories():
            place = directory / netloc
            if place.is_dir():
                yield from sorted(place.glob("*.crt"))
                yield from sorted(place.glob("*.cert"))

    def _directories(self) -> Iterator[Path]:
        if settings := self._environ.get("XDG_CONFIG_HOME"):
            yield Path(settings, "containers", "certs.d")
        elif home := self._environ.get("HOME"):
            yield Path(home, ".config", "containers", "certs.d")
        yield from _SYSTEM_DIRECTORIES


def _load_authority(context: ssl.SSLContext, file: Path, what: str) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise UsageError(f"{file}, {what}, holds no PEM certificate") from error
    except OSError as error:
        raise UsageError(f"{file}, {what}, cannot be read: {error.strerror}") from error


def _load_client(context: ssl.SSLContext, file: Path) -> None:
    key = file.with_suffix(".key")
    try:
        context.load_cert_chain(file, key)
    except ssl.SSLError as error:
        raise UsageError(f"{file} and {key} are not a certificate and its key") from error
    except OSError as error:
        raise UsageError(
            f"the client certificate {file} needs its key {key}: {error.strerror}"
        ) from error
