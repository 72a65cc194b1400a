"""Uploads whose sessions are lost in their middle: what can be made again is sent anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from squashproxy.digest import Chunk, digest_of
from squashproxy.errors import IntegrityError, RegistryError, SquashproxyError, Unreachable
from squashproxy.reference import parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.streams import Repeatable
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions

BLOB = os.urandom(10 << 20)
DIGEST = digest_of(BLOB)
SIZE = len(BLOB)
ALWAYS = 1000
RETRIES = 4


def chunks(data: bytes = BLOB) -> Iterator[Chunk]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


@dataclass(slots=True)
class Source:
    """Makes the blob as often as it is asked for, and keeps why."""

    makes: Callable[[int], Iterator[Chunk]] = lambda _: chunks()
    made: int = 0
    reasons: list[str] = field(default_factory=list)

    def stream(self) -> Repeatable[Chunk]:
        return Repeatable(self._make, self.reasons.append)

    def _make(self) -> Iterator[Chunk]:
        self.made += 1
        return self.makes(self.made)


def in_mode(registry: FakeRegistry, client: RegistryClient) -> RemoteRepository:
    return client.repository(parse_repository(f"{registry.host}/app"))


def refusal(status: int, code: str, **others: Any) -> Fault:
    body = json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()
    return Fault(status=status, body=body, **others)


CUT = Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1_000_000, skip=1)
FORGETFUL: dict[str, Any] = {"resumable_uploads": False}
LOSSES: dict[str, tuple[dict[str, Any], UploadMode, list[Fault]]] = {
    "a PATCH is cut, and the session is gone": (FORGETFUL, UploadMode.AUTO, [CUT]),
    "the same with the last chunk": (
        FORGETFUL,
        UploadMode.AUTO,
        [Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1000, skip=2)],
    ),
    "a PATCH is cut, and the session begins at 0": (
        {},
        UploadMode.AUTO,
        [CUT, Fault("GET", "uploads", FaultKind.ALTER, headers=(("Range", "0-0"),))],
    ),
    "a PATCH is cut, and the session tells no offset": (
        {},
        UploadMode.AUTO,
        [CUT, Fault("GET", "uploads", FaultKind.ALTER, headers=(("Range", ""),))],
    ),
    "a PATCH is cut, and the status is refused": (
        {},
        UploadMode.AUTO,
        [CUT, Fault("GET", "uploads", status=405)],
    ),
    "an answer is lost with its Location": (
        {},
        UploadMode.AUTO,
        [Fault("PATCH", "", FaultKind.LOSE_ANSWER, skip=1)],
    ),
    "404 to a chunk": (
        {},
        UploadMode.AUTO,
        [Fault("PATCH", "", status=404, skip=1), Fault("GET", "uploads", status=404)],
    ),
    "400 for an unknown session to a chunk": (
        {},
        UploadMode.AUTO,
        [
            refusal(400, "BLOB_UPLOAD_INVALID", method="PATCH", skip=1),
            Fault("GET", "uploads", status=404),
        ],
    ),
    "404 to the end": ({}, UploadMode.AUTO, [Fault("PUT", "blobs", status=404)]),
    "416 to the end": ({}, UploadMode.AUTO, [Fault("PUT", "blobs", status=416)]),
    "a wrong digest at the end": (
        {},
        UploadMode.AUTO,
        [refusal(400, "DIGEST_INVALID", method="PUT", path_pattern="blobs")],
    ),
    "a stream is cut": (
        {"ranged_uploads": False},
        UploadMode.AUTO,
        [Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=5_000_000, skip=1)],
    ),
    "503 to a stream": ({}, UploadMode.STREAM, [Fault("PATCH", "", status=503)]),
    "404 to a stream": ({}, UploadMode.STREAM, [Fault("PATCH", "", status=404)]),
}


@pytest.mark.parametrize(("options", "mode", "faults"), LOSSES.values(), ids=LOSSES)
def test_what_was_lost_is_sent_anew(
    connect: Callable[..., RegistryClient],
    options: dict[str, Any],
    mode: UploadMode,
    faults: list[Fault],
) -> None:
    with FakeRegistry(RegistryOptions(**options)) as registry:
        client = connect(ClientOptions(upload={registry.host: mode}))
        for fault in faults:
            registry.arm(fault)
        source = Source()
        assert in_mode(registry, client).upload_blob(source.stream()) == (DIGEST, SIZE)
        assert registry.blob("app", DIGEST) == BLOB
        assert (source.made, len(source.reasons)) == (2, 1)
        assert registry.open_uploads == 0


def test_a_whole_blob_in_a_file_is_sent_from_there(connect: Callable[..., RegistryClient]) -> None:
    with FakeRegistry() as registry:
        client = connect(ClientOptions(upload={registry.host: UploadMode.MONOLITHIC}))
        registry.arm(Fault("PUT", "blobs", status=404))
        source = Source()
        assert in_mode(registry, client).upload_blob(source.stream()) == (DIGEST, SIZE)
        assert source.made == 1
        assert registry.open_uploads == 0


@pytest.mark.parametrize("kind", [list, tuple])
def test_bytes_in_memory_need_nobody_to_make_them(
    registry: FakeRegistry, app: RemoteRepository, kind: Callable[[Any], Any]
) -> None:
    registry.arm(Fault("PUT", "blobs", status=404))
    assert app.upload_blob(kind([BLOB])) == (DIGEST, SIZE)
    assert registry.open_uploads == 0


def test_a_registry_that_starts_again_and_knows_no_session(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    patches = iter(range(ALWAYS))

    def start_again(method: str, _path: str) -> None:
        if method == "PATCH" and next(patches) == 2:
            registry.forget_uploads()

    registry.before_each(start_again)
    source = Source()
    assert app.upload_blob(source.stream()) == (DIGEST, SIZE)
    assert source.made == 2


def test_there_are_as_many_attempts_as_retries(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(**FORGETFUL)) as registry:
        registry.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, 1000, skip=1, times=ALWAYS))
        source = Source(lambda _: chunks())
        with pytest.raises(Unreachable) as raised:
            in_mode(registry, client).upload_blob(source.stream())
        assert raised.value.temporary
        assert registry.open_uploads == 0
        assert registry.blobs("app") == frozenset()


def test_after_a_loss_each_chunk_has_a_connection_of_its_own(client: RegistryClient) -> None:
    """A connection may always break after so many megabytes: then the same would be lost again."""
    with FakeRegistry(RegistryOptions(**FORGETFUL)) as registry:
        registry.arm(CUT)
        in_mode(registry, client).upload_blob(Source().stream())
        closes = [
            asked.headers.get("connection") == "close"
            for asked in registry.requests
            if asked.method == "PATCH"
        ]
        assert closes == [False, False, True, True, True]


PERMANENT = {
    "400 without a reason": Fault("PUT", "blobs", status=400, times=ALWAYS),
    "403": Fault("PUT", "blobs", status=403, times=ALWAYS),
    "507": Fault("PATCH", "", status=507, skip=1, times=ALWAYS),
    "413 to a later chunk": Fault("PATCH", "", status=413, skip=1, times=ALWAYS),
}


@pytest.mark.parametrize("fault", PERMANENT.values(), ids=PERMANENT)
def test_a_refusal_is_no_loss(registry: FakeRegistry, app: RemoteRepository, fault: Fault) -> None:
    registry.arm(fault)
    source = Source()
    with pytest.raises(RegistryError, match=f"HTTP {fault.status}"):
        app.upload_blob(source.stream())
    assert source.made == 1
    assert registry.open_uploads == 0


def test_another_blob_the_second_time_is_caught(client: RegistryClient) -> None:
    """Where its digest is not known beforehand, nothing else would tell."""
    with FakeRegistry(RegistryOptions(**FORGETFUL)) as registry:
        registry.arm(CUT)
        source = Source(lambda number: chunks(bytes([number]) + BLOB))
        with pytest.raises(IntegrityError, match=r"was made twice, and the first \d+ bytes differ"):
            in_mode(registry, client).upload_blob(source.stream())
        assert registry.blobs("app") == frozenset()
        assert registry.open_uploads == 0


def test_a_shorter_blob_the_second_time_is_caught(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(**FORGETFUL)) as registry:
        registry.arm(CUT)
        source = Source(lambda number: chunks(BLOB if number == 1 else BLOB[:1000]))
        with pytest.raises(IntegrityError, match="was made twice"):
            in_mode(registry, client).upload_blob(source.stream())


def test_an_error_of_the_second_making_passes(client: RegistryClient) -> None:
    def fail() -> Iterator[Chunk]:
        yield BLOB[:1000]
        raise SquashproxyError("the source is gone")

    with FakeRegistry(RegistryOptions(**FORGETFUL)) as registry:
        registry.arm(CUT)
        source = Source(lambda number: chunks() if number == 1 else fail())
        with pytest.raises(SquashproxyError, match="the source is gone"):
            in_mode(registry, client).upload_blob(source.stream())
        assert registry.open_uploads == 0
