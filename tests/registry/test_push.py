"""Writing to a registry over a real socket: each way, each accident, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from squashproxy.digest import Chunk, digest_of
from squashproxy.errors import (
    BadArchive,
    Denied,
    IntegrityError,
    NotFound,
    RegistryError,
    ServerFault,
    Unreachable,
)
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository, parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions

BLOB = os.urandom(10 << 20)
DIGEST = digest_of(BLOB)
SIZE = len(BLOB)
CHUNK = 4 << 20
INDEX = RawManifest(b'{"schemaVersion": 2, "manifests": []}', mediatypes.OCI_INDEX)
Connect = Callable[..., RegistryClient]


def chunks(data: bytes = BLOB, size: int = 100_000) -> Iterator[Chunk]:
    """Once only, as a download is; views and bytes in turn."""
    for number, start in enumerate(range(0, len(data), size)):
        piece = data[start : start + size]
        yield memoryview(piece) if number % 2 else piece


def methods(registry: FakeRegistry) -> str:
    return " ".join(asked.method for asked in registry.requests)


def sizes(registry: FakeRegistry) -> list[int]:
    return [asked.received for asked in registry.requests if asked.method == "PATCH"]


def repository(client: RegistryClient, registry: FakeRegistry) -> RemoteRepository:
    return client.repository(parse_repository(f"{registry.host}/app"))


def in_mode(connect: Connect, registry: FakeRegistry, mode: UploadMode) -> RemoteRepository:
    return repository(connect(ClientOptions(upload={registry.host: mode})), registry)


@pytest.mark.parametrize(
    ("mode", "requests", "patches"),
    [
        (UploadMode.AUTO, "POST PATCH PATCH PATCH PUT", [CHUNK, CHUNK, SIZE - 2 * CHUNK]),
        (UploadMode.CHUNKS, "POST PATCH PATCH PATCH PUT", [CHUNK, CHUNK, SIZE - 2 * CHUNK]),
        (UploadMode.STREAM, "POST PATCH PUT", [SIZE]),
        (UploadMode.MONOLITHIC, "POST PUT", []),
    ],
)
def test_each_way_brings_the_same_bytes(
    connect: Connect,
    registry: FakeRegistry,
    mode: UploadMode,
    requests: str,
    patches: list[int],
) -> None:
    assert in_mode(connect, registry, mode).upload_blob(chunks()) == (DIGEST, SIZE)
    assert registry.blob("app", DIGEST) == BLOB
    assert methods(registry) == requests
    assert sizes(registry) == patches
    assert registry.open_uploads == 0


@pytest.mark.parametrize("mode", UploadMode)
@pytest.mark.parametrize("data", [b"", b"x", BLOB[:CHUNK]], ids=["empty", "tiny", "one chunk"])
def test_the_size_does_not_matter(
    connect: Connect, registry: FakeRegistry, mode: UploadMode, data: bytes
) -> None:
    app = in_mode(connect, registry, mode)
    assert app.upload_blob([data], digest_of(data), len(data)) == (digest_of(data), len(data))
    assert registry.blob("app", digest_of(data)) == data


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(RegistryOptions(ranged_uploads=False), id="no ranges"),
        pytest.param(RegistryOptions(streamed_uploads=False), id="no streams"),
        pytest.param(RegistryOptions(relative_locations=True), id="relative Locations"),
        pytest.param(RegistryOptions(chunk_min_length=5 << 20), id="larger chunks only"),
        pytest.param(RegistryOptions(chunk_min_length=1 << 30), id="chunks beyond memory"),
    ],
)
def test_auto_finds_a_way_into_each_registry(
    client: RegistryClient, options: RegistryOptions
) -> None:
    with FakeRegistry(options) as registry:
        app = repository(client, registry)
        assert app.upload_blob(chunks()) == (DIGEST, SIZE)
        assert registry.blob("app", DIGEST) == BLOB
        assert registry.open_uploads == 0


def test_auto_remembers_that_a_registry_takes_no_ranges(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(ranged_uploads=False)) as registry:
        app = repository(client, registry)
        app.upload_blob(chunks())
        registry.forget_requests()
        app.upload_blob([b"another"])
        assert methods(registry) == "POST PATCH PUT"


@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("PATCH", "", status=503), id="503"),
        pytest.param(Fault("PATCH", "", FaultKind.DROP), id="dropped at once"),
        pytest.param(
            Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1_500_000), id="dropped midway"
        ),
        pytest.param(Fault("PATCH", "", status=429, headers=(("Retry-After", "1"),)), id="429"),
    ],
)
def test_a_chunk_that_broke_is_taken_up_again(
    registry: FakeRegistry, app: RemoteRepository, fault: Fault, chunk: int
) -> None:
    registry.arm(Fault(fault.method, "", fault.kind, fault.after_bytes, fault.status, skip=chunk))
    assert app.upload_blob(chunks()) == (DIGEST, SIZE)
    assert registry.blob("app", DIGEST) == BLOB
    assert registry.open_uploads == 0
    assert methods(registry).count("GET") == 1


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_session_that_holds_one_byte_says_the_same_as_an_empty_one(
    registry: FakeRegistry, app: RemoteRepository, after: int
) -> None:
    registry.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=after))
    assert app.upload_blob(chunks()) == (DIGEST, SIZE)
    assert all(
        "content-range" in asked.headers for asked in registry.requests[1:] if asked.received
    )
    assert registry.open_uploads == 0


def test_only_what_is_missing_is_sent_again(registry: FakeRegistry, app: RemoteRepository) -> None:
    registry.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1_500_000, skip=1))
    app.upload_blob(chunks())
    assert sizes(registry)[2] < CHUNK
    assert sum(sizes(registry)) < SIZE + CHUNK


def test_a_first_chunk_outlives_its_session(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(resumable_uploads=False)) as registry:
        registry.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1_000_000))
        assert repository(client, registry).upload_blob(chunks()) == (DIGEST, SIZE)
        assert registry.blob("app", DIGEST) == BLOB


def test_a_stream_that_cannot_be_made_again_ends_with_its_session_and_the_cause_is_reported(
    client: RegistryClient,
) -> None:
    """Earlier bytes are gone, and no stream is read twice."""
    with FakeRegistry(RegistryOptions(resumable_uploads=False)) as registry:
        registry.arm(Fault("PATCH", "", FaultKind.DROP_REQUEST, after_bytes=1_000_000, skip=1))
        with pytest.raises(Unreachable) as raised:
            repository(client, registry).upload_blob(chunks())
        assert raised.value.temporary
        assert registry.blobs("app") == frozenset()


def test_an_answer_that_is_lost_takes_the_next_location_along(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    """distribution's Locations hold the state of the session, so an old one is useless."""
    registry.arm(Fault("PATCH", "", FaultKind.LOSE_ANSWER))
    assert app.upload_blob(chunks()) == (DIGEST, SIZE)
    registry.arm(Fault("PATCH", "", FaultKind.LOSE_ANSWER, skip=1))
    with pytest.raises(Unreachable):
        app.upload_blob(chunks())
    assert registry.open_uploads == 0


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_location_that_was_lost_is_asked_for(client: RegistryClient, skip: int) -> None:
    """distribution 3 tells it."""
    with FakeRegistry(RegistryOptions(old_locations=True)) as registry:
        registry.arm(Fault("PATCH", "", FaultKind.LOSE_ANSWER, skip=skip))
        assert repository(client, registry).upload_blob(chunks()) == (DIGEST, SIZE)
        assert methods(registry).count("POST") == 1
        assert registry.open_uploads == 0


def test_a_session_is_cancelled_at_its_newest_location(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    """distribution 3 takes no cancellation at an older one (416)."""
    registry.arm(Fault("DELETE", "", status=416))
    with pytest.raises(IntegrityError):
        app.upload_blob(chunks(), digest_of(b"other"))
    assert methods(registry).endswith("DELETE GET DELETE")
    assert registry.open_uploads == 0


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.ANSWER])
def test_a_cancellation_that_breaks_is_sent_again(
    registry: FakeRegistry, app: RemoteRepository, kind: FaultKind
) -> None:
    registry.arm(Fault("DELETE", "", kind, status=503, times=2))
    with pytest.raises(IntegrityError):
        app.upload_blob(chunks(), digest_of(b"other"))
    assert registry.open_uploads == 0


def test_a_registry_that_stays_broken_ends_the_upload(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    registry.arm(Fault("PATCH", "", status=500, skip=1, times=100))
    with pytest.raises(ServerFault, match=r"failed at the push to app"):
        app.upload_blob(chunks())
    assert registry.open_uploads == 0


@pytest.mark.parametrize("kind", [FaultKind.LOSE_ANSWER, FaultKind.DROP, FaultKind.ANSWER])
def test_the_end_of_an_upload_may_be_asked_for_twice(
    registry: FakeRegistry, app: RemoteRepository, kind: FaultKind
) -> None:
    registry.arm(Fault("PUT", "/uploads/", kind, status=502))
    assert app.upload_blob(chunks()) == (DIGEST, SIZE)
    assert registry.blob("app", DIGEST) == BLOB


@pytest.mark.parametrize("mode", UploadMode)
def test_an_error_of_the_source_passes_and_cancels(
    connect: Connect, registry: FakeRegistry, mode: UploadMode
) -> None:
    def broken() -> Iterator[Chunk]:
        yield from chunks()
        raise BadArchive("the layer is damaged")

    with pytest.raises(BadArchive, match="the layer is damaged"):
        in_mode(connect, registry, mode).upload_blob(broken())
    assert registry.open_uploads == 0
    assert registry.blobs("app") == frozenset()


@pytest.mark.parametrize("mode", UploadMode)
@pytest.mark.parametrize("error", [OSError(5, "disk fault"), KeyboardInterrupt()])
def test_whatever_the_source_raises_passes(
    connect: Connect, registry: FakeRegistry, mode: UploadMode, error: BaseException
) -> None:
    """Also an OSError, which looks like a broken connection, and Ctrl-C."""

    def broken() -> Iterator[Chunk]:
        yield BLOB
        raise error

    with pytest.raises(type(error)) as raised:
        in_mode(connect, registry, mode).upload_blob(broken())
    assert raised.value is error
    assert registry.open_uploads == 0


@pytest.mark.parametrize("mode", UploadMode)
def test_bytes_that_were_not_announced_are_not_kept(
    connect: Connect, registry: FakeRegistry, mode: UploadMode
) -> None:
    app = in_mode(connect, registry, mode)
    with pytest.raises(IntegrityError, match=rf"digest {DIGEST} instead of sha256:"):
        app.upload_blob(chunks(), digest_of(b"other"))
    with pytest.raises(IntegrityError, match=rf"has {SIZE} bytes instead of 7"):
        app.upload_blob(chunks(), DIGEST, 7)
    assert "PUT" not in methods(registry)
    assert registry.open_uploads == 0


def test_an_announced_sha512_is_kept(registry: FakeRegistry, app: RemoteRepository) -> None:
    digest = f"sha512:{hashlib.sha512(b'data').hexdigest()}"
    registry.arm(Fault("PUT", "digest=sha512%3A", status=201))
    assert app.upload_blob([b"data"], digest) == (digest, 4)  # type: ignore[arg-type]


def test_a_monolithic_upload_leaves_no_file(
    connect: Connect, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    app = in_mode(connect, registry, UploadMode.MONOLITHIC)
    registry.arm(Fault("PUT", "", status=400))
    with pytest.raises(RegistryError):
        app.upload_blob(chunks())
    app.upload_blob(chunks())
    assert list(folder.iterdir()) == []


def test_a_full_registry_is_told(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(capacity=1 << 20)) as registry:
        with pytest.raises(RegistryError, match=r"is out of space for the push to app") as raised:
            repository(client, registry).upload_blob(chunks())
        assert not raised.value.temporary
        assert registry.open_uploads == 0


def test_a_registry_that_takes_no_pushes_is_told(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(read_only=True)) as registry:
        app = repository(client, registry)
        with pytest.raises(Denied, match=r"takes no pushes: unsupported"):
            app.upload_blob(chunks())
        with pytest.raises(Denied, match=r"takes no pushes: unsupported"):
            app.put_manifest(INDEX, "v1")


def test_a_repository_that_must_be_made_first_is_told(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    registry.arm(Fault("POST", "/uploads/", status=404))
    with pytest.raises(NotFound, match=r"has no repository app"):
        app.upload_blob(chunks())


@pytest.mark.parametrize("mounts", [True, False])
def test_mounting(client: RegistryClient, *, mounts: bool) -> None:
    with FakeRegistry(RegistryOptions(mounts=mounts)) as registry:
        registry.put_blob("base/debian", BLOB)
        app = repository(client, registry)
        assert app.try_mount(DIGEST, Repository(registry.host, "base/debian")) is mounts
        assert (DIGEST in registry.blobs("app")) is mounts
        assert not app.try_mount(digest_of(b"nowhere"), Repository(registry.host, "base/debian"))
        assert registry.open_uploads == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_refused_is_no_error(
    registry: FakeRegistry, app: RemoteRepository, status: int
) -> None:
    registry.arm(Fault("POST", "mount=", status=status))
    assert not app.try_mount(DIGEST, Repository(registry.host, "base"))


def test_nothing_is_mounted_from_another_registry(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    assert not app.try_mount(DIGEST, Repository("other.example.com", "base"))
    assert registry.requests == ()


@pytest.mark.parametrize("selector", ["v1", INDEX.digest])
def test_manifests_arrive_as_they_are(
    registry: FakeRegistry, app: RemoteRepository, selector: str
) -> None:
    app.put_manifest(INDEX, selector)
    assert registry.manifest("app", selector) == INDEX


def test_a_manifest_is_not_written_under_the_digest_of_another(app: RemoteRepository) -> None:
    with pytest.raises(IntegrityError, match="does not have the digest"):
        app.put_manifest(INDEX, DIGEST)


def test_a_registry_that_changes_manifests_is_caught(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    other = (("Docker-Content-Digest", str(DIGEST)),)
    registry.arm(Fault("PUT", "/manifests/", status=201, headers=other))
    with pytest.raises(IntegrityError, match=rf"stored v1 of app as {DIGEST} instead of"):
        app.put_manifest(INDEX, "v1")


def test_a_manifest_whose_answer_was_lost_is_written_again(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    registry.arm(Fault("PUT", "/manifests/", FaultKind.LOSE_ANSWER))
    app.put_manifest(INDEX, "v1")
    assert registry.tags("app") == {"v1": INDEX.digest}


def test_memory_does_not_grow_with_the_blob(app: RemoteRepository) -> None:
    """A producer of one chunk after another never finds more than a few of its own alive."""
    made: list[weakref.ref[bytearray]] = []
    alive = []

    def produce() -> Iterator[Chunk]:
        for _ in range(64):
            piece = _Watched(1 << 20)
            made.append(weakref.ref(piece))
            alive.append(sum(one() is not None for one in made))
            yield memoryview(piece)

    app.upload_blob(produce())
    assert len(alive) == 64
    assert max(alive) <= 3


class _Watched(bytearray):
    """A bytearray that weak references can watch."""


def test_the_next_chunk_fills_while_one_is_on_its_way(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    """The registry answers the second chunk only once the producer has got beyond the third."""
    armed = registry.arm(Fault("PATCH", "", FaultKind.HANG, skip=1))

    def produce() -> Iterator[Chunk]:
        yield BLOB[: 2 * CHUNK]
        assert armed.reached.wait(20)
        yield BLOB[2 * CHUNK :]
        armed.release()

    assert app.upload_blob(produce()) == (DIGEST, SIZE)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the test runner ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_the_middle_of_a_chunk_leaves_no_session(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    armed = registry.arm(Fault("PATCH", "", FaultKind.HANG, skip=2))
    main = threading.get_ident()

    def press() -> None:
        armed.reached.wait()
        signal.pthread_kill(main, signal.SIGINT)
        armed.release()

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        app.upload_blob(chunks())
    finger.join()
    assert registry.open_uploads == 0
    assert registry.blobs("app") == frozenset()
