"""Options of registry clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from squashproxy import __version__
from squashproxy.registry.http.least_speed import LEAST_SPEED
from squashproxy.registry.http.retry import RETRY_FOR

_QUICK_SECONDS = 5.0


class UploadMode(Enum):
    """How a blob is uploaded."""

    AUTO = "auto"
    """In chunks, or as one stream where the registry does not support ranges."""
    STREAM = "stream"
    """One PATCH of unknown length; cannot be resumed."""
    CHUNKS = "chunks"
    """PATCH requests with Content-Range; a lost part is sent again."""
    MONOLITHIC = "monolithic"
    """One PUT of known length, from a temporary file."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options of a RegistryClient.

    Hosts are written as in references, `host` or `host:port`. `urls` gives the address of a host's
    API (scheme, name, port) if it differs from the host; `logins` gives user and password, before
    any other source of credentials; `authorities` gives additional trusted certificates (PEM) by
    name and port of the API; `rates` gives the most requests per second to a host. A call that
    fails is repeated at least `retries` times, and in an outage for `retry_for` seconds without
    progress (http/retry.py); `retry_for_host` has other times for some hosts. If a registry asks to
    wait longer than `longest_wait` seconds (Retry-After), the error is raised at once and says how
    long. `timeout` is in seconds, for connecting and for each read and write. An answer that brings
    less than `least_speed` bytes per second for so long is given up; 0 for no limit. `least_speeds`
    has others for some APIs, by name and port. `commit_timeout` is in seconds, for the answer to
    the request that ends an upload, since registries move and hash the whole blob before they
    answer.
    """

    authfile: Path | None = None
    ca: Path | None = None
    plain_http: frozenset[str] = frozenset()
    insecure: frozenset[str] = frozenset()
    upload: Mapping[str, UploadMode] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    authorities: Mapping[str, Path] = field(default_factory=dict)
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    rates: Mapping[str, float] = field(default_factory=dict)
    retries: int = 4
    retry_for: float = RETRY_FOR
    retry_for_host: Mapping[str, float] = field(default_factory=dict)
    longest_wait: float = 60.0
    timeout: float = 30.0
    commit_timeout: float = 300.0
    least_speed: float = LEAST_SPEED
    least_speeds: Mapping[str, float] = field(default_factory=dict)
    user_agent: str = f"squashproxy/{__version__}"

    @property
    def quick(self) -> ClientOptions:
        """The same options with short time-outs, for requests whose answer is not essential."""
        return replace(self, retries=1, retry_for=0.0, longest_wait=1.0, timeout=_QUICK_SECONDS)
