"""Registries for the tests of promotion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from squashproxy.testing import FakeRegistry
from tests.promotion.pair import Pair


@pytest.fixture
def pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Pair]:
    with FakeRegistry() as old, FakeRegistry() as new:
        yield Pair(old, new, tmp_path, capsys)
