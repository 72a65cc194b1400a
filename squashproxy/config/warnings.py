"""Warnings about settings that are valid but look unintended."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.config.configuration import Configuration
from squashproxy.config.engine import EngineKind, EngineSettings
from squashproxy.config.serve import NoAuth, ServeSettings
from squashproxy.host import is_loopback

_CONTAINERD_SECONDS = 30.0
_MARGIN = 2.0


def warnings_of(configuration: Configuration) -> list[str]:
    """Sentences that say what may go wrong, and what to write instead."""
    return list(_all(configuration))


def _all(configuration: Configuration) -> Iterator[str]:
    yield from _of_engine(configuration.engine)
    if configuration.serve is not None:
        yield from _of_serve(configuration.serve)


def _of_engine(engine: EngineSettings) -> Iterator[str]:
    if engine.kind is EngineKind.LOCAL and engine.broker is not None:
        yield "engine.broker is not used, since engine.kind is local; write kind: celery"
    if engine.ca is not None and not (engine.broker or "").startswith("rediss://"):
        yield "engine.ca is not used, since engine.broker does not begin with rediss://"


def _of_serve(serve: ServeSettings) -> Iterator[str]:
    if serve.first_pull.wait > _CONTAINERD_SECONDS - _MARGIN:
        yield (
            f"serve.first_pull.wait is {serve.first_pull.wait:g} s, but containerd 2.3 and later "
            "give up after 30 s; write 25s"
        )
    outside = [at.host for at in serve.listen if not is_loopback(at.host.strip("[]"))]
    if outside and isinstance(serve.auth, NoAuth):
        yield (
            f"serve listens on {', '.join(outside)} and lets everyone in, also to what its own "
            "credentials open; write auth, or let no one else reach it"
        )
    if outside and serve.tls is None:
        yield (
            f"serve speaks plain HTTP on {', '.join(outside)}; write tls, or put it behind a proxy "
            "that does TLS, since clients insist on it outside of loopback"
        )
