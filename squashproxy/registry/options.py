"""What a person may set about talking to registries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from squashproxy import __version__

_QUICK_SECONDS = 5.0


class UploadMode(Enum):
    """How a blob goes to a registry."""

    AUTO = "auto"
    """Chunks, and one stream where the registry takes no ranges."""
    STREAM = "stream"
    """One PATCH of unknown length; cannot be resumed."""
    CHUNKS = "chunks"
    """PATCHes with Content-Range; what is lost of one is sent again."""
    MONOLITHIC = "monolithic"
    """One PUT of known length, through a temporary file."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options of a RegistryClient.

    Hosts are written as in references, `host` or `host:port`. `urls` says where a host's API is,
    scheme, name and port, if not at the host itself; `logins` the user and password, before any
    other place is asked for them; `authorities`, by name and port of the API, which certificates
    (PEM) are trusted besides the usual ones; `rates` how many requests a second a host is sent at
    most. `retries` counts further attempts after the first, for temporary errors. Where a registry
    wants to be left alone (Retry-After) for more than `longest_wait` seconds, its error is raised
    at once, and says how long. `timeout` is in seconds, for connecting and for each read and write;
    `commit_timeout` is in seconds, for the answer to the request that ends an upload, since
    registries move and hash the whole blob before they answer.
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
    longest_wait: float = 60.0
    timeout: float = 30.0
    commit_timeout: float = 300.0
    user_agent: str = f"squashproxy/{__version__}"

    @property
    def quick(self) -> ClientOptions:
        """The same for questions that can stay without an answer: it comes soon, or not at all."""
        return replace(self, retries=1, longest_wait=1.0, timeout=_QUICK_SECONDS)
