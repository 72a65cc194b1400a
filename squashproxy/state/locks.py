"""Locks on rules, so that two processes with the same state never run the same rule at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from squashproxy.decimals import parse_decimal
from squashproxy.errors import SquashproxyError, UsageError, advice_of, reason_of

_FOLDER = "running"
_MOST_PID = 32


class RuleBusy(SquashproxyError):
    """Another process is running the rule."""


@contextmanager
def held(state: Path, section: str, rules: Sequence[str]) -> Iterator[None]:
    """Hold the locks of some rules while the block runs.

    The system releases a lock when its process ends, however it ends. Raises RuleBusy, and
    UsageError where the lock files cannot be made in the state folder.
    """
    with ExitStack() as stack:
        for rule in sorted(set(rules)):
            stack.enter_context(_held(state / _FOLDER, section, rule))
        yield


@contextmanager
def _held(folder: Path, section: str, rule: str) -> Iterator[None]:
    path = folder / f"{section}-{quote(rule, safe='')}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a+")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {reason_of(error)}",
            advice=advice_of(error, "name another folder as `state`"),
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuleBusy(
                f"the {section} rule {rule} runs already{_by(file)}, and this would get in its "
                "way; try again when that has ended"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _by(file: IO[str]) -> str:
    file.seek(0)
    number = parse_decimal(file.read(_MOST_PID).strip())
    return "" if number is None else f" in process {number}"
