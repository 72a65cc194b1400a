"""Uploads that are lost, and blobs that come wrong: they are made again, to the same result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import pytest

from squashproxy.errors import IntegrityError
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.results import CopyResult, LayerAction
from squashproxy.progress import Task
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.testing import BuiltImage, FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.pipeline.images import image_of, noise
from tests.pipeline.lab import Lab, Listener, asked, fails, fetched, tree

Labs = Callable[..., Lab]
MIB = 1 << 20
ALWAYS = 1000
FORGETFUL = {"resumable_uploads": False}
"""A registry that ends a session with the connection, as distribution does."""


@dataclass(slots=True)
class Bars(Listener):
    """Keeps the bars that went beyond their end."""

    overrun: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, label: str, total: int | None) -> Task:
        self.labels.append(label)
        return _Bar(self, label, total)


@dataclass(slots=True)
class _Bar:
    bars: Bars
    label: str
    total: int | None
    done: int = 0

    def advance(self, count: int) -> None:
        with self.bars.lock:
            self.done += count
            if self.total is not None and self.done > self.total:
                self.bars.overrun.append(self.label)

    def finish(self, outcome: str = "") -> None:
        """Nothing: bars end where they end."""


LOWER = LayerBuilder().file("lower", noise(5 * MIB, 1)).file("goes", noise(MIB, 2))
MIDDLE = LayerBuilder().file("middle", noise(5 * MIB, 3))
TOP = LayerBuilder().file("top", noise(5 * MIB, 4)).whiteout("goes")
IMAGE = image_of(LOWER, MIDDLE, TOP)
"""Each layer takes two chunks of an upload; the lowest one is cut where the image is pruned."""

SMALL_LAYERS = (
    LayerBuilder().file("lower", noise(MIB, 1)).file("goes", noise(MIB, 2)),
    LayerBuilder().file("middle", noise(MIB + 90_000, 3)),
    LayerBuilder().file("top", noise(MIB + 90_000, 4)).whiteout("goes"),
)
SMALL = image_of(*SMALL_LAYERS)
"""Its layers are just too large to be read twice before anybody gets a byte of them."""


@dataclass(frozen=True, slots=True)
class Job:
    """A copy, and how many PATCHes pass before those of the blob that it is about."""

    skip: int
    choices: dict[str, Any]
    label: str


JOBS = {
    "the squashed layer": Job(1, {"base": "none"}, "squashed layer"),
    "its last chunk": Job(3, {"base": "none"}, "squashed layer"),
    "the first part of several": Job(
        1, {"base": "none", "max_layer_size": 6 * MIB}, "squashed layer"
    ),
    "the second part": Job(3, {"base": "none", "max_layer_size": 6 * MIB}, "squashed layer"),
    "the last part": Job(5, {"base": "none", "max_layer_size": 6 * MIB}, "squashed layer"),
    "a layer that is sent while it is read": Job(
        1, {"base": "none", "mode": Mode.PRUNE, "jobs": 1}, "blob"
    ),
    "a layer as it is": Job(1, {"mode": Mode.COPY, "jobs": 1}, "blob"),
    "another layer as it is": Job(3, {"mode": Mode.COPY, "jobs": 1}, "blob"),
    "a base layer": Job(1, {"base": "3", "jobs": 1}, "blob"),
}


def calm(choices: dict[str, Any], image: BuiltImage = IMAGE) -> CopyResult:
    """The same copy without a fault."""
    return _calm(tuple(choices.items()), image.digest)


@cache
def _calm(choices: tuple[tuple[str, Any], ...], digest: str) -> CopyResult:
    with FakeRegistry() as old, FakeRegistry() as new, RegistryClient(environ={}) as client:
        lab = Lab(old, new, client)
        lab.put(IMAGE if digest == IMAGE.digest else SMALL)
        return lab.copy(**dict(choices))


def figures(result: CopyResult) -> list[dict[str, Any]]:
    """All that a report says, but for what was read, which is more after a fault."""
    return [{**asdict(each), "fetched_bytes": 0} for each in result.platforms]


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_blob_whose_upload_is_lost_is_made_again(labs: Labs, job: Job) -> None:
    lab = labs(new=FORGETFUL)
    lab.put(IMAGE)
    lab.new.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=job.skip))
    bars = Bars()
    result = lab.copy(observer=bars, **job.choices)
    expected = calm(job.choices)
    assert result.digest == expected.digest
    assert figures(result) == figures(expected)
    assert lab.arrived().tree() == tree(LOWER, MIDDLE, TOP)
    (warning,) = result.warnings
    assert warning.startswith(f"{job.label}")
    assert f"its upload to {lab.new.host}/app:1 was lost, so it is made again" in warning
    assert bars.overrun == []


def test_the_parts_that_are_complete_are_not_sent_again(labs: Labs) -> None:
    lab = labs(new=FORGETFUL)
    lab.put(IMAGE)
    lab.new.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=5))
    result = lab.copy(base="none", max_layer_size=6 * MIB)
    parts = result.platforms[0].layers_after
    assert asked(lab.new).count("POST app/uploads 202") == parts + 1 + 1


def test_a_pruned_layer_is_made_again(labs: Labs) -> None:
    """Its upload is the last one that begins."""
    expected = calm({"base": "none", "mode": Mode.PRUNE})
    (pruned,) = [
        each.digest for each in expected.platforms[0].layers if each.action is LayerAction.PRUNED
    ]
    lab = labs()
    lab.put(IMAGE)
    lab.new.arm(Fault("PUT", f"digest={str(pruned).replace(':', '%3A')}", status=404))
    result = lab.copy(base="none", mode=Mode.PRUNE)
    assert figures(result) == figures(expected)
    (warning,) = result.warnings
    assert warning.startswith("pruned layer 1: its upload")


def test_a_sent_layer_that_is_lost_at_its_end_is_read_again(lab: Lab) -> None:
    """By then nobody else reads it any more."""
    lab.put(IMAGE)
    top = IMAGE.layers[2].digest
    lab.new.arm(Fault("PUT", f"digest={top.replace(':', '%3A')}", status=404))
    result = lab.copy(base="none", mode=Mode.PRUNE)
    assert fetched(lab.old, top) == 2
    assert figures(result) == figures(calm({"base": "none", "mode": Mode.PRUNE}))


def test_a_config_is_sent_again(lab: Lab) -> None:
    lab.put(IMAGE)
    config = lab.copy(target="app:0", base="none")
    lab.new.arm(Fault("PUT", "digest=", status=404, skip=1))
    result = lab.copy(target="other:1", base="none")
    assert result.digest == config.digest
    assert result.warnings[0].startswith("config: its upload")


@pytest.mark.parametrize("mode", UploadMode)
def test_each_way_of_sending(labs: Labs, mode: UploadMode) -> None:
    lab = labs(new=FORGETFUL)
    lab.put(IMAGE)
    method = "PUT" if mode is UploadMode.MONOLITHIC else "PATCH"
    lab.new.arm(Fault(method, "blobs", FaultKind.DROP_REQUEST, after_bytes=3 * MIB))
    options = ClientOptions(upload={lab.new.host: mode})
    with RegistryClient(options, environ={}, sleep=lambda _seconds: None) as client:
        result = Lab(lab.old, lab.new, client).copy(base="none")
    assert result.digest == calm({"base": "none"}).digest


def test_several_in_one_run(labs: Labs) -> None:
    lab = labs(new=FORGETFUL)
    lab.put(IMAGE)
    for skip in (1, 3, 5, 7):
        lab.new.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=skip))
    result = lab.copy(base="1")
    assert result.digest == calm({"base": "1"}).digest


def test_a_registry_that_starts_again(lab: Lab) -> None:
    lab.put(IMAGE)
    patches = iter(range(ALWAYS))

    def start_again(method: str, _path: str) -> None:
        if method == "PATCH" and next(patches) in (2, 5):
            lab.new.forget_uploads()

    lab.new.before_each(start_again)
    result = lab.copy(base="1")
    assert result.digest == calm({"base": "1"}).digest


def test_a_merge_that_has_to_begin_again_does_so_in_a_second_attempt(labs: Labs) -> None:
    """The first attempt ends before it finds out that a path stands twice in a layer."""
    once = LayerBuilder().file("pad", noise(9 * MIB)).file("twice", b"two")
    twice = LayerBuilder().file("twice", b"one").raw(once.tar())
    image = image_of(MIDDLE, twice)
    lab = labs(new=FORGETFUL)
    lab.put(image)
    lab.new.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=1))
    (platform,) = lab.copy(base="none").platforms
    assert platform.fallbacks == 1
    assert lab.arrived().tree() == tree(MIDDLE, once)


FLIPS = {
    "squash": {"base": "none"},
    "squash, with a base": {"base": "2"},
    "one layer": {"base": "2", "compression": "zstd"},
    "several parts": {"base": "none", "max_layer_size": MIB},
    "prune": {"base": "none", "mode": Mode.PRUNE},
    "copy": {"mode": Mode.COPY},
    "a copy as it is": {"base": "3"},
}


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("choices", FLIPS.values(), ids=FLIPS)
def test_a_blob_that_comes_wrong_is_read_once_more(
    lab: Lab, choices: dict[str, Any], number: int
) -> None:
    lab.put(SMALL)
    blob = SMALL.layers[number]
    lab.old.arm(Fault("GET", blob.digest, FaultKind.CORRUPT, after_bytes=blob.size - 2000))
    result = lab.copy(**choices)
    assert result.digest == calm(choices, SMALL).digest
    assert lab.arrived().tree() == tree(*SMALL_LAYERS)
    assert figures(result) == figures(calm(choices, SMALL))
    assert any("it is read once more from its start" in each for each in result.warnings)


def test_each_blob_may_come_wrong_once(lab: Lab) -> None:
    """That of a config needs no word: it is read again at once."""
    lab.put(SMALL)
    for blob in (*SMALL.layers, SMALL.config):
        lab.old.arm(Fault("GET", blob.digest, FaultKind.CORRUPT, after_bytes=100))
    assert lab.copy(base="none").digest == calm({"base": "none"}, SMALL).digest


@pytest.mark.parametrize("choices", FLIPS.values(), ids=FLIPS)
def test_a_blob_that_stays_wrong_is_broken(lab: Lab, choices: dict[str, Any]) -> None:
    lab.put(SMALL)
    blob = SMALL.layers[2]
    fault = Fault("GET", blob.digest, FaultKind.CORRUPT, after_bytes=blob.size // 2, times=ALWAYS)
    lab.old.arm(fault)
    fails(lab, IntegrityError, blob.digest, **choices)
    assert fetched(lab.old, blob.digest) == 2


def test_a_blob_that_comes_wrong_and_is_lost_as_well(labs: Labs) -> None:
    """The second making begins otherwise than the first, and is right."""
    lab = labs(new=FORGETFUL)
    lab.put(IMAGE)
    blob = IMAGE.layers[2]
    lab.old.arm(Fault("GET", blob.digest, FaultKind.CORRUPT, after_bytes=1000))
    lab.new.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=1))
    result = lab.copy(mode=Mode.COPY, jobs=1)
    assert result.digest == IMAGE.digest


@pytest.mark.parametrize("choices", FLIPS.values(), ids=FLIPS)
def test_a_target_that_loses_a_blob_gets_it_once_more(lab: Lab, choices: dict[str, Any]) -> None:
    """As one does whose garbage collection takes blobs that no manifest names yet."""
    lab.put(SMALL)
    left = iter((True,))

    def collect(method: str, path: str) -> None:
        if method == "PUT" and "/manifests/" in path and next(left, False):
            lab.new.drop_blob("app", min(lab.new.blobs("app")))

    lab.new.before_each(collect)
    result = lab.copy(**choices)
    assert result.digest == calm(choices, SMALL).digest
    assert lab.arrived().tree() == tree(*SMALL_LAYERS)
    assert any("what is missing is brought once more" in each for each in result.warnings)
