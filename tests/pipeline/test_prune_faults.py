"""Pruning that is interrupted or fails midway: nothing half-made, nothing left open, no thread.

A blob is sent while it is read for something else, so either side may fail while the other waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import (
    BadCompression,
    Denied,
    IntegrityError,
    NotFound,
    ServerFault,
    SquashproxyError,
    Unreachable,
)
from squashproxy.oci.manifest import encode_json
from squashproxy.pipeline.mode import Mode
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.testing import BuiltImage, Fault, FaultKind, LayerBuilder
from tests.pipeline.images import image_of, noise, other
from tests.pipeline.lab import Lab, Listener, asked, fails, tree
from tests.pipeline.test_interrupt import Interrupter

Labs = Callable[..., Lab]
ALWAYS = 1000
PATIENCE = 10.0
MIB = 1 << 20
LAYERS = (
    LayerBuilder().file("base", noise(5 * MIB, 1)),
    LayerBuilder().file("stays", noise(5 * MIB, 2)),
    LayerBuilder().file("front", noise(2 * MIB, 3)).file("goes", noise(3 * MIB, 4)),
    LayerBuilder().file("top", noise(5 * MIB, 5)).whiteout("goes"),
)
IMAGE = image_of(*LAYERS)
"""A base, a layer that stays, one that is cut behind its first chunks, and the top; each blob takes
two chunks of an upload."""
BASE, STAYS, CUT, TOP = (layer.digest for layer in IMAGE.layers)
JOBS = pytest.mark.parametrize("jobs", [1, 3])


def threads() -> set[threading.Thread]:
    """The threads of copies; those that wait for a connection end with it."""
    return {each for each in threading.enumerate() if each.name.startswith("squashproxy")}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    for thread in threads():
        thread.join(10)
    assert not threads()


def prune_fails(lab: Lab, error: type[SquashproxyError], *words: str, **choices: Any) -> None:
    """A pruning copy fails like any other, and no blob of a layer that is cut has arrived."""
    fails(lab, error, *words, mode=Mode.PRUNE, **choices)
    assert CUT not in lab.new.blobs("app")
    assert not any("PUT app/manifests" in line for line in asked(lab.new))


MOMENTS = {
    "at the first layer read": ("layer 4/4", 1),
    "before a chunk was sent": ("layer 4/4", MIB),
    "after a chunk was sent": ("layer 4/4", 5 * MIB),
    "in the layer that is cut": ("layer 3/4", 4 * MIB),
    "in the layer below it": ("layer 2/4", 5 * MIB),
    "while writing": ("pruned layer", MIB),
    "while copying the base": ("blob", MIB),
    "while copying the second chunk of the base": ("blob", 5 * MIB),
}
EVERY_WAY = ("after a chunk was sent", "while copying the second chunk of the base")


@JOBS
@pytest.mark.parametrize(
    ("label", "after", "mode"),
    [
        pytest.param(*moment, mode, id=f"{name}, {mode.value}")
        for name, moment in MOMENTS.items()
        for mode in (UploadMode if name in EVERY_WAY else (UploadMode.AUTO,))
    ],
)
def test_an_interrupted_copy(
    labs: Labs, label: str, after: int, mode: UploadMode, jobs: int
) -> None:
    lab = labs()
    lab.put(IMAGE)
    before = other().push(lab.new, "app", "1")
    options = ClientOptions(upload={lab.new.host: mode})
    with RegistryClient(options, environ={}) as client:
        interrupted = Lab(lab.old, lab.new, client)
        observer = Interrupter(label, after)
        with pytest.raises(KeyboardInterrupt):
            interrupted.copy(base="1", mode=Mode.PRUNE, observer=observer, jobs=jobs)
        assert lab.new.open_uploads == 0
        assert lab.new.tags("app") == {"1": before}
        assert CUT not in lab.new.blobs("app")
        assert not any("PUT app/manifests" in line for line in asked(lab.new))
        result = interrupted.copy(base="1", mode=Mode.PRUNE, jobs=jobs)
    assert lab.new.tags("app") == {"1": result.digest}
    assert lab.arrived().tree() == tree(*LAYERS)


@JOBS
@pytest.mark.parametrize("digest", [STAYS, CUT, TOP, BASE], ids=["stays", "cut", "top", "base"])
class TestASource:
    """A layer is read by one thread and sent by another; the base is copied beside it."""

    def test_that_lacks_a_layer(self, lab: Lab, digest: str, jobs: int) -> None:
        lab.put(IMAGE)
        lab.old.arm(Fault("GET", digest, status=404, times=ALWAYS))
        prune_fails(lab, NotFound, digest, base="1", jobs=jobs)

    def test_whose_connection_is_lost_again_and_again(
        self, lab: Lab, digest: str, jobs: int
    ) -> None:
        lab.put(IMAGE)
        lab.old.arm(Fault("GET", digest, FaultKind.DROP, after_bytes=MIB, times=ALWAYS))
        prune_fails(lab, Unreachable, lab.old.host, base="1", jobs=jobs)

    def test_that_sends_other_bytes(self, lab: Lab, digest: str, jobs: int) -> None:
        """The digest is wrong, which is known at the end only."""
        lab.put(IMAGE)
        lab.old.arm(Fault("GET", digest, FaultKind.CORRUPT, after_bytes=4 * MIB, times=ALWAYS))
        prune_fails(lab, IntegrityError, digest, base="1", jobs=jobs)
        assert digest not in lab.new.blobs("app")


@JOBS
def test_a_layer_that_cannot_be_inflated(lab: Lab, jobs: int) -> None:
    broken = broken_layer(IMAGE, 3)
    lab.put(broken)
    fails(lab, BadCompression, "layer 4 of 4", base="1", mode=Mode.PRUNE, jobs=jobs)
    assert broken.layers[3].digest not in lab.new.blobs("app")


def broken_layer(image: BuiltImage, number: int) -> BuiltImage:
    """The image with a layer whose blob has another byte in its middle; its digest is right."""
    layer = image.layers[number]
    blob = bytearray(image.blobs[layer.digest])
    blob[len(blob) // 2] ^= 0x55
    digest = digest_of(bytes(blob))
    document = json.loads(image.manifest.data)
    document["layers"][number]["digest"] = digest
    manifest = replace(image.manifest, data=encode_json(document))
    blobs = {**image.blobs, digest: bytes(blob)}
    layers = [*image.layers]
    layers[number] = replace(layer, digest=digest)
    return replace(image, manifest=manifest, blobs=blobs, layers=tuple(layers))


REFUSALS = {
    "500 to chunks": (Fault("PATCH", "", status=500, times=ALWAYS), ServerFault),
    "403 to chunks": (Fault("PATCH", "", status=403, times=ALWAYS), Denied),
    "403 to the beginning": (Fault("POST", "", status=403, times=ALWAYS), Denied),
    "500 to the end": (Fault("PUT", "/blobs/", status=500, times=ALWAYS), ServerFault),
    "500 to HEAD": (Fault("HEAD", "/blobs/", status=500, times=ALWAYS), ServerFault),
    "403 to the manifest": (Fault("PUT", "/manifests/", status=403, times=ALWAYS), Denied),
}


@JOBS
@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize(("fault", "error"), REFUSALS.values(), ids=REFUSALS)
def test_a_target_that_refuses(
    lab: Lab, fault: Fault, error: type[SquashproxyError], skip: int, jobs: int
) -> None:
    """An upload is refused in its middle, while its layer is read ahead."""
    lab.put(IMAGE)
    lab.new.arm(replace(fault, skip=0 if "manifest" in fault.path_pattern else skip))
    base = str(skip % 2) if skip % 2 else "none"
    fails(lab, error, lab.new.host, f"HTTP {fault.status}", base=base, jobs=jobs, mode=Mode.PRUNE)


@JOBS
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_target_that_drops_the_connection(lab: Lab, skip: int, jobs: int) -> None:
    lab.put(IMAGE)
    lab.new.arm(Fault("PATCH", "", FaultKind.DROP, skip=skip, times=ALWAYS))
    prune_fails(lab, Unreachable, lab.new.host, base="1", jobs=jobs)


@JOBS
@pytest.mark.parametrize("skip", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("PATCH", "", status=500), id="500 to a chunk"),
        pytest.param(
            Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=MIB), id="lost within a chunk"
        ),
        pytest.param(Fault("PUT", "/blobs/", FaultKind.LOSE_ANSWER), id="lost answer"),
    ],
)
def test_what_passes(lab: Lab, fault: Fault, skip: int, jobs: int) -> None:
    """A batch that was handed over is sent again, though the reader went on."""
    lab.put(IMAGE)
    lab.new.arm(replace(fault, skip=skip))
    lab.copy(base="1", mode=Mode.PRUNE, jobs=jobs)
    assert lab.arrived().tree() == tree(*LAYERS)
    assert lab.new.open_uploads == 0
    assert CUT not in lab.new.blobs("app")


def test_a_layer_is_written_again_beside_the_scan_of_those_below(lab: Lab) -> None:
    written = threading.Event()
    seen: list[bool] = []

    def on_advance(label: str, _count: int) -> None:
        if label.startswith("pruned layer"):
            written.set()
        elif label == "layer 2/4" and not seen:
            seen.append(written.wait(PATIENCE))

    lab.put(IMAGE)
    lab.copy(mode=Mode.PRUNE, base="1", observer=Listener(on_advance=on_advance))
    assert seen == [True]
