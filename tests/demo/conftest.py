from __future__ import annotations

from tests.cli.conftest import squashproxy

__all__ = ["squashproxy"]
