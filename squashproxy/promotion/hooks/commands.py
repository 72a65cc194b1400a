"""Running a command within a time limit, whatever it writes and whatever it leaves running."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

_PIECE = 64 << 10
_KEPT = 1024
"""How many bytes of the end of each stream are kept, enough for a sentence."""
_TICK = 0.25
_LAST_WAIT = 5.0
"""Seconds to wait for killed processes to end."""


class OutOfTime(Exception):
    """The command, or a process it left behind with its output open, did not end in time."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code (or minus a signal), and the end of its output."""

    code: int
    output: str
    errors: str


def run_command(
    command: Sequence[str], text: bytes, timeout: float, tick: Callable[[], None]
) -> Ended:
    """Run a command with `text` on its standard input, for at most `timeout` seconds.

    It counts as ended when the process has ended and no other process holds its output open, as in
    a shell's pipe. Output is read as it comes, and only its end is kept. `tick` is called a few
    times a second and may raise. If the run ends early for any reason, the whole process group is
    killed.

    Raises OutOfTime, and OSError or ValueError where the command does not exist.
    """
    process = subprocess.Popen(  # noqa: S603 - what the operator's own file says
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    run = _Run(process, text, time.monotonic() + timeout, tick)
    try:
        run.exchange()
        code = run.wait()
    except BaseException:
        # The command was not waited for yet, so that no other group can have its number.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            _close(stream)
        with suppress(subprocess.TimeoutExpired):  # one that runs as root lives on: sudo
            process.wait(_LAST_WAIT)
    return Ended(code, _readable(run.output), _readable(run.errors))


@dataclass(slots=True)
class _Run:
    process: subprocess.Popen[bytes]
    text: bytes
    deadline: float
    tick: Callable[[], None]
    output: bytes = b""
    errors: bytes = b""

    def exchange(self) -> None:
        """Write the input and read the output, until nobody holds either open."""
        stdin, stdout, stderr = self.process.stdin, self.process.stdout, self.process.stderr
        assert stdin is not None, "it was asked for"
        assert stdout is not None, "as above"
        assert stderr is not None, "as above"
        os.set_blocking(stdin.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE, self._write)
            selector.register(stdout, selectors.EVENT_READ, self._read_output)
            selector.register(stderr, selectors.EVENT_READ, self._read_errors)
            while selector.get_map():
                for key, _ in selector.select(self._next_tick()):
                    is_over = key.data(key.fd)
                    if not is_over:
                        continue
                    selector.unregister(key.fileobj)
                    if key.fileobj is stdin:
                        _close(stdin)

    def wait(self) -> int:
        """The exit code, once there is one."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(self._next_tick())

    def _next_tick(self) -> float:
        """Seconds to wait for something to happen. Raises OutOfTime."""
        self.tick()
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return min(left, _TICK)

    def _write(self, number: int) -> bool:
        try:
            count = os.write(number, self.text)
        except BrokenPipeError:
            return True
        self.text = self.text[count:]
        return not self.text

    def _read_output(self, number: int) -> bool:
        data = os.read(number, _PIECE)
        self.output = (self.output + data)[-_KEPT:]
        return not data

    def _read_errors(self, number: int) -> bool:
        data = os.read(number, _PIECE)
        self.errors = (self.errors + data)[-_KEPT:]
        return not data


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        stream.close()


def _readable(end: bytes) -> str:
    """The end of an output as one line, without what could move a terminal's cursor."""
    text = end.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
