"""One signal ends a command soon, whatever its registries do: nothing new is sent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from squashproxy.testing import FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.pipeline.images import image_of, noise

IMAGE = image_of(
    LayerBuilder().file("base", noise(1 << 20, 1)),
    LayerBuilder().file("a", noise(6 << 20, 2)).file("b", b"b"),
    LayerBuilder().file("b", b"new"),
)


@dataclass(frozen=True, slots=True)
class Registries:
    old: FakeRegistry
    new: FakeRegistry


@pytest.fixture(scope="module")
def pushed() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        IMAGE.push(registry, "app", "1")
        yield registry


@pytest.fixture
def registries(pushed: FakeRegistry) -> Iterator[Registries]:
    with FakeRegistry() as new:
        yield Registries(pushed, new)
        new.disarm()
        pushed.disarm()


def stall(method: str, path: str = "") -> Fault:
    return Fault(method, path, FaultKind.HANG, times=1000)


@dataclass(frozen=True, slots=True)
class Stall:
    """Requests that are never answered, at the target unless `at_source`."""

    faults: tuple[Fault, ...]
    at_source: bool = False
    cancels: bool = True
    long: bool = True


STALLS: dict[str, Stall] = {
    "every chunk": Stall((stall("PATCH"),), long=False),
    "every beginning of an upload": Stall((stall("POST"),)),
    "every end of an upload": Stall((stall("PUT", "/blobs/uploads/"),)),
    "every question for a blob": Stall((stall("HEAD", "/blobs/"),)),
    "the manifest": Stall((stall("PUT", "/manifests/"),)),
    "every chunk, and the cancelling": Stall((stall("PATCH"), stall("DELETE")), cancels=False),
    "the source's blobs": Stall((stall("GET", "/blobs/"),), at_source=True, long=False),
}


def start(registries: Registries) -> subprocess.Popen[str]:
    source, target = f"{registries.old.host}/app:1", f"{registries.new.host}/app:1"
    return subprocess.Popen(
        [sys.executable, "-m", "squashproxy", "copy", "--base", "1", source, target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cases() -> Iterator[object]:
    for name, each in STALLS.items():
        for number in (signal.SIGINT, signal.SIGTERM):
            is_short = not each.long and number is signal.SIGINT
            marks = () if is_short else pytest.mark.long
            yield pytest.param(each, number, id=f"{name}, {number.name}", marks=marks)


@pytest.mark.parametrize(("stalling", "number"), list(cases()))
def test_one_signal_is_enough(
    registries: Registries, stalling: Stall, number: signal.Signals
) -> None:
    asked: list[str] = []
    for registry in (registries.old, registries.new):
        registry.before_each(lambda method, _: asked.append(method))
    stalled = registries.old if stalling.at_source else registries.new
    first, *_ = [stalled.arm(fault) for fault in stalling.faults]
    with start(registries) as process:
        assert first.reached.wait(30)
        process.send_signal(number)
        before = len(asked)
        out, err = process.communicate(timeout=30)
        after = [method for method in asked[before:] if method != "DELETE"]
    assert (process.returncode, out) == (130, "")
    assert err.startswith("squashproxy: interrupted")
    assert err.count("\n") == 1
    # A request of each of two threads may have left just before the signal, and arrive after it.
    assert after[2:] == []
    assert registries.new.tags("app") == {}
    if stalling.cancels:
        assert registries.new.open_uploads == 0


_LOST = """
import signal, sys, time, weakref
from squashproxy.cli.interrupts import Interrupts

class Thing:
    def __del__(self):
        if sys.argv[1] == "a finalizer":
            signal.raise_signal(signal.SIGTERM)
        if sys.argv[1] == "the hook that tells of them":
            raise ValueError

def called_back(_):
    if sys.argv[1] == "a weak reference":
        signal.raise_signal(signal.SIGTERM)

if sys.argv[1] == "the hook that tells of them":
    def tell(_):
        signal.raise_signal(signal.SIGTERM)
    sys.unraisablehook = tell

Interrupts().listen()
thing = Thing()
reference = weakref.ref(thing, called_back)
try:
    del thing
    time.sleep(100)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    "place", ["a finalizer", "a weak reference", "the hook that tells of them"]
)
def test_a_signal_where_python_drops_exceptions_is_not_lost(place: str) -> None:
    """Python would print a traceback, and go on as if there had been no signal."""
    command = [sys.executable, "-c", _LOST, place]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
