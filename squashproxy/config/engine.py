"""The section `engine`: where jobs run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from squashproxy.config.section import Section
from squashproxy.config.value_types import Duration, FileName, reads

_SCHEMES = ("redis", "rediss")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NUMBER = re.compile(r"/?[0-9]{0,5}")
_HINT = "write redis://HOST:PORT/NUMBER, and a password with odd characters as `password`"
_SHORTEST_LEASE = 1.0
_LONGEST = 3600.0


def _parse_broker(text: str) -> str:
    """Parse the URL of a broker. No message quotes the text, which may hold a password."""
    scheme, colon, _ = text.partition("://")
    if not colon or scheme not in _SCHEMES:
        raise ValueError(
            "this is no URL of a broker; write redis://HOST:PORT, or rediss:// for TLS"
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # what sockets do with it, who have no sentence for its errors
    except ValueError:
        raise ValueError(f"this URL cannot be read; {_HINT}") from None
    if not host or port == 0 or not text.isprintable() or " " in text:
        raise ValueError(f"this URL names no host; {_HINT}")
    if parts.query or parts.fragment or not _NUMBER.fullmatch(parts.path):
        raise ValueError(f"this URL has more than host, port and number; {_HINT}")
    return text


def _parse_prefix(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} begins no name of a queue; write letters, digits, '.', '_', '-'"
        )
    return text


def _fit_lease(seconds: float) -> float:
    if not _SHORTEST_LEASE <= seconds <= _LONGEST:
        raise ValueError("a lease is from 1s to 1h; write such a one, as in 60s")
    return seconds


def _fit_drain(seconds: float) -> float:
    if seconds > _LONGEST:
        raise ValueError("nobody waits that long for a worker's end; write 1h or less")
    return seconds


def _schema(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


BrokerUrl = Annotated[
    str, reads(_parse_broker), _schema("^rediss?://", "redis://127.0.0.1:6379/0", "rediss://host")
]
QueuePrefix = Annotated[
    str, reads(_parse_prefix), _schema("^[A-Za-z0-9._-]{1,64}$", "squashproxy", "team-a")
]
Lease = Annotated[Duration, AfterValidator(_fit_lease)]
Drain = Annotated[Duration, AfterValidator(_fit_drain)]


class EngineKind(Enum):
    """Where jobs run."""

    LOCAL = "local"
    CELERY = "celery"


@dataclass(frozen=True, slots=True)
class EngineSettings(Section):
    """Where jobs run (`local`: in this process; `celery`: on workers), and how many at once."""

    kind: EngineKind = EngineKind.LOCAL
    jobs: Annotated[int, Field(ge=1, le=64)] = 2
    """How many jobs run at once, in this process or in each worker."""
    broker: BrokerUrl | None = field(default=None, repr=False)
    """Redis or Valkey, as in redis://127.0.0.1:6379/0, or rediss:// with TLS."""
    password: str | None = field(default=None, repr=False)
    """The broker's password, if it does not stand in `broker`; `${NAME}` takes it from the
    environment.
    """
    ca: FileName | None = None
    """Certificates (PEM) to trust for the broker, in place of the system's."""
    queue: QueuePrefix = "squashproxy"
    """Begins the names of all queues and keys in the broker; all processes of a fleet have the
    same.
    """
    lease: Lease = 60.0
    """How long after a worker's last sign of life its job goes to another one."""
    drain: Drain = 30.0
    """How long a worker that is to end lets its jobs go on before it hands them back."""
