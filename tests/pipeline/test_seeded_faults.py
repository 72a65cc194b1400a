"""Copies with up to three random faults each: the result is right, and no session is left open.

Each fault passes, so no copy fails. With --long there are hundreds of seeds.
"""

from __future__ import annotations

from functools import cache

import pytest

from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, RegistryOptions
from tests.pipeline.lab import Lab, Tree, tree
from tests.pipeline.seeded_faults import (
    CHOICES,
    IMAGES,
    LARGE_LAYERS,
    SMALL_LAYERS,
    run_of,
)

FEW = 24
MANY = 600


@cache
def calm(image: str, choice: str) -> str:
    """The digest of the same copy without a fault."""
    with FakeRegistry() as old, FakeRegistry() as new, RegistryClient(environ={}) as client:
        lab = Lab(old, new, client)
        lab.put(IMAGES[image])
        return lab.copy(**CHOICES[choice]).digest


@cache
def looks(image: str) -> Tree:
    return tree(*(LARGE_LAYERS if image == "large" else SMALL_LAYERS))


def check(seed: int) -> None:
    run = run_of(seed)
    with (
        FakeRegistry() as old,
        FakeRegistry(RegistryOptions(**run.registry)) as new,
        RegistryClient(environ={}, sleep=lambda _seconds: None) as client,
    ):
        lab = Lab(old, new, client)
        lab.put(IMAGES[run.image])
        run.arm(old, new)
        result = lab.copy(**CHOICES[run.choice])
        assert result.digest == calm(run.image, run.choice)
        assert lab.arrived().tree() == looks(run.image)
        assert new.open_uploads <= run.unknown_sessions


@pytest.mark.parametrize("seed", range(FEW))
def test_the_result_is_right(seed: int) -> None:
    check(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FEW, MANY))
def test_the_result_is_right_in_hundreds_of_runs(seed: int) -> None:
    check(seed)
