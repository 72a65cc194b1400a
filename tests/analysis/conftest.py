"""The laboratory of copies, which plans are measured in."""

from __future__ import annotations

from tests.pipeline.conftest import (  # noqa: F401 - fixtures are found by their names here
    lab,
    labs,
    no_thread_is_left,
)
