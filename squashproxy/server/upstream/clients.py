"""Clients for the registries that are pulled through.

Each caller's requests use that caller's credentials only. After an upstream answers 429, it gets no
more requests for that caller before its Retry-After. Everything here blocks, so it runs in threads.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar
from weakref import WeakSet

from squashproxy.decimals import parse_decimal
from squashproxy.digest import Digest
from squashproxy.errors import (
    NotFound,
    ServerFault,
    SquashproxyError,
    TlsError,
    TooManyRequests,
    Unreachable,
)
from squashproxy.lru import LruCache
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.http.rate_limit import PacerMaker
from squashproxy.registry.options import ClientOptions
from squashproxy.server.auth.caller import ANYONE, Caller
from squashproxy.server.http.errors import LONGEST_PAUSE

T = TypeVar("T")

_MOST_CALLERS = 256
_MOST_REPOSITORIES = 10_000
_MOST_PAUSED = 10_000
"""Callers of which it is known that an upstream has refused them for a while; any login is one."""

_PAUSE = 30.0
"""Seconds in which an upstream that answers 429 without a Retry-After is not asked."""
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Health(Enum):
    """The state of an upstream, by its last answer."""

    UP = "up"
    DOWN = "down"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """The state of an upstream; after `until`, in unix seconds, it may be asked again.

    `remaining` is the number of pulls that its rate limit still allows, if it says so.
    """

    health: Health = Health.UP
    until: float | None = None
    remaining: int | None = None


_OUTAGE = 30.0
"""Seconds that transfers wait for an upstream that went away: a client waits for them, too."""

FailureListener = Callable[[str, SquashproxyError], None]


class UpstreamClients:
    """The upstreams that may be asked, with a pair of clients for each caller.

    `common` are the options of all clients; `on_failure` is called for every failed call,
    `on_warning` for credentials that cannot be had. `pacer` as in RegistryClient.
    """

    def __init__(
        self,
        hosts: frozenset[str],
        common: ClientOptions,
        environ: Mapping[str, str],
        on_failure: FailureListener,
        on_warning: Callable[[str], None] | None = None,
        *,
        pacer: PacerMaker | None = None,
    ) -> None:
        self.hosts = hosts
        self._common = common
        self._environ = environ
        self._on_failure = on_failure
        self._on_warning = on_warning
        self._pacer = pacer
        self._lock = threading.Lock()
        self._is_stopped = False
        self._made: WeakSet[RegistryClient] = WeakSet()
        self._clients: OrderedDict[Caller, _ClientPair] = OrderedDict()
        self._states = {host: UpstreamState() for host in sorted(hosts)}
        self._answers_heads: LruCache[Repository, bool] = LruCache(_MOST_REPOSITORIES)
        self._paused: LruCache[tuple[Caller, str], float] = LruCache(_MOST_PAUSED)

    @property
    def states(self) -> dict[str, UpstreamState]:
        """The state of each upstream."""
        with self._lock:
            return dict(self._states)

    def find_manifest(self, caller: Caller, name: Repository, selector: str) -> Descriptor | None:
        """The descriptor of a tag or digest, by one HEAD with short time-outs; None if unknown.

        Nexus answers 404 to HEAD for manifests that it has. So a 404 is believed only where HEAD
        has found something in the repository before; else a GET follows.
        """
        return self._ask(caller, name, lambda remote: self._find_manifest(name, remote, selector))

    def _find_manifest(
        self, name: Repository, remote: RemoteRepository, selector: str
    ) -> Descriptor | None:
        found = remote.recheck_tag(selector)
        with self._lock:
            if found is not None:
                self._answers_heads[name] = True
            is_believed = self._answers_heads.find(name) is not None
        if found is not None or is_believed:
            return found
        try:
            return remote.get_manifest(selector).descriptor
        except NotFound:
            return None

    def get_manifest(self, caller: Caller, name: Repository, selector: str) -> RawManifest:
        """A manifest, with short time-outs."""
        return self._ask(caller, name, lambda remote: remote.get_manifest(selector))

    def find_blob(self, caller: Caller, name: Repository, digest: Digest) -> int | None:
        """The size of a blob in bytes, with short time-outs; None if it is unknown."""
        return self._ask(caller, name, lambda remote: remote.find_blob(digest))

    def ask(self, caller: Caller, name: Repository, call: Callable[[RegistryClient], T]) -> T:
        """What `call` asks about a repository by several requests, with short time-outs."""
        client = self._clients_of(caller).quick
        return self._ask(caller, name, lambda _: call(client))

    def list_tags(self, caller: Caller, name: Repository) -> list[str]:
        """All tags of a repository."""
        return self._ask(caller, name, lambda remote: list(remote.iter_tags()))

    def remote(self, caller: Caller, name: Repository) -> RemoteRepository:
        """A repository for transfers: long time-outs and retries."""
        return self._clients_of(caller).patient.repository(name)

    def client(self, caller: Caller) -> RegistryClient:
        """The client for transfers: long time-outs and retries."""
        return self._clients_of(caller).patient

    def quick_client(self, caller: Caller) -> RegistryClient:
        """The client for questions that may fail: short time-outs."""
        return self._clients_of(caller).quick

    def stop(self) -> None:
        """End all calls, whatever they wait for, and make no new ones: these raise Cancelled."""
        with self._lock:
            self._is_stopped = True
            every = list(self._made)
        for client in every:
            client.stop()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for both in clients:
            both.close()

    def _ask(self, caller: Caller, name: Repository, call: Callable[[RemoteRepository], T]) -> T:
        self._check_pause(caller, name.host)
        try:
            answer = call(self._clients_of(caller).quick.repository(name))
        except SquashproxyError as error:
            self._note_failure(caller, name.host, error)
            raise
        self._note(name.host, health=Health.UP, until=None)
        return answer

    def _check_pause(self, caller: Caller, host: str) -> None:
        """Raise TooManyRequests while the upstream's rate limit lasts."""
        with self._lock:
            until = self._paused.get((caller, host), 0.0)
        left = until - time.monotonic()
        if left > 0:
            raise TooManyRequests(
                f"{host} has a rate limit, and may be asked again in {left:.0f} s",
                advice="give the server credentials for it, or wait",
                status=429,
                retry_after=left,
            )

    def _note_failure(self, caller: Caller, host: str, error: SquashproxyError) -> None:
        self._on_failure(host, error)
        if isinstance(error, TooManyRequests):
            pause = min(error.retry_after or _PAUSE, LONGEST_PAUSE)
            with self._lock:
                self._paused[caller, host] = time.monotonic() + pause
            self._note(host, health=Health.THROTTLED, until=time.time() + pause)
        elif isinstance(error, (Unreachable, ServerFault, TlsError)):
            self._note(host, health=Health.DOWN, until=None)
        else:
            self._note(host, health=Health.UP, until=None)

    def _note(self, host: str, *, health: Health, until: float | None) -> None:
        with self._lock:
            if host in self._states:
                self._states[host] = replace(self._states[host], health=health, until=until)

    def _hear(self, host: str, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - a listener's names
        """Note how many pulls are left; Docker Hub sends `RateLimit-Remaining: 76;w=21600`."""
        left = parse_decimal(headers.get("RateLimit-Remaining", "").partition(";")[0].strip())
        if left is not None and host in self._states:
            with self._lock:
                self._states[host] = replace(self._states[host], remaining=left)

    def _clients_of(self, caller: Caller) -> _ClientPair:
        key = ANYONE if caller.login is None else Caller(login=caller.login)
        dropped: _ClientPair | None = None
        with self._lock:
            found = self._clients.get(key)
            if found is None:
                found = self._clients[key] = self._make(key)
            self._clients.move_to_end(key)
            if len(self._clients) > _MOST_CALLERS:
                _, dropped = self._clients.popitem(last=False)
        if dropped is not None:
            dropped.close()
        return found

    def _make(self, caller: Caller) -> _ClientPair:
        """Clients with the server's credentials, or with those of a caller and nothing else."""
        options, environ = self._common, self._environ
        if caller.login is not None:
            logins = {host: login for host in self.hosts if (login := _login_for(caller, host))}
            options = replace(options, authfile=None, logins=logins)
            environ = _network_of(environ)
        patient, quick = (
            RegistryClient(
                each,
                environ=environ,
                listener=self._hear,
                on_warning=self._on_warning,
                pacer=self._pacer,
            )
            for each in (replace(options, retry_for=_OUTAGE), options.quick)
        )
        for client in (patient, quick):
            self._made.add(client)
            if self._is_stopped:
                client.stop()
        return _ClientPair(patient, quick)


@dataclass(frozen=True, slots=True)
class _ClientPair:
    patient: RegistryClient
    quick: RegistryClient

    def close(self) -> None:
        self.patient.close()
        self.quick.close()


def _login_for(caller: Caller, host: str) -> tuple[str, str] | None:
    """The login to send to `host`, None for none.

    The login of a user `ghcr.io/alice` is sent to ghcr.io only, as alice.
    """
    assert caller.login is not None, "only logins are handed on"
    user, password = caller.login
    if not user and not password:
        return None
    named, slash, rest = user.partition("/")
    if not slash:
        return caller.login
    return (rest, password) if named == host else None


def _network_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for proxies and certificates, without any that hold credentials."""
    return {name: value for name, value in environ.items() if name.upper() in _NETWORK}
