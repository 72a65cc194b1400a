"""Connections to Debian's registry that are cut in the middle of uploads (issue 27).

A PATCH that was cut leaves a session there that takes no request any more, not even a DELETE
(registry/handlers/blobupload.go of distribution 2.8). Every other session has to be gone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from squashproxy.pipeline.copy import copy_image
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import CopyResult
from squashproxy.reference import parse_reference
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import BuiltImage, FakeRegistry, LayerBuilder
from squashproxy.transports.registry import RegistrySink, RegistrySource
from tests.pipeline.images import image_of, noise
from tests.pipeline.lab import Listener, options
from tests.real.cutting import Cuts, cutting_proxy
from tests.real.registries import RealRegistry, run_registry

pytestmark = pytest.mark.real
MIB = 1 << 20
CHUNK = 4 * MIB
CHOICES: dict[str, dict[str, Any]] = {
    "squash all": {"base": "none"},
    "squash above a base": {"base": "1"},
    "squash into parts": {"base": "none", "max_layer_size": 20 * MIB},
    "prune": {"base": "none", "mode": Mode.PRUNE},
    "copy": {"mode": Mode.COPY},
}


def image(mib: int) -> BuiltImage:
    """Three layers of so many MiB each."""
    return image_of(
        LayerBuilder().file("lower", noise(mib * MIB, 1)).file("goes", noise(2 * MIB, 2)),
        LayerBuilder().file("middle", noise(mib * MIB, 3)),
        LayerBuilder().file("top", noise(mib * MIB, 4)).whiteout("goes"),
    )


@contextmanager
def source(built: BuiltImage, client: RegistryClient) -> Iterator[RegistrySource]:
    with FakeRegistry() as registry:
        built.push(registry, "app", "1")
        yield RegistrySource(client, parse_reference(f"{registry.host}/app:1"))


def copy(client: RegistryClient, built: BuiltImage, host: str, **choices: Any) -> CopyResult:
    with source(built, client) as opened:
        return copy_image(
            opened,
            RegistrySink(client, parse_reference(f"{host}/app:1")),
            options(**choices),
            open_source=lambda _: opened,
            observer=Listener(),
            clock=time.monotonic,
        )


def left_over(real: RealRegistry) -> list[int]:
    """The sizes of the open sessions that no cut PATCH explains."""
    sizes = [
        (started.parent / "data").stat().st_size if (started.parent / "data").exists() else 0
        for started in real.storage.rglob("_uploads/*/startedat")
    ]
    return [size for size in sizes if not size % CHUNK]


def check(folder: Path, built: BuiltImage, cuts: Cuts, choices: dict[str, Any]) -> CopyResult:
    """A copy through cuts gives the same as one without, and what it leaves is explained."""
    with (
        run_registry(folder) as real,
        RegistryClient(environ={}, sleep=lambda _seconds: None) as client,
        FakeRegistry() as calm,
    ):
        expected = copy(client, built, calm.host, **choices)
        with cutting_proxy(real.host, cuts) as host:
            result = copy(client, built, host, verify=True, **choices)
        assert result.digest == expected.digest
        assert left_over(real) == []
        assert len(list(real.storage.rglob("_uploads/*/startedat"))) <= cuts.count
        return result


def test_a_copy_outlives_cuts(tmp_path: Path) -> None:
    """Cuts of each connection, after fewer bytes than a blob has."""
    cuts = Cuts(1, 5 * MIB, 7 * MIB)
    result = check(tmp_path, image(5), cuts, {"base": "1"})
    assert cuts.count
    assert any("its upload to" in warning for warning in result.warnings)


@pytest.mark.long
@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_every_kind_of_copy_outlives_cuts(tmp_path: Path, choices: dict[str, Any]) -> None:
    check(tmp_path, image(8), Cuts(1, 6 * MIB, 10 * MIB), choices)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_a_copy_outlives_cuts_every_24_to_96_mb(
    tmp_path: Path, choices: dict[str, Any], seed: int
) -> None:
    """As in the issue, where five of five failed."""
    check(tmp_path, image(60), Cuts(seed, 24_000_000, 96_000_000), choices)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_three_cuts_wherever_they_fall(tmp_path: Path, seed: int) -> None:
    cuts = Cuts(seed, MIB, 20 * MIB, shared=True, limit=3)
    check(tmp_path, image(8), cuts, {"base": "1"})
