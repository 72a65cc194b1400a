"""Registries that fail on demand: a fake one, or a real one behind a proxy."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from squashproxy.errors import NotFound
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.testing import FakeRegistry, FaultProxy, PushTarget
from squashproxy.testing.faulty_server import FaultyServer
from tests.real.makes import MAKES, run_make
from tests.real.pushing import PushToRegistry
from tests.real.real_image import cache_folder

FAKE = "fake"


@dataclass(frozen=True, slots=True)
class Place:
    """A registry that a command meets at `faulty`; `images` and `tags` go past the faults."""

    faulty: FaultyServer
    images: PushTarget
    tags: Callable[[str], dict[str, str]]

    @property
    def host(self) -> str:
        """The host to give to a command."""
        return self.faulty.host


def add_registry_option(parser: argparse.ArgumentParser) -> None:
    """`--registry`: the make of the registries of a table."""
    parser.add_argument(
        "--registry", choices=(FAKE, *MAKES), default=FAKE, help="what meets the faults"
    )


@contextmanager
def new_place(make: str) -> Iterator[Place]:
    """An empty registry of that make."""
    if make == FAKE:
        with FakeRegistry() as registry:
            yield Place(registry, registry, lambda path: dict(registry.tags(path)))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        real = stack.enter_context(run_make(make, folder, cache_folder() / "programs"))
        client = stack.enter_context(RegistryClient(environ={}))
        proxy = stack.enter_context(FaultProxy(f"http://{real.host}"))

        def tags(path: str) -> dict[str, str]:
            return _tags_of(client.repository(Repository(real.host, path)))

        yield Place(proxy, PushToRegistry(real), tags)


def _tags_of(repository: RemoteRepository) -> dict[str, str]:
    """The tags that lead to a manifest, each with its digest."""
    try:
        found = {tag: repository.find_manifest(tag) for tag in repository.iter_tags()}
    except NotFound:
        return {}
    return {tag: manifest.digest for tag, manifest in found.items() if manifest is not None}
