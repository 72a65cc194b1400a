"""A target that refuses, fails or forgets: the copy goes on where it can, or cleans up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from squashproxy.errors import (
    Denied,
    IntegrityError,
    NotFound,
    RegistryError,
    ServerFault,
    SquashproxyError,
    Unauthorized,
    Unreachable,
)
from squashproxy.registry.client import RegistryClient
from squashproxy.testing import Basic, FakeRegistry, Fault, FaultKind, ImageBuilder, LayerBuilder
from tests.pipeline.images import app, image_of, noise
from tests.pipeline.lab import Lab, asked, fails, tree

Labs = Callable[..., Lab]
ALWAYS = 1000


BASE = LayerBuilder().file("base", noise(5 << 20, 1))
UPPER = LayerBuilder().file("a", noise(5 << 20, 2))
LARGE = image_of(BASE, UPPER, LayerBuilder().whiteout("x"))
"""What is squashed of it takes two chunks of an upload, and so does its base."""

TREE = tree(BASE, UPPER)


@pytest.fixture(scope="module")
def without_a_fault() -> str:
    """The digest that a calm copy gives."""
    with FakeRegistry() as old, FakeRegistry() as new, RegistryClient(environ={}) as client:
        lab = Lab(old, new, client)
        lab.put(LARGE)
        return lab.copy(base="1").digest


class TestWhatPasses:
    """The result is the same as without the fault, and no session is left."""

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(Fault("PATCH", "", status=500), id="500-to-a-chunk"),
            pytest.param(Fault("PATCH", "", status=500, skip=1), id="500-to-the-second-chunk"),
            pytest.param(Fault("PATCH", "", FaultKind.DROP), id="connection-lost-before-a-chunk"),
            pytest.param(
                Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1 << 20),
                id="connection-lost-within-a-chunk",
            ),
            pytest.param(
                Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1 << 19, skip=1),
                id="connection-lost-within-the-second-chunk",
            ),
            pytest.param(Fault("POST", "", status=503), id="503-to-the-beginning"),
            pytest.param(Fault("PUT", "/blobs/", status=500), id="500-to-the-end"),
            pytest.param(
                Fault("PUT", "/blobs/", FaultKind.LOSE_ANSWER), id="answer-to-the-end-lost"
            ),
            pytest.param(Fault("HEAD", "", status=502, times=2), id="502-to-head"),
            pytest.param(Fault("PUT", "/manifests/", status=500), id="500-to-the-manifest"),
            pytest.param(Fault("POST", "mount=", status=503), id="503-to-a-mount"),
        ],
    )
    def test_a_fault(self, lab: Lab, fault: Fault, without_a_fault: str) -> None:
        lab.put(LARGE)
        armed = lab.new.arm(fault)
        assert lab.copy(base="1").digest == without_a_fault
        assert lab.arrived().tree() == TREE
        if "mount" not in fault.path_pattern:
            assert armed.remaining == 0

    def test_a_session_that_was_lost_with_its_first_chunk(self, labs: Labs) -> None:
        lab = labs(new={"resumable_uploads": False})
        lab.put(LARGE)
        lab.new.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000))
        lab.copy(base="1")
        assert asked(lab.new).count("POST app/uploads 202") == 4

    def test_an_answer_with_the_next_location_that_was_lost(self, labs: Labs) -> None:
        """The old Location is good for nothing then but to cancel the session."""
        lab = labs()
        lab.put(LARGE)
        lab.new.arm(Fault("PATCH", "", FaultKind.LOSE_ANSWER))
        lab.copy(base="1")
        assert asked(lab.new).count("POST app/uploads 202") == 4

    def test_an_answer_with_the_next_location_that_is_told_again(self, labs: Labs) -> None:
        lab = labs(new={"old_locations": True})
        lab.put(LARGE)
        lab.new.arm(Fault("PATCH", "", FaultKind.LOSE_ANSWER, skip=1))
        lab.copy(base="1")
        assert asked(lab.new).count("POST app/uploads 202") == 3


REFUSALS = [
    pytest.param("PATCH", 500, ServerFault, id="500-to-chunks"),
    pytest.param("PATCH", 403, Denied, id="403-to-chunks"),
    pytest.param("POST", 403, Denied, id="403-to-the-beginning"),
    pytest.param("POST", 503, ServerFault, id="503-to-the-beginning"),
    pytest.param("PUT /blobs/", 500, ServerFault, id="500-to-the-end"),
    pytest.param("PUT /blobs/", 400, RegistryError, id="400-to-the-end"),
    pytest.param("PUT /manifests/", 400, RegistryError, id="400-to-the-manifest"),
    pytest.param("PUT /manifests/", 403, Denied, id="403-to-the-manifest"),
    pytest.param("PUT /manifests/", 500, ServerFault, id="500-to-the-manifest"),
    pytest.param("HEAD /blobs/", 500, ServerFault, id="500-to-head"),
]


class TestWhatDoesNotPass:
    def test_a_registry_that_takes_no_pushes(self, labs: Labs) -> None:
        lab = labs(new={"read_only": True})
        lab.put(app())
        fails(lab, Denied, lab.new.host, "takes no pushes", base="1")

    @pytest.mark.parametrize("capacity", [500, 3_000, 6 << 20], ids=["base", "layer", "late"])
    def test_no_space(self, labs: Labs, capacity: int) -> None:
        lab = labs(new={"capacity": capacity})
        lab.put(LARGE if capacity > 1 << 20 else app())
        error = fails(lab, RegistryError, lab.new.host, "out of space", "make room", base="1")
        assert not error.temporary

    def test_no_credentials(self, labs: Labs) -> None:
        lab = labs(new={"auth": Basic("someone", "secret")})
        lab.put(app())
        fails(lab, Unauthorized, lab.new.host, "docker login")

    @pytest.mark.parametrize(("request_line", "status", "error"), REFUSALS)
    def test_an_answer(
        self, lab: Lab, request_line: str, status: int, error: type[SquashproxyError]
    ) -> None:
        lab.put(app())
        method, _, path = request_line.partition(" ")
        lab.new.arm(Fault(method, path, status=status, times=ALWAYS))
        fails(lab, error, lab.new.host, f"HTTP {status}", base="1")

    @pytest.mark.parametrize("skip", [0, 1, 2], ids=["first", "second", "third"])
    def test_connections_that_are_lost(self, lab: Lab, skip: int) -> None:
        lab.put(LARGE)
        lab.new.arm(Fault("PATCH", "", FaultKind.DROP, skip=skip, times=ALWAYS))
        fails(lab, Unreachable, lab.new.host, base="1")

    def test_a_session_that_is_lost_with_each_second_chunk(self, labs: Labs) -> None:
        lab = labs(new={"resumable_uploads": False})
        lab.put(LARGE)
        fault = Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=1, times=ALWAYS)
        lab.new.arm(fault)
        fails(lab, Unreachable, lab.new.host, base="none")

    def test_a_registry_that_changes_manifests(self, lab: Lab) -> None:
        lab.put(app())
        digest = ("Docker-Content-Digest", "sha256:" + "1" * 64)
        lab.new.arm(Fault("PUT", "/manifests/", status=201, headers=(digest,), times=ALWAYS))
        fails(lab, IntegrityError, lab.new.host, "must not be used", base="1")

    def test_the_copy_of_one_blob_fails_while_another_is_on_its_way(self, lab: Lab) -> None:
        builder = ImageBuilder()
        for number in range(4):
            builder.layer(LayerBuilder().file(f"f{number}", noise(2 << 20, number)))
        image = builder.layer(LayerBuilder().whiteout("f0")).build()
        lab.put(image)
        lab.old.arm(Fault("GET", image.layers[1].digest, status=404, times=ALWAYS))
        fails(lab, NotFound, image.layers[1].digest, base="3")
