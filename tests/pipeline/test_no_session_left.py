"""No upload session is left open at the target, however a copy ends, with faults on the way.

One kind can be left, and nobody can help it: the session of a POST whose answer never came, since
only that answer tells where it is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from squashproxy.cancellation import Cancellation, Cancelled
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.copy import copy_image
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.pipeline.lab import Lab, Listener, asked, options
from tests.pipeline.seeded_faults import CHOICES, IMAGES, Run, run_of

ALWAYS = 1000
FEW = 3
MANY = 40
Ends = dict[str, Callable[["Ending"], None]]


@dataclass(slots=True)
class Ending:
    """A copy that does not end well: at a byte of its work, or since a registry refuses."""

    old: FakeRegistry
    new: FakeRegistry
    after: int
    cancellation: Cancellation = field(default_factory=Cancellation)
    done: int = 0
    act: Callable[[], None] = lambda: None

    def advance(self, _label: str, count: int) -> None:
        before, self.done = self.done, self.done + count
        if before < self.after <= self.done:
            self.act()


def interrupt(ending: Ending) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    ending.act = press


def cancel(ending: Ending) -> None:
    ending.act = ending.cancellation.cancel


def refuse_the_end(ending: Ending) -> None:
    ending.new.arm(Fault("PUT", "/blobs/", status=403, times=ALWAYS))


def refuse_chunks(ending: Ending) -> None:
    ending.new.arm(Fault("PATCH", "", status=403, skip=1, times=ALWAYS))


def lose_all_chunks(ending: Ending) -> None:
    ending.new.arm(Fault("PATCH", "", FaultKind.LOSE_ANSWER, times=ALWAYS))


def lose_the_source(ending: Ending) -> None:
    ending.old.arm(Fault("GET", "/blobs/", status=404, skip=2, times=ALWAYS))


def refuse_the_manifest(ending: Ending) -> None:
    ending.new.arm(Fault("PUT", "/manifests/", status=403, times=ALWAYS))


ENDS: Ends = {
    "Ctrl-C": interrupt,
    "cancelled": cancel,
    "a blob is refused at its end": refuse_the_end,
    "chunks are refused": refuse_chunks,
    "no chunk is answered": lose_all_chunks,
    "the source loses a blob": lose_the_source,
    "the manifest is refused": refuse_the_manifest,
}


def check(end: Callable[[Ending], None], run: Run, after: int) -> None:
    with (
        FakeRegistry() as old,
        FakeRegistry(RegistryOptions(**run.registry)) as new,
        RegistryClient(environ={}, sleep=lambda _seconds: None) as client,
    ):
        lab = Lab(old, new, client)
        lab.put(IMAGES[run.image])
        ending = Ending(old, new, after)
        end(ending)
        run.arm(old, new)
        try:
            copy_image(
                lab.source(),
                lab.sink(),
                options(**CHOICES[run.choice]),
                open_source=lab.open,
                observer=Listener(on_advance=ending.advance),
                clock=time.monotonic,
                cancellation=ending.cancellation,
            )
        except (SquashproxyError, KeyboardInterrupt, Cancelled):
            assert new.tags("app") == {}
        assert new.open_uploads <= run.unknown_sessions, asked(new)


def seeded(end: str, seed: int) -> None:
    number = random.Random(f"{end} {seed}").randrange(2_000_000)
    check(ENDS[end], run_of(number), number)


@pytest.mark.parametrize("seed", range(FEW))
@pytest.mark.parametrize("end", ENDS)
def test_a_copy_that_ends_badly(end: str, seed: int) -> None:
    seeded(end, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FEW, MANY))
@pytest.mark.parametrize("end", ENDS)
def test_hundreds_of_copies_that_end_badly(end: str, seed: int) -> None:
    seeded(end, seed)


def test_a_blob_that_comes_to_be_there_meanwhile(lab: Lab) -> None:
    """Another client pushes it while its upload is lost at the end."""
    image = IMAGES["small"]
    lab.put(image)
    layer = image.layers[0].digest

    def push(method: str, path: str) -> None:
        if method == "PUT" and layer[7:] in path:
            lab.new.put_blob("app", image.blobs[layer])

    lab.new.before_each(push)
    lab.new.arm(Fault("PUT", layer[7:], status=404))
    lab.copy(**CHOICES["copy"])
    assert lab.new.open_uploads == 0
