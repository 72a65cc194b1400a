from __future__ import annotations

from tests.pipeline.conftest import lab, labs, no_thread_is_left

__all__ = ["lab", "labs", "no_thread_is_left"]
