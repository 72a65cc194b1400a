"""Reading from a registry over a real socket: verified, resumed, and told clearly when it fails."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import (
    FormatError,
    IntegrityError,
    NotFound,
    RegistryError,
    ServerFault,
    Unreachable,
)
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository, parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions
from squashproxy.streams import CHUNK
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.registry.conftest import Time

BLOB = os.urandom(1_000_000)
DESCRIPTOR = Descriptor(mediatypes.OCI_LAYER, digest_of(BLOB), len(BLOB))
INDEX = RawManifest(b'{"schemaVersion": 2,  "manifests": []}', mediatypes.OCI_INDEX)


@pytest.fixture
def full(registry: FakeRegistry, app: RemoteRepository) -> RemoteRepository:
    """`app`, holding a blob, and an index as `v1`."""
    registry.put_blob("app", BLOB)
    registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
    return app


def ranges(registry: FakeRegistry) -> list[str]:
    return [asked.headers.get("range", "") for asked in registry.requests if asked.method == "GET"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(RegistryOptions(), id="as specified"),
        pytest.param(RegistryOptions(head_manifests=False), id="no HEAD, as Nexus"),
        pytest.param(RegistryOptions(digest_headers=False), id="no digest, as behind some proxies"),
    ],
)
def test_manifests_are_found_and_read_exactly(
    client: RegistryClient, options: RegistryOptions
) -> None:
    with FakeRegistry(options) as registry:
        registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
        app = client.repository(parse_repository(f"{registry.host}/app"))
        assert app.find_manifest("v1") == INDEX.descriptor
        assert app.find_manifest(INDEX.digest) == INDEX.descriptor
        assert app.get_manifest("v1") == INDEX
        assert app.get_manifest(INDEX.digest) == INDEX
        assert app.find_manifest("v2") is None
        assert app.find_manifest(DESCRIPTOR.digest) is None


def test_finding_a_manifest_costs_one_head(registry: FakeRegistry, full: RemoteRepository) -> None:
    full.find_manifest("v1")
    assert [asked.method for asked in registry.requests] == ["HEAD"]


@pytest.mark.parametrize("status", [405, 501])
def test_where_head_is_refused_get_answers(
    registry: FakeRegistry, full: RemoteRepository, status: int
) -> None:
    registry.arm(Fault("HEAD", "/manifests/", status=status))
    registry.arm(Fault("HEAD", "/blobs/", status=status))
    assert full.find_manifest("v1") == INDEX.descriptor
    assert full.find_blob(DESCRIPTOR.digest) == len(BLOB)


def test_what_is_missing_is_named(client: RegistryClient, full: RemoteRepository) -> None:
    with pytest.raises(NotFound, match=r"has no tag v2 in app \(HTTP 404\)"):
        full.get_manifest("v2")
    with pytest.raises(NotFound, match=rf"has no manifest {DESCRIPTOR.digest} in app"):
        full.get_manifest(DESCRIPTOR.digest)
    with pytest.raises(NotFound, match=r"has no repository nowhere: name unknown"):
        client.repository(Repository(full.name.host, "nowhere")).get_manifest("v1")
    with pytest.raises(NotFound, match=r"has no repository nowhere"):
        list(client.repository(Repository(full.name.host, "nowhere")).iter_tags())


@pytest.mark.parametrize("selector", ["v1", INDEX.digest])
def test_a_changed_manifest_is_refused(
    registry: FakeRegistry, full: RemoteRepository, selector: str
) -> None:
    registry.arm(Fault("GET", "/manifests/", FaultKind.CORRUPT, after_bytes=3, times=2))
    with pytest.raises(IntegrityError, match=rf"{selector} of .*/app has the digest"):
        full.get_manifest(selector)


DAMAGED_ONCE: dict[str, Fault] = {
    "changed": Fault("GET", "/manifests/", FaultKind.CORRUPT, after_bytes=3),
    "cut": Fault("GET", "/manifests/", FaultKind.CUT, after_bytes=20),
    "without a byte": Fault("GET", "/manifests/", FaultKind.CUT, after_bytes=0),
}


ASKED = [
    pytest.param(fault, selector, with_digest, id=f"{name}, {selector[:6]}, {with_digest}")
    for name, fault in DAMAGED_ONCE.items()
    for selector in ("v1", INDEX.digest)
    for with_digest in (True, False)
    if name != "changed" or with_digest or selector != "v1"  # else nothing shows the change
]


@pytest.mark.parametrize(("fault", "selector", "with_digest"), ASKED)
def test_a_manifest_that_comes_damaged_is_read_once_more(
    client: RegistryClient, fault: Fault, selector: str, with_digest: bool
) -> None:
    with FakeRegistry(RegistryOptions(digest_headers=with_digest)) as registry:
        registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
        registry.arm(fault)
        app = client.repository(parse_repository(f"{registry.host}/app"))
        assert app.get_manifest(selector) == INDEX


def test_schema_1_comes_through_to_be_refused_by_the_reader(
    registry: FakeRegistry, full: RemoteRepository
) -> None:
    registry.put_manifest("app", "old", b'{"schemaVersion": 1}', mediatypes.DOCKER_SCHEMA1_SIGNED)
    registry.arm(Fault("GET", "/manifests/old", FaultKind.CORRUPT, after_bytes=1))
    assert full.get_manifest("old").media_type == mediatypes.DOCKER_SCHEMA1_SIGNED


def test_a_manifest_without_end_is_refused(registry: FakeRegistry, full: RemoteRepository) -> None:
    registry.put_manifest("app", "big", b" " * (4 << 20) + b"{}", mediatypes.OCI_INDEX)
    with pytest.raises(FormatError, match=r"larger than 4194304 bytes"):
        full.get_manifest("big")


def test_blobs_are_found_and_read(registry: FakeRegistry, full: RemoteRepository) -> None:
    assert full.find_blob(DESCRIPTOR.digest) == len(BLOB)
    assert full.find_blob(digest_of(b"other")) is None
    chunks = full.iter_blob(DESCRIPTOR)
    assert ranges(registry) == []
    assert b"".join(chunks) == BLOB


@pytest.mark.parametrize("place", [0, 1, 300_000, 999_999])
def test_a_download_goes_on_where_it_broke(
    registry: FakeRegistry, full: RemoteRepository, place: int
) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=place))
    assert b"".join(full.iter_blob(DESCRIPTOR)) == BLOB
    first, second = ranges(registry)
    assert first == ""
    assert second in ("", f"bytes={place}-", f"bytes={place - place % CHUNK}-")


def test_a_download_may_break_more_often_than_it_is_retried(
    registry: FakeRegistry, full: RemoteRepository, time: Time
) -> None:
    """Bytes that arrived are progress: only failures in a row count."""
    registry.arm(Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=100_000, times=7))
    assert b"".join(full.iter_blob(DESCRIPTOR)) == BLOB
    assert time.waits == [0.25] * 7


def test_a_download_that_never_gets_on_ends(
    registry: FakeRegistry, full: RemoteRepository, time: Time
) -> None:
    registry.arm(Fault("GET", "/blobs/", FaultKind.DROP, times=100))
    with pytest.raises(Unreachable, match=r"cannot reach 127\.0\.0\.1:\d+: "):
        list(full.iter_blob(DESCRIPTOR))
    assert time.waits == [0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize(("times", "readings"), [(1, 2), (3, 1)], ids=["small", "large"])
def test_a_damaged_blob_never_ends_well(
    registry: FakeRegistry, client: RegistryClient, times: int, readings: int
) -> None:
    """A small one is read twice before it is handed on; a large one its reader reads again."""
    data = BLOB * times
    registry.put_blob("app", data)
    registry.arm(Fault("GET", "/blobs/", FaultKind.CORRUPT, after_bytes=500_000, times=99))
    app = client.repository(parse_repository(f"{registry.host}/app"))
    whole = Descriptor(mediatypes.OCI_LAYER, digest_of(data), len(data))
    with pytest.raises(IntegrityError, match=r"has the digest sha256:\w+ instead of"):
        list(app.iter_blob(whole))
    assert ranges(registry) == [""] * readings


@pytest.mark.parametrize("kind", [FaultKind.CORRUPT, FaultKind.CUT], ids=["changed", "cut short"])
def test_a_small_blob_that_is_damaged_once_is_read_once_more(
    registry: FakeRegistry, full: RemoteRepository, kind: FaultKind
) -> None:
    registry.arm(Fault("GET", "/blobs/", kind, after_bytes=500_000))
    assert b"".join(full.iter_blob(DESCRIPTOR)) == BLOB


def test_a_blob_that_is_shorter_in_its_place_never_ends_well(full: RemoteRepository) -> None:
    longer = Descriptor(DESCRIPTOR.media_type, DESCRIPTOR.digest, len(BLOB) + 1)
    with pytest.raises(IntegrityError, match=r"ended after 1000000 of 1000001 bytes"):
        list(full.iter_blob(longer))


@pytest.mark.parametrize("cut", [0, 1, 1_000_000, 2_999_999])
def test_a_blob_that_is_cut_with_a_length_to_match_is_resumed(
    registry: FakeRegistry, client: RegistryClient, cut: int
) -> None:
    large = BLOB * 3
    registry.put_blob("app", large)
    registry.arm(Fault("GET", "/blobs/", FaultKind.CUT, after_bytes=cut))
    app = client.repository(parse_repository(f"{registry.host}/app"))
    whole = Descriptor(mediatypes.OCI_LAYER_GZIP, digest_of(large), len(large))
    assert b"".join(app.iter_blob(whole)) == large
    assert ranges(registry) == ["", f"bytes={cut}-" if cut else ""]


def test_a_blob_longer_than_its_descriptor_is_refused(full: RemoteRepository) -> None:
    short = Descriptor(DESCRIPTOR.media_type, DESCRIPTOR.digest, 10)
    with pytest.raises(IntegrityError, match=r"longer than the 10 bytes"):
        list(full.iter_blob(short))


def test_a_download_that_is_given_up_closes_its_connection(full: RemoteRepository) -> None:
    """A socket left open would be a ResourceWarning, which fails the test."""
    chunks = full.iter_blob(DESCRIPTOR)
    assert next(chunks)
    del chunks


def test_blobs_may_lie_in_another_store(client: RegistryClient) -> None:
    with (
        FakeRegistry() as storage,
        FakeRegistry(RegistryOptions(redirect_blobs_to=storage.host), shares=storage) as registry,
    ):
        registry.put_blob("app", BLOB)
        storage.arm(Fault("GET", "/blobs/", FaultKind.DROP_RESPONSE, after_bytes=600_000))
        app = client.repository(parse_repository(f"{registry.host}/app"))
        assert b"".join(app.iter_blob(DESCRIPTOR)) == BLOB
        assert [asked.status for asked in storage.requests] == [200, 206]


def test_temporary_errors_are_tried_again_as_asked(
    registry: FakeRegistry, full: RemoteRepository, time: Time
) -> None:
    registry.arm(Fault("GET", "/manifests/", status=429, headers=(("Retry-After", "9"),)))
    registry.arm(Fault("GET", "/manifests/", status=503))
    registry.arm(Fault("GET", "/manifests/", FaultKind.DROP))
    assert full.get_manifest("v1") == INDEX
    assert max(time.waits) == 9.0


def test_a_registry_that_stays_broken_is_told(
    registry: FakeRegistry, full: RemoteRepository, time: Time
) -> None:
    registry.arm(Fault("GET", "/manifests/", status=500, times=5))
    with pytest.raises(ServerFault, match=r"failed at the pull of v1 from app"):
        full.get_manifest("v1")
    assert time.waits == [0.25, 0.5, 1.0, 2.0]


def test_a_registry_that_is_down_is_told(client: RegistryClient) -> None:
    with FakeRegistry() as registry:
        host = registry.host
    with pytest.raises(Unreachable, match=rf"cannot reach {host}: connection refused; is it up"):
        client.repository(parse_repository(f"{host}/app")).get_manifest("v1")


def test_a_registry_that_does_not_answer_is_told(
    connect: Callable[..., RegistryClient], registry: FakeRegistry
) -> None:
    client = connect(ClientOptions(timeout=0.2, retries=0, plain_http=frozenset({registry.host})))
    armed = registry.arm(Fault("GET", "/manifests/", FaultKind.HANG))
    with pytest.raises(Unreachable, match="no answer in time"):
        client.repository(parse_repository(f"{registry.host}/app")).get_manifest("v1")
    armed.release()


def test_tags_come_page_by_page(client: RegistryClient) -> None:
    with FakeRegistry(RegistryOptions(page_size=3)) as registry:
        for number in range(10):
            registry.put_manifest("app", f"v{number}", INDEX.data, INDEX.media_type)
        app = client.repository(parse_repository(f"{registry.host}/app"))
        assert list(app.iter_tags()) == [f"v{number}" for number in range(10)]
        assert len(registry.requests) == 5, "four pages, and what is behind the last name"


def test_a_header_that_cannot_be_sent_is_told(
    registry: FakeRegistry, connect: Callable[..., RegistryClient]
) -> None:
    client = connect(ClientOptions(user_agent="two\nlines"))
    app = client.repository(parse_repository(f"{registry.host}/app"))
    with pytest.raises(RegistryError, match="which is no usable URL"):
        app.get_manifest("v1")


def test_connections_are_used_again(full: RemoteRepository) -> None:
    """Errors are read to their end, too; a new connection for each would be slow."""
    connections: set[int] = set()
    for _ in range(3):
        full.find_manifest("v1")
        full.find_manifest("v2")
        full.get_manifest("v1")
        connections.update(id(pool) for pool in _idle(full))
    assert len(connections) == 1


def test_connections_are_kept_to_a_bounded_number_of_places(full: RemoteRepository) -> None:
    """Redirects may name ever more."""
    connections = full._client._connections
    for number in range(300):
        connections._pool(f"http://127.0.0.1:{1000 + number}/x")
    assert len(connections._pools) == 256
    assert full.find_manifest("v1") == INDEX.descriptor


def _idle(app: RemoteRepository) -> list[object]:
    ((origin, pool),) = app._client._connections._pools.items()
    connections = pool.connection_from_url(origin).pool
    assert connections is not None
    return [connection for connection in connections.queue if connection is not None]
