"""squashproxy, which sends itself a signal before it changes a file for the Nth time.

    python -m tests.bench.kill_at NUMBER SIGNAL FILE WORDS...

Files are those of the disk: opened for writing, renamed, linked, removed, folders made. With
NUMBER 0 there is no signal. At the end, FILE gets the count of changes.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
from pathlib import Path

from squashproxy.cli.main import main

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = frozenset(
    {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
)


class Changes:
    """An audit hook that counts changes of files, and sends a signal before one of them."""

    def __init__(self, due: int, number: int) -> None:
        self._due = due
        self._signal = number
        self._numbers = itertools.count(1)
        self.count = 0

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Take an audit event (docs.python.org/3/library/audit_events.html)."""
        if event in _CHANGES or (event == "open" and _is_change(arguments)):
            self.count = next(self._numbers)
            if self.count == self._due:
                os.kill(os.getpid(), self._signal)


def _is_change(arguments: tuple[object, ...]) -> bool:
    path, _, flags = arguments
    if not isinstance(flags, int) or not flags & _WRITES or isinstance(path, int):
        return False
    return not str(path).startswith("/dev/")


if __name__ == "__main__":
    due, number, place = sys.argv[1:4]
    changes = Changes(int(due), int(number))
    atexit.register(lambda: Path(place).write_text(str(changes.count)))
    sys.argv = ["squashproxy", *sys.argv[4:]]
    sys.addaudithook(changes.hear)
    main()
