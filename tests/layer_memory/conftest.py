"""Memories of layers, and what is remembered in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers


@pytest.fixture
def warnings() -> list[str]:
    """What the memories of a test warned about."""
    return []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of `memory`, which is not there yet."""
    return tmp_path / "caches" / "layers"


@pytest.fixture
def memory(root: Path, warnings: list[str]) -> RememberedLayers:
    return RememberedLayers(Folder(root, warnings.append), 3)
