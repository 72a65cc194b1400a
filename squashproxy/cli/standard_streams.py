"""Standard input, output and error, made safe: they may be closed, full, or a broken pipe."""

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
    """Replace closed standard streams, and make failed writes visible.

    Without a replacement, the next file or socket that is opened would get the descriptor of a
    closed standard stream, and be mistaken for it. A replacement cannot be read or written as
    bytes, so an archive for `-` is refused; text written to it is discarded. Afterwards, writing
    to standard output raises ReportLost if it is full, and BrokenPipeError if its reader is gone.
    Writing to standard error never raises: there is no other place to report that.
    """
    for number, way in _WRONG_WAYS.items():
        if not _is_open(number):
            _put_at(number, way)
    sys.stdin = sys.stdin or _null_device("r")
    sys.stdout = _Output.of(sys.stdout)
    sys.stderr = _Errors.of(sys.stderr)


class _Guarded(io.TextIOWrapper):
    """A standard stream that is replaced by the null device once it failed.

    Otherwise the interpreter's last flush would fail.
    """

    @classmethod
    def of(cls, stream: TextIO | None) -> TextIO:
        """Wrap `stream`; a closed stream (None) becomes the null device."""
        if stream is None:
            return _null_device("w")
        assert isinstance(stream, io.TextIOWrapper), (
            "the interpreter's own stream, since this runs first"
        )
        buffer, lines = stream.buffer, stream.line_buffering
        if isinstance(buffer, io.RawIOBase):  # PYTHONUNBUFFERED: it may write a part and say so
            buffer, lines = io.BufferedWriter(buffer), True
        return cls(buffer, stream.encoding, stream.errors, line_buffering=lines)

    def write(self, text: str) -> int:
        if text == "":
            return 0  # click writes "" to find out whether the stream takes text
        with self._failing():
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._failing():
            super().flush()

    def lose(self, error: OSError) -> None:
        """React to a write that failed."""
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
            f"the report could not be written to standard output: {reason_of(error)}",
            advice="only the report is missing, make room for it and run the same command again",
        ) from error


class _Errors(_Guarded):
    def lose(self, error: OSError) -> None:
        """Do nothing: there is no other place to report it."""


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _put_at(number: int, way: int) -> None:
    """Open the null device under the descriptor `number`, replacing what is open there."""
    opened = os.open(os.devnull, way)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _null_device(mode: str) -> TextIO:
    return Path(os.devnull).open(mode, encoding="utf-8")  # type: ignore[return-value]  # text by its mode
