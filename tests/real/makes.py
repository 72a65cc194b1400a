"""Registries of three makes, by their names."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.real.programs import find_program
from tests.real.registries import (
    RealRegistry,
    run_distribution3,
    run_referrers,
    run_registry,
)

DISTRIBUTION_2 = "distribution2"
GO_CONTAINERREGISTRY = "go-containerregistry"
DISTRIBUTION_3 = "distribution3"
MAKES = (DISTRIBUTION_2, GO_CONTAINERREGISTRY, DISTRIBUTION_3)


def run_make(make: str, folder: Path, programs: Path) -> AbstractContextManager[RealRegistry]:
    """Start a registry of a make; what Debian does not have is built into `programs` first."""
    if make == DISTRIBUTION_3:
        return run_distribution3(folder, find_program("distribution3", programs))
    if make == GO_CONTAINERREGISTRY:
        return run_referrers(folder, find_program("referrers", programs))
    return run_registry(folder)
