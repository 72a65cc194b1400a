from __future__ import annotations

from tests.cli.conftest import _restored_logging, squashproxy

__all__ = ["_restored_logging", "squashproxy"]
