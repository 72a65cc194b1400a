"""Standard input, output and error, which a caller may have closed, filled up or left."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from squashproxy.errors import ReportLost, reason_of

_WRONG_WAYS = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_RDONLY}


def secure_standard_streams() -> None:
    """Take the place of the standard streams that the caller closed, and notice what is lost.

    Otherwise the next file or socket that is opened gets the number of a closed one, and is taken
    for it. Stand-ins cannot be read or written, so that an archive for `-` is refused; text, such
    as a report, goes nowhere. From here on, writing to standard output raises ReportLost where it
    takes no more, and BrokenPipeError where its reader left; standard error never raises, since
    there is nobody else to tell.
    """
    for number, way in _WRONG_WAYS.items():
        if not _is_open(number):
            _put_at(number, way)
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = _Output.of(sys.stdout)
    sys.stderr = _Errors.of(sys.stderr)


class _Guarded(io.TextIOWrapper):
    """A standard stream that goes nowhere once it has failed, so that its last flush succeeds."""

    @classmethod
    def of(cls, stream: TextIO | None) -> TextIO:
        """`stream`, which the interpreter keeps as well; the null device for a closed one."""
        if stream is None:
            return _nowhere("w")
        assert isinstance(stream, io.TextIOWrapper), "nobody has replaced it this early"
        buffer, lines = stream.buffer, stream.line_buffering
        if isinstance(buffer, io.RawIOBase):  # PYTHONUNBUFFERED: it may write a part and say so
            buffer, lines = io.BufferedWriter(buffer), True
        return cls(buffer, stream.encoding, stream.errors, line_buffering=lines)

    def write(self, text: str) -> int:
        if text == "":
            return 0  # click asks by this whether it is text, and hears no other error
        with self._failing():
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._failing():
            super().flush()

    def lose(self, error: OSError) -> None:
        """What to do about it."""
        raise NotImplementedError

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _put_at(self.fileno(), os.O_WRONLY)
            self.lose(error)


class _Output(_Guarded):
    def lose(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise error
        raise ReportLost(
            f"the report could not be written to standard output: {reason_of(error)}; only the "
            "report is missing, make room for it and run the same command again"
        ) from error


class _Errors(_Guarded):
    def lose(self, error: OSError) -> None:
        """Nobody can be told."""


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _put_at(number: int, way: int) -> None:
    """Open the null device under that number, in place of what had it."""
    opened = os.open(os.devnull, way)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _nowhere(mode: str) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")  # type: ignore[return-value]  # text by its mode
