"""Standard error: log lines, warnings, and one sentence for each error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from squashproxy.cli.interrupts import Interrupts
from squashproxy.printable import printable

_LOGGER = logging.getLogger("squashproxy")
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
TRACEBACK_VERBOSITY = 2
"""From this number of `-v` on, an error shows its traceback."""


@dataclass(slots=True)
class Diagnostics:
    """How much is written to standard error, and in which form.

    It is made before the command line is parsed, so that an error in the command line is already
    reported in the form that its options ask for. `interrupts` are the signals of the process.
    """

    verbosity: int = 0
    quiet: bool = False
    json_lines: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)

    def start_logging(self) -> None:
        """Send the package's log to standard error, at the level and in the form asked for."""
        handler = _StderrHandler()
        handler.setFormatter(_JsonFormatter() if self.json_lines else _TextFormatter())
        _LOGGER.handlers[:] = [handler]
        _LOGGER.propagate = False
        loudest = _LEVELS[min(self.verbosity, len(_LEVELS) - 1)]
        _LOGGER.setLevel(logging.ERROR if self.quiet else loudest)

    def fail(self, sentence: str, error: BaseException | None = None) -> None:
        """Report one error, with its traceback from `-vv` on."""
        self.start_logging()
        with_traceback = error is not None and self.verbosity >= TRACEBACK_VERBOSITY
        _LOGGER.error("%s", sentence, exc_info=error if with_traceback else None)


def wants_json_lines(arguments: Sequence[str]) -> bool:
    """Whether a command line, which may be invalid, asks for `--log-format json`."""
    pairs = pairwise(arguments)
    return "--log-format=json" in arguments or ("--log-format", "json") in pairs


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, which a progress display may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _TextFormatter(logging.Formatter):
    """`squashproxy: sentence`; a warning begins with `warning: `."""

    def format(self, record: logging.LogRecord) -> str:
        kind = "warning: " if record.levelno == logging.WARNING else ""
        sentence = printable(record.getMessage())
        return self._with_traceback(f"squashproxy: {kind}{sentence}", record)

    def _with_traceback(self, line: str, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return line
        trace = map(printable, self.formatException(record.exc_info).splitlines())
        return "\n".join((*trace, line))


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
