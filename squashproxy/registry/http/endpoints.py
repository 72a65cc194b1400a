"""Endpoints of registries: URL and scheme of each API, and the URLs it may point to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from squashproxy.errors import Denied, Patience, RegistryError, Unreachable, lacks_descriptors
from squashproxy.host import address_of, is_loopback
from squashproxy.reference import DOCKER_HUB
from squashproxy.registry.http.network_errors import no_descriptors
from squashproxy.registry.http.public_addresses import first_private, is_public, resolve
from squashproxy.registry.http.urls import WEB_PORTS, BadUrl, read_url, shown
from squashproxy.registry.options import ClientOptions

_HUB_API = "registry-1.docker.io"

Origin = tuple[str, str, int]
"""Scheme, host name and port. Credentials go to URLs of one origin only."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a registry's API; `name` is the host as references write it."""

    name: str
    scheme: str
    netloc: str

    @property
    def hostname(self) -> str:
        """The host without its port."""
        return _hostname(self.netloc)

    @property
    def origin(self) -> Origin:
        """The origin that gets this registry's credentials."""
        return origin_of(self.url("/"))

    def serves(self, url: str) -> bool:
        """Whether an absolute URL has this origin."""
        # Nearly all URLs pass the cheap test.
        return url.startswith(self.url("/")) or origin_of(url) == self.origin

    def is_private(self) -> bool:
        """Whether the registry is in a private network, and so may name others that are.

        A name is private only if none of its addresses is public: whoever answers for the name of a
        public registry must not get around the rule by adding one that is private.
        """
        if address_of(self.hostname) is not None or is_loopback(self.hostname):
            return _is_private(self.hostname)
        try:
            addresses = resolve(self.hostname, None)
        except OSError:
            return False
        return all(first_private([address]) for address in addresses)

    def url(self, path: str) -> str:
        """The URL of a path of the API."""
        return f"{self.scheme}://{self.netloc}{path}"

    def resolve(self, base: str, location: str, header: str = "Location") -> str:
        """The absolute URL of `location`, which a header of the response from `base` names.

        Behind a proxy that terminates TLS, registries write `http://` URLs for themselves; these
        become `https://`. Raises RegistryError for a text that is no URL. Raises Denied for plain
        HTTP and for private addresses unless the registry itself is reached that way: otherwise a
        registry could make this client send requests into its own network.
        """
        pointer = f"{self.name} points to '{shown(location)}' in its {header} header"
        try:
            target = read_url(base, location)
        except BadUrl as error:
            raise RegistryError(
                f"{pointer}, which is no web address: {error}; "
                "it, or a proxy before it, is set up wrong"
            ) from error
        if target.scheme not in WEB_PORTS:
            raise Denied(
                f"{pointer}, which is no web address; it, or a proxy before it, is set up wrong"
            )
        if (
            target.scheme == "http"
            and self.scheme == "https"
            and target.hostname == self.hostname
            and target.port in (None, WEB_PORTS["http"])
        ):
            target = target._replace(scheme="https", netloc=self.netloc)
        url = target.geturl()
        if not self.serves(url):
            self._check_foreign(target)
        return url

    def _check_foreign(self, target: SplitResult) -> None:
        if target.scheme == "http" and self.scheme == "https" and not is_loopback(self.hostname):
            raise Denied(
                f"{self.name} points to http://{target.netloc}, which is not encrypted, so it "
                "was not followed",
                advice="the registry's address has to be set right in its configuration",
            )
        if _is_private(target.hostname or "") and not self.is_private():
            raise Denied(
                f"{self.name} points to the private address {target.netloc}, so it was not "
                "followed; a public registry should not send its clients into a private network"
            )


class Endpoints:
    """The endpoints of one client; remembers which loopback registries speak TLS."""

    def __init__(
        self, options: ClientOptions, speaks_tls: Callable[[str, int, float], bool] | None = None
    ) -> None:
        self._options = options
        self._speaks_tls = speaks_tls or _speaks_tls
        self._lock = threading.Lock()
        self._known: dict[str, Endpoint] = {}

    def find(self, host: str) -> Endpoint:
        """The endpoint of a registry. Raises Unreachable if a loopback registry is down."""
        with self._lock:
            known = self._known.get(host)
        if known is not None:
            return known
        found = self._endpoint(host)
        with self._lock:
            return self._known.setdefault(host, found)

    def _endpoint(self, host: str) -> Endpoint:
        if (url := self._options.urls.get(host)) is not None:
            parts = urlsplit(url)
            return Endpoint(host, parts.scheme, parts.netloc)
        netloc = _HUB_API if host == DOCKER_HUB else host
        return Endpoint(host, self._scheme(netloc), netloc)

    def _scheme(self, netloc: str) -> str:
        name = _hostname(netloc)
        if not self._options.plain_http.isdisjoint({netloc, name}):
            return "http"
        if not is_loopback(name):
            return "https"
        port = urlsplit(f"//{netloc}").port
        ports = (443, 80) if port is None else (port,)
        failures: list[OSError] = []
        for number in ports:
            try:
                tls = self._speaks_tls(name, number, self._options.timeout)
            except OSError as error:
                failures.append(error)
                continue
            return "https" if tls and number != WEB_PORTS["http"] else "http"
        if lacks_descriptors(failures[0]):
            raise no_descriptors(netloc) from failures[0]
        reason = (failures[0].strerror or "no answer in time").lower()
        raise Unreachable(
            f"cannot reach {netloc}: {reason}",
            advice="is it up, and is the name right?",
            patience=Patience.SECONDS,
        ) from failures[0]


def origin_of(url: str) -> Origin:
    """The origin of an absolute URL."""
    parts = urlsplit(url)
    port = parts.port or WEB_PORTS.get(parts.scheme, 0)
    return parts.scheme, parts.hostname or "", port


def _is_private(hostname: str) -> bool:
    if is_loopback(hostname):
        return True
    address = address_of(hostname)
    return address is not None and not is_public(address)


def _hostname(netloc: str) -> str:
    return urlsplit(f"//{netloc}").hostname or ""


def _speaks_tls(host: str, port: int, timeout: float) -> bool:
    """Whether a TLS handshake succeeds; the request itself verifies the certificate later.

    A handshake that times out counts as TLS: only a clear refusal may lead to plain HTTP. Raises
    OSError if nothing listens.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=host):
                return True
        except TimeoutError:
            return True
        except (ssl.SSLError, ConnectionError):
            return False
