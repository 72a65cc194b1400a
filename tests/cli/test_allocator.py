"""The allocator: what one thread frees, another one uses again."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from squashproxy.cli.allocator import share_freed_memory

EIGHT_THREADS = """
import re, sys
from threading import Barrier, Lock, Thread
from squashproxy.cli.allocator import share_freed_memory
if "shared" in sys.argv:
    share_freed_memory()
begun, ended, turn, kept = Barrier(8), Barrier(8), Lock(), []
def work():
    begun.wait()
    with turn:
        held = [bytes(4000) for _ in range(3000)]
        kept.append(bytes(4000))
        del held
    ended.wait()
threads = [Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
"""Each holds 12 MB for a while, one after the other; a little of it stays."""


def peak(*arguments: str) -> int:
    command = [sys.executable, "-c", EIGHT_THREADS, *arguments]
    return int(subprocess.run(command, capture_output=True, check=True).stdout) << 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_what_they_freed() -> None:
    assert peak() - peak("shared") > 40_000_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    share_freed_memory()
