"""The files that a configuration names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from squashproxy.config.configuration import Configuration
from squashproxy.config.serve import HtpasswdAuth
from squashproxy.config.signing import ELSEWHERE


def missing_files(configuration: Configuration) -> list[str]:
    """A sentence for each named file that cannot be read on this machine."""
    return [
        f"{what} is {path}, which cannot be read here; it has to be there when it is used"
        for what, path in _named(configuration)
        if not path.is_file() or not os.access(path, os.R_OK)
    ]


def _named(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    for host, registry in configuration.registries.items():
        if registry.ca is not None:
            yield f"registries.{host}.ca", registry.ca
    yield from _keys(configuration)
    for rule in configuration.cleanup:
        for path in rule.keep.in_use:
            yield f"keep.in_use of {rule.name}", path
    serve = configuration.serve
    if serve is None:
        return
    if serve.tls is not None:
        yield "serve.tls.certificate", serve.tls.certificate
        yield "serve.tls.key", serve.tls.key
    if isinstance(serve.auth, HtpasswdAuth):
        yield "serve.auth.htpasswd", serve.auth.htpasswd


def _keys(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    """The key files of rules and of the server."""
    for what, source in (*_keys_of_rules(configuration), *_keys_of_serve(configuration)):
        if not source.startswith(ELSEWHERE):
            yield what, Path(source)


def _keys_of_rules(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for rule in configuration.promote:
        for each in rule.require_signature:
            yield f"require_signature of {rule.name}", each
    signing = {each.name: each.sign for each in configuration.promote}
    signing |= {each.name: each.sign for each in configuration.cleanup}
    for name, sign in signing.items():
        if sign is not None:
            yield f"sign.key of {name}", sign.key


def _keys_of_serve(configuration: Configuration) -> Iterator[tuple[str, str]]:
    serve = configuration.serve
    if serve is None:
        return
    for rule in serve.rules:
        for each in rule.require_signature:
            yield f"require_signature of the rule for {rule.match}", each
    if serve.sign is not None:
        yield "serve.sign.key", serve.sign.key
