"""The permission that is missing after the operating system denied one."""

from __future__ import annotations

import os
from pathlib import Path


def missing_permission(path: Path) -> str:
    """What this user may not do on the way to `path`, as a part of a sentence.

    A directory on the way that cannot be searched comes first, then the file itself, then the
    directory in which it would be made.
    """
    absolute = path.absolute()
    for parent in reversed(absolute.parents):
        if not _may(parent, os.X_OK):
            return f"this user may not search the directory {parent}"
    if absolute.exists():
        for mode, verb in ((os.R_OK, "read"), (os.W_OK, "write")):
            if not _may(absolute, mode):
                return f"this user may not {verb} it"
    if not _may(absolute.parent, os.W_OK):
        return f"this user may not write to the directory {absolute.parent}"
    return "the operating system does not say which permission is missing"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
