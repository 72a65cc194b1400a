"""A summary of a configuration in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from squashproxy.config.configuration import Configuration
from squashproxy.config.serve import (
    DirectoryStoreSettings,
    HtpasswdAuth,
    Listener,
    NoAuth,
    Rule,
    ServeSettings,
)
from squashproxy.pipeline.mode import Mode

_GIB = 1 << 30


def summary_of(configuration: Configuration) -> list[tuple[str, str]]:
    """What the configuration does, as pairs of a key and a line; a key may have several lines."""
    return list(_all(configuration))


def _all(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for rule in configuration.promote:
        source = rule.source or f"{len(rule.pins)} pinned"
        yield "promote", f"{rule.name}: {source} to {rule.target}"
    for each in configuration.cleanup:
        where = ", ".join(map(str, each.repositories))
        yield "cleanup", f"{each.name}: {each.action.value} in {where}"
    if configuration.serve is not None:
        yield from _of_serve(configuration.serve)


def _of_serve(serve: ServeSettings) -> Iterator[tuple[str, str]]:
    for listener in serve.listen:
        yield "listen", _listener(listener)
    for host, upstream in serve.upstreams.items():
        yield "upstreams", host if upstream.url is None else f"{host} at {upstream.url}"
    yield "store", _store(serve)
    for rule in serve.rules:
        yield "rules", _rule(rule)
    if serve.sign is not None:
        forms = " and ".join(each.value for each in serve.sign.format)
        yield "sign", f"what is squashed, by {forms}"
    yield "auth", _auth(serve)


def _listener(listener: Listener) -> str:
    address = f"{listener.host}:{listener.port}"
    if listener.upstream is None:
        return address
    return f"{address}, where names without a host are of {listener.upstream}"


def _store(serve: ServeSettings) -> str:
    store = serve.store
    if isinstance(store, DirectoryStoreSettings):
        return f"{store.directory}, of at most {store.max_size / _GIB:.3g} GiB"
    return f"below {store.registry}"


def _rule(rule: Rule) -> str:
    count = len(rule.require_signature)
    signed = f", if one of {count} keys signed it" if count else ""
    if not rule.squash or rule.mode is Mode.COPY:
        return f"{rule.match}: handed out as it is{signed}"
    only = f", {', '.join(map(str, rule.platforms))} only" if rule.platforms else ""
    done = "pruned" if rule.mode is Mode.PRUNE else "squashed"
    return f"{rule.match}: {done}, base {rule.base}, compression {rule.compression}{only}{signed}"


def _auth(serve: ServeSettings) -> str:
    if isinstance(serve.auth, NoAuth):
        return "none, so that everyone may pull"
    if isinstance(serve.auth, HtpasswdAuth):
        rights = "" if serve.auth.read is None else ", each with images of their own"
        return f"the users of {serve.auth.htpasswd}{rights}"
    return "upstream decides"
