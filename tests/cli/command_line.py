"""Running the command line as its users do: arguments in, two streams and a code out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from squashproxy.cli.main import run


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs a command line within the test's process; quick."""

    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Outcome:
        self.captured.readouterr()
        code = run(arguments)
        streams = self.captured.readouterr()
        return Outcome(code, streams.out, streams.err)


def run_process(
    arguments: Sequence[str], environ: dict[str, str] | None = None, code: str | None = None
) -> Outcome:
    """Run `python -m squashproxy`, or `code` that stands in for it, as a process."""
    start = ["-c", code] if code else ["-m", "squashproxy"]
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
