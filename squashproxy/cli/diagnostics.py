"""What goes to standard error: log lines, warnings and the one sentence of an error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from squashproxy.printable import printable

_LOGGER = logging.getLogger("squashproxy")
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
TRACEBACK_VERBOSITY = 2
"""From this number of `-v` on, an error shows its traceback."""


@dataclass(slots=True)
class Diagnostics:
    """How much is told on standard error, and in which form; filled in by the options.

    It outlives the parsing of the command line, so that an error in it is told in the form that
    was asked for.
    """

    verbosity: int = 0
    quiet: bool = False
    json_lines: bool = False

    def start_logging(self) -> None:
        """Send the log of the package to standard error, as the options ask."""
        handler = _StderrHandler()
        handler.setFormatter(_JsonFormatter() if self.json_lines else _TextFormatter())
        _LOGGER.handlers[:] = [handler]
        _LOGGER.propagate = False
        loudest = _LEVELS[min(self.verbosity, len(_LEVELS) - 1)]
        _LOGGER.setLevel(logging.ERROR if self.quiet else loudest)

    def fail(self, sentence: str, error: BaseException | None = None) -> None:
        """Tell one error; with its traceback where `-vv` was given."""
        self.start_logging()
        with_traceback = error is not None and self.verbosity >= TRACEBACK_VERBOSITY
        _LOGGER.error("%s", sentence, exc_info=error if with_traceback else None)


def wants_json_lines(arguments: Sequence[str]) -> bool:
    """Whether `--log-format json` stands in a command line that may not be valid otherwise."""
    pairs = pairwise(arguments)
    return "--log-format=json" in arguments or ("--log-format", "json") in pairs


class _StderrHandler(logging.Handler):
    """Writes to what `sys.stderr` is at that moment: a progress display may stand in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _TextFormatter(logging.Formatter):
    """`squashproxy: sentence`; a warning says that it is one."""

    def format(self, record: logging.LogRecord) -> str:
        kind = "warning: " if record.levelno == logging.WARNING else ""
        sentence = printable(record.getMessage())
        return self._with_traceback(f"squashproxy: {kind}{sentence}", record)

    def _with_traceback(self, line: str, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return line
        return f"{self.formatException(record.exc_info)}\n{line}"


class _JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, message, and a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)
