"""The settings of a fleet."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from squashproxy.pipeline.stamp import ENGINE

_FORMAT = 2
"""Increased whenever bodies, results, records or the use of messages change, so that no worker
misreads one, or waits for a message that is not sent.
"""

VERSION = f"{ENGINE}.{_FORMAT}"
"""A worker only takes jobs of its own version: another one might make other bytes of them."""


_RENEWAL = 5.0


def process_name() -> str:
    """A name for this process: host, process ID, and a few random characters."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the broker is, and how leases behave; times in seconds.

    `broker` is a URL, which may hold a password. `prefix` begins the name of every key and queue.
    `marks` say which configuration this is (names of its rules, its store): processes of one prefix
    must have one in common. `patience` is how long a broker that is away is waited for.
    """

    broker: str = field(repr=False)
    prefix: str = "squashproxy"
    lease: float = 60.0
    drain: float = 30.0
    jobs: int = 2
    ca: Path | None = None
    password: str | None = field(default=None, repr=False)
    marks: frozenset[str] = frozenset()
    patience: float = 300.0
    version: str = VERSION
    deliveries: int = 3
    """How often a job is handed to a worker before it is parked."""
    visibility: int = 1800
    """After so long the broker hands out a message again that nobody acknowledged."""

    @property
    def renewal(self) -> float:
        """How often a lease is renewed; so soon it is also back after the broker lost it."""
        return min(_RENEWAL, self.lease / 4)

    @property
    def url(self) -> str:
        """The broker's URL with the password, if that is given apart.

        The login is escaped whoever wrote it: redis-py takes most characters as they are, but to
        Celery's client a `;` begins another broker.
        """
        parts = urlsplit(self.broker)
        login, at, place = parts.netloc.rpartition("@")
        if not at and self.password is None:
            return self.broker
        name, colon, stated = login.partition(":")
        password = unquote(stated) if self.password is None else self.password
        if colon or self.password is not None:
            login = f"{_escaped(unquote(name))}:{_escaped(password)}"
        else:
            login = _escaped(unquote(name))
        return urlunsplit(parts._replace(netloc=f"{login}@{place}"))


def _escaped(text: str) -> str:
    return quote(text, safe="")
