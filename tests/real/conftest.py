"""Real registries, and the two judges, once per test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.real.judges import Judges
from tests.real.registries import RealRegistry, run_registry

StartRegistry = Callable[..., RealRegistry]


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRegistry]:
    """Starts registries: `docker_registry(secured=..., tls=...)`; all stop with the session."""
    with ExitStack() as stack:

        def start(*, secured: bool = False, tls: bool = False) -> RealRegistry:
            folder = tmp_path_factory.mktemp("registry")
            return stack.enter_context(run_registry(folder, secured=secured, tls=tls))

        yield start


@pytest.fixture(scope="session")
def source_registry(docker_registry: StartRegistry) -> RealRegistry:
    """A plain registry, to copy from."""
    return docker_registry()


@pytest.fixture(scope="session")
def target_registry(docker_registry: StartRegistry) -> RealRegistry:
    """Another plain registry, to copy to."""
    return docker_registry()


@pytest.fixture(scope="session")
def secured_registry(docker_registry: StartRegistry) -> RealRegistry:
    """A registry that speaks TLS and asks for a password."""
    return docker_registry(secured=True, tls=True)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `find_program` builds programs, for all test processes."""
    return tmp_path_factory.getbasetemp().parent / "programs"


@pytest.fixture(scope="session")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judges]:
    """umoci and overlayfs."""
    unpackers = Judges(tmp_path_factory.mktemp("judges"))
    yield unpackers
    unpackers.close()


@pytest.fixture(autouse=True)
def _registry_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print what the registries of a test said; pytest shows it where the test failed."""
    yield
    for name in ("source_registry", "target_registry", "secured_registry"):
        if name in request.fixturenames:
            registry = request.getfixturevalue(name)
            print(f"{name}, {registry.host}:\n{registry.log_tail()}")  # noqa: T201 - see above
