"""The files that a configuration names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from squashproxy.config.configuration import Configuration
from squashproxy.config.serve import HtpasswdAuth
from squashproxy.errors import BadConfiguration


def missing_files(configuration: Configuration, name: Path) -> None:
    """Raise BadConfiguration with a sentence for each file that is named and cannot be read."""
    problems = [
        f"{name}: {what} is {path}, which cannot be read; write the path of a file"
        for what, path in _named(configuration)
        if not path.is_file() or not os.access(path, os.R_OK)
    ]
    if problems:
        raise BadConfiguration(*problems)


def _named(configuration: Configuration) -> Iterator[tuple[str, Path]]:
    for host, registry in configuration.registries.items():
        if registry.ca is not None:
            yield f"registries.{host}.ca", registry.ca
    serve = configuration.serve
    if serve is None:
        return
    if serve.tls is not None:
        yield "serve.tls.certificate", serve.tls.certificate
        yield "serve.tls.key", serve.tls.key
    if isinstance(serve.auth, HtpasswdAuth):
        yield "serve.auth.htpasswd", serve.auth.htpasswd
