"""Random faults by a seed: up to three for one copy, at either side."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from squashproxy.pipeline.mode import Mode
from squashproxy.testing import BuiltImage, FakeRegistry, Fault, FaultKind, LayerBuilder
from tests.pipeline.images import image_of, noise

MIB = 1 << 20

LARGE_LAYERS = (
    LayerBuilder().file("lower", noise(3 * MIB, 1)).file("goes", noise(MIB, 2)),
    LayerBuilder().file("middle", noise(5 * MIB, 3)),
    LayerBuilder().file("top", noise(MIB, 4)).whiteout("goes"),
)
SMALL_LAYERS = (
    LayerBuilder().file("lower", noise(50_000, 1)).file("goes", noise(50_000, 2)),
    LayerBuilder().file("middle", noise(90_000, 3)),
    LayerBuilder().file("top", noise(90_000, 4)).whiteout("goes"),
)
IMAGES: dict[str, BuiltImage] = {
    "large": image_of(*LARGE_LAYERS),
    "small": image_of(*SMALL_LAYERS),
}
CHOICES: dict[str, dict[str, Any]] = {
    "squash all": {"base": "none"},
    "squash above a base": {"base": "1"},
    "squash into parts": {"base": "none", "max_layer_size": 3 * MIB},
    "squash into small parts": {"base": "none", "max_layer_size": 80_000},
    "prune": {"base": "none", "mode": Mode.PRUNE},
    "prune above a base": {"base": "1", "mode": Mode.PRUNE},
    "copy": {"mode": Mode.COPY},
    "one job": {"base": "1", "jobs": 1},
}
REGISTRIES: tuple[dict[str, Any], ...] = (
    {},
    {"resumable_uploads": False},
    {"old_locations": True},
    {"ranged_uploads": False},
    {"streamed_uploads": False, "relative_locations": True},
)
READS = (("GET", "/blobs/sha"), ("GET", "/manifests/"), ("HEAD", "/manifests/"), ("GET", "/blobs/"))
WRITES = (
    ("PATCH", ""),
    ("PATCH", ""),
    ("PUT", "/blobs/"),
    ("PUT", "/manifests/"),
    ("POST", ""),
    ("HEAD", "/blobs/"),
    ("GET", "uploads"),
    ("DELETE", ""),
)
TEMPORARY = (500, 502, 503, 504, 429, 408)


@dataclass(frozen=True, slots=True)
class Run:
    """A copy, and the faults that it meets at its source and its target."""

    image: str
    choice: str
    registry: dict[str, Any]
    at_source: tuple[Fault, ...]
    at_target: tuple[Fault, ...]

    def arm(self, old: FakeRegistry, new: FakeRegistry) -> None:
        """Arm the faults."""
        for fault in self.at_source:
            old.arm(fault)
        for fault in self.at_target:
            new.arm(fault)

    @property
    def unknown_sessions(self) -> int:
        """How many sessions may have begun without that the client learned of their Location."""
        return sum(
            fault.kind in (FaultKind.LOSE_ANSWER, FaultKind.DROP_RESPONSE)
            for fault in self.at_target
            if fault.method == "POST"
        )


def run_of(seed: int) -> Run:
    """The run of a seed; the same each time."""
    chance = random.Random(seed)
    image = chance.choice(("small", "small", "large"))
    faults = [_fault(chance) for _ in range(chance.randint(1, 3))]
    return Run(
        image,
        chance.choice(tuple(CHOICES)),
        chance.choice(REGISTRIES),
        tuple(fault for is_source, fault in faults if is_source),
        tuple(fault for is_source, fault in faults if not is_source),
    )


def _fault(chance: random.Random) -> tuple[bool, Fault]:
    is_source = chance.random() < 0.4
    method, path = chance.choice(READS if is_source else WRITES)
    after = chance.choice((0, 1, 100, chance.randrange(100_000), chance.randrange(2 * MIB)))
    skip = chance.choice((0, 0, 0, 1, 2, 3))
    kinds = [FaultKind.DROP, FaultKind.LOSE_ANSWER, FaultKind.ANSWER]
    if method == "GET":
        kinds += [FaultKind.DROP_RESPONSE]
    if method == "GET" and path.startswith("/blobs"):
        kinds += [FaultKind.CORRUPT, FaultKind.DROP_RESPONSE]
    if method in ("PATCH", "PUT"):
        kinds += [FaultKind.DROP_REQUEST, FaultKind.DROP_REQUEST]
    kind = chance.choice(kinds)
    status = chance.choice(TEMPORARY)
    return is_source, Fault(method, path, kind, after, status, skip=skip)
