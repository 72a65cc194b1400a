"""The exit code of a command of which some parts failed."""

from __future__ import annotations

from squashproxy.errors import AllFailed, PartlyFailed


def check_failures(failures: int, count: int, *, is_anything_done: bool = False) -> None:
    """Raise PartlyFailed (exit code 3) where some of many failed, AllFailed (1) where all did.

    `is_anything_done` says that a failed part had changed something; then it is PartlyFailed.
    """
    if not failures:
        return
    if failures >= count and not is_anything_done:
        raise AllFailed("nothing of it could be done", advice="the report says why")
    raise PartlyFailed(f"{failures} of {count} failed", advice="the report says why")
