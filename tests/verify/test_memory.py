"""Memory grows with the number of paths, within bounds, and not with the size of files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PATHS = 100_000
PER_PATH = 600
ALLOWED = 30 << 20
MANY = """
import sys
from squashproxy.testing import LayerBuilder
from tests.verify.unpacking import unpack
for number in range(int(sys.argv[1])):
    if number % 100 == 0:
        folder = f"usr/share/package-{number:07}"
        layer = LayerBuilder().directory(folder) if not number else layer.directory(folder)
    layer.file(f"{folder}/file-{number:07}", b"%d" % number, mtime=1_600_000_000 + number)
tar = layer.tar()
before = peak()
tree = unpack([tar], 65536)
print(peak() - before)
"""
LARGE = """
import sys
from squashproxy.span import Inflated
from squashproxy.testing import LayerBuilder
from squashproxy.verify.entries import TarStream, iter_entries
before = peak()
pieces = map(Inflated, LayerBuilder().large_file("large", int(sys.argv[1])).iter_tar())
assert sum(entry.size for entry in iter_entries(TarStream(pieces, None), "layer")) > 0
print(peak() - before)
"""
PEAK = """
import resource
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
"""


def growth(program: str, argument: int) -> int:
    """Bytes by which the program's memory grew."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program, str(argument)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert isinstance(found, int)
    return found


def test_a_path_takes_some_hundred_bytes() -> None:
    taken = growth(MANY, PATHS)
    assert taken < PATHS * PER_PATH, f"{taken / PATHS:.0f} bytes for each path"


@pytest.mark.parametrize("size", [1 << 20, 300 << 20])
def test_a_file_takes_no_memory(size: int) -> None:
    assert growth(LARGE, size) < ALLOWED
