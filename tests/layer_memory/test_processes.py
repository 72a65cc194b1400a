"""Processes that share a folder, and one that is killed while it writes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from tests.layer_memory.remembered import LAYER, OTHER, listing, result

PROJECT = Path(__file__).parents[2]
BUSY = """
import sys
from pathlib import Path
from squashproxy.digest import digest_of
from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from tests.layer_memory.remembered import listing, result

memory = RememberedLayers(Folder(Path(sys.argv[1]), sys.exit, most_bytes=80 * 4096), 3)
print("ready", flush=True)
sys.stdin.readline()
for step in range(300):
    number = (step * int(sys.argv[2])) % 101
    layer = digest_of(b"layer %d" % number)
    found = memory.find_listing(layer)
    assert found in (None, listing(number)), "a listing of another layer"
    memory.keep_listing(layer, listing(number))
    assert set(memory.find_results(layer)) <= {result(n, layer) for n in range(300)}
    memory.keep_result(result(step, layer))
print("done")
"""
KILLED = """
import os, signal, sys
from pathlib import Path
import squashproxy.atomic_file as atomic_file
from squashproxy.layer_memory.folder import Folder
from squashproxy.layer_memory.memory import RememberedLayers
from tests.layer_memory.remembered import LAYER, OTHER, listing, result

root, step, unnamed = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "unnamed"
if not unnamed:
    del os.O_TMPFILE
left = step

def live():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(event, arguments):
    if event.startswith(("os.", "open")) and event != "os.kill":
        live()

def write(stream, data):
    for at in range(0, len(data), 100):
        stream.write(data[at : at + 100])
        live()

import squashproxy.layer_memory.folder as folder
folder.write_all = write
memory = RememberedLayers(Folder(root, sys.exit), 3)
sys.addaudithook(watch)
memory.keep_listing(LAYER, listing(900))
memory.keep_listing(OTHER, listing(5))
memory.keep_result(result(3))
memory.keep_result(result(4))
print(step - left)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_share_a_folder_that_is_too_small_for_them(root: Path) -> None:
    """Each evicts what the other keeps; what either finds is right."""
    processes = [start(BUSY, root, step) for step in (1, 7)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()
    outputs = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate() for process in processes]
    assert outputs == [("done\n", "")] * 2
    sizes = [-(-path.stat().st_size // 4096) for path in root.rglob("*-1*/*") if path.is_file()]
    assert sum(sizes) <= 80 + 2 * (80 // 16 + 1)
    assert not list(root.rglob(".squashproxy-*"))


@pytest.fixture(scope="module", params=["unnamed", "named"])
def kind_of_files(request: pytest.FixtureRequest) -> str:
    """Whether the system makes files without a name; NFS, for one, does not."""
    return str(request.param)


@pytest.fixture(scope="module")
def steps(kind_of_files: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls of the system and pieces of files the writing takes."""
    process = start(KILLED, tmp_path_factory.mktemp("all") / "layers", 1 << 30, kind_of_files)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return int(output)


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_process_leaves_nothing_wrong(
    seed: int, steps: int, kind_of_files: str, root: Path, warnings: list[str]
) -> None:
    """Wherever it is killed: what is found is right, and its leftovers go with time."""
    step = random.Random(f"{seed} {kind_of_files}").randint(1, steps)
    process = start(KILLED, root, step, kind_of_files)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    memory = RememberedLayers(Folder(root, warnings.append), 3)
    assert memory.find_listing(LAYER) in (None, listing(900))
    assert memory.find_listing(OTHER) in (None, listing(5))
    assert memory.find_results(LAYER) in ((), (result(3),), (result(4), result(3)))
    for partial in root.rglob(".squashproxy-*"):
        os.utime(partial, (1e9, 1e9))
    memory.keep_listing(LAYER, listing(900))
    memory.keep_listing(OTHER, listing(5))
    assert memory.find_listing(LAYER) == listing(900)
    assert memory.find_listing(OTHER) == listing(5)
    assert not list(root.rglob(".squashproxy-*"))
    assert not warnings
