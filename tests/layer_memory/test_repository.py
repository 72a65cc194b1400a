"""Layers remembered in a registry, by a client over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.layer_memory.base import LayerMemory
from squashproxy.layer_memory.choice import parse_layer_memory
from squashproxy.layer_memory.open import open_layer_memory
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import encode_json, parse_json_object
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions
from squashproxy.squash.listing_record import encode_listing
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions
from squashproxy.testing.options import Basic
from tests.layer_memory.remembered import LAYER, OTHER, listing, result

Open = Callable[..., LayerMemory]
TAG = f"listing-1.{LAYER.replace(':', '-')}"
RESULTS_TAG = f"results-1-3.{LAYER.replace(':', '-')}"


@pytest.fixture
def open_memory(warnings: list[str], tmp_path: Path) -> Iterator[Open]:
    """A memory in a registry, with connections of its own, as each process has."""
    with ExitStack() as stack:

        def make(host: str, engine: int = 3, **options: object) -> LayerMemory:
            client = RegistryClient(
                ClientOptions(**options).quick,  # type: ignore[arg-type] # a test's own
                environ={"HOME": str(tmp_path)},
                sleep=lambda _: None,
            )
            stack.callback(client.close)

            def connect(repository: Repository) -> RemoteRepository:
                return client.repository(repository)

            choice = parse_layer_memory(f"{host}/cache/layers")
            return open_layer_memory(choice, engine, connect, warnings.append)

        yield make


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def use(memory: LayerMemory) -> None:
    """Everything that a copy asks of a memory, twice."""
    for _ in range(2):
        for layer in (LAYER, OTHER):
            memory.find_listing(layer)
            memory.find_results(layer)
            memory.keep_listing(layer, listing())
            memory.keep_result(result(1, layer))


def test_what_one_machine_kept_another_finds(
    registry: FakeRegistry, open_memory: Open, warnings: list[str]
) -> None:
    memory = open_memory(registry.host)
    memory.keep_listing(LAYER, listing())
    memory.keep_result(result(1))
    memory.keep_result(result(7))
    another = open_memory(registry.host)
    assert another.find_listing(LAYER) == listing()
    assert another.find_results(LAYER) == (result(7), result(1))
    assert another.find_listing(OTHER) is None
    assert another.find_results(OTHER) == ()
    assert set(registry.tags("cache/layers")) == {TAG, RESULTS_TAG}
    assert not warnings


def test_a_repository_that_is_not_there_yet_knows_nothing(
    registry: FakeRegistry, open_memory: Open, warnings: list[str]
) -> None:
    memory = open_memory(registry.host)
    assert memory.find_listing(LAYER) is None
    assert memory.find_results(LAYER) == ()
    assert not warnings


def test_results_of_another_engine_do_not_count(
    registry: FakeRegistry, open_memory: Open, warnings: list[str]
) -> None:
    open_memory(registry.host, engine=3).keep_result(result())
    assert open_memory(registry.host, engine=4).find_results(LAYER) == ()
    assert not warnings


def test_a_record_is_an_artifact_of_a_known_type(registry: FakeRegistry, open_memory: Open) -> None:
    open_memory(registry.host).keep_listing(LAYER, listing())
    document = parse_json_object(registry.manifest("cache/layers", TAG).data, "it")
    assert document["artifactType"] == "application/vnd.squashproxy.layer-memory"
    assert document["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert document["annotations"] == {"dev.squashproxy.layer": LAYER}
    [blob] = document["layers"]
    assert registry.blob("cache/layers", blob["digest"]) == encode_listing(listing(), LAYER)


def test_the_tag_of_a_longer_digest_is_cut(registry: FakeRegistry, open_memory: Open) -> None:
    """A tag has at most 128 characters; the record itself says whose it is."""
    memory = open_memory(registry.host)
    first, second = (Digest("sha512:" + "ab" * 63 + end) for end in ("01", "02"))
    memory.keep_listing(first, listing())
    assert memory.find_listing(first) == listing()
    assert memory.find_listing(second) is None
    assert [len(tag) for tag in registry.tags("cache/layers")] == [128]


PULLER = Basic("user", "password", frozenset({"pull"}))
REFUSALS: dict[str, tuple[RegistryOptions, tuple[Fault, ...], str]] = {
    "it is to be read only": (RegistryOptions(read_only=True), (), "pushes"),
    "the user may not push": (RegistryOptions(auth=PULLER), (), "HTTP 403"),
    "it is full": (RegistryOptions(), (Fault("PATCH", status=507, times=99),), "HTTP 507"),
    "it takes no such manifests": (
        RegistryOptions(), (Fault("PUT", "/manifests/", status=415, times=99),), "HTTP 415",
    ),
    "it has no such repository": (RegistryOptions(), (Fault("POST", status=404),), "HTTP 404"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "faults", "reason"), REFUSALS.values(), ids=list(REFUSALS))
def test_a_registry_that_refuses_pushes_gets_one_warning_and_is_read(
    options: RegistryOptions,
    faults: tuple[Fault, ...],
    reason: str,
    open_memory: Open,
    warnings: list[str],
) -> None:
    with FakeRegistry(options) as registry:
        for fault in faults:
            registry.arm(fault)
        memory = open_memory(registry.host, logins={registry.host: ("user", "password")})
        use(memory)
        [warning] = warnings
        assert warning.startswith(f"{registry.host}/cache/layers takes no memory of layers: ")
        assert reason in warning
        assert warning.endswith("; what is new is not remembered")
        registry.forget_requests()
        use(memory)
        assert {each.method for each in registry.requests} == {"GET"}
        fill(registry, encode_listing(listing(), LAYER), TAG)
        assert memory.find_listing(LAYER) == listing()
        assert len(warnings) == 1


def test_wrong_credentials_get_one_warning(open_memory: Open, warnings: list[str]) -> None:
    with FakeRegistry(RegistryOptions(auth=Basic("user", "password"))) as registry:
        use(open_memory(registry.host, logins={registry.host: ("user", "wrong")}))
        [warning] = warnings
        assert warning.startswith(
            f"the memory of layers in {registry.host}/cache/layers cannot be read: "
        )
        assert warning.endswith("; layers are not remembered")
        assert len(registry.requests) <= 2


FAULTS: dict[str, Fault] = {
    "a broken connection": Fault(kind=FaultKind.DROP, times=99),
    "a server that fails": Fault(status=503, times=99),
    "a proxy that answers": Fault(status=407, times=99),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_registry_that_cannot_be_reached_gets_one_warning(
    fault: Fault, registry: FakeRegistry, open_memory: Open, warnings: list[str]
) -> None:
    registry.arm(fault)
    use(open_memory(registry.host))
    [warning] = warnings
    assert "cannot be read: " in warning
    assert len(registry.requests) <= 2


def test_a_registry_that_nobody_runs_gets_one_warning(
    open_memory: Open, warnings: list[str]
) -> None:
    with FakeRegistry() as registry:
        host = registry.host
    use(open_memory(host))
    [warning] = warnings
    assert "cannot be read: " in warning


def fill(registry: FakeRegistry, record: bytes, tag: str, **changes: object) -> None:
    """Put a record there past the API, in a manifest with some changes."""
    config = encode_json({})
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "artifactType": "application/vnd.squashproxy.layer-memory",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": registry.put_blob("cache/layers", config),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": "application/octet-stream",
                "digest": registry.put_blob("cache/layers", record),
                "size": len(record),
            }
        ],
        **changes,
    }
    data = encode_json(document)
    registry.put_manifest("cache/layers", tag, data, mediatypes.OCI_MANIFEST)


RECORD = encode_listing(listing(), LAYER)
BLOB = {"mediaType": "x", "digest": digest_of(RECORD), "size": len(RECORD)}
HOSTILE: dict[str, tuple[bytes, dict[str, object]]] = {
    "a record of another layer": (encode_listing(listing(), OTHER), {}),
    "a record that is damaged": (RECORD[:-1] + b"x", {}),
    "nothing": (b"", {}),
    "another artifact": (RECORD, {"artifactType": "application/vnd.example"}),
    "two layers": (RECORD, {"layers": [BLOB, BLOB]}),
    "no layers": (RECORD, {"layers": []}),
    "a layer that says that it is vast": (RECORD, {"layers": [BLOB | {"size": 1 << 40}]}),
    "a layer of another size": (RECORD, {"layers": [BLOB | {"size": 7}]}),
    "an index": (RECORD, {"mediaType": mediatypes.OCI_INDEX, "manifests": []}),
    "no manifest": (RECORD, {"config": 7}),
}


@pytest.mark.parametrize(("record", "changes"), HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_no_record_costs_a_warning_and_is_replaced(
    record: bytes,
    changes: dict[str, object],
    registry: FakeRegistry,
    open_memory: Open,
    warnings: list[str],
) -> None:
    fill(registry, record, TAG, **changes)
    memory = open_memory(registry.host)
    assert memory.find_listing(LAYER) is None
    [warning] = warnings
    assert warning.startswith(f"{registry.host}/cache/layers:{TAG} ")
    assert warning.endswith(": the layer is read again")
    memory.keep_listing(LAYER, listing())
    assert memory.find_listing(LAYER) == listing()


def test_a_record_that_changes_on_the_way_is_not_used(
    registry: FakeRegistry, open_memory: Open, warnings: list[str]
) -> None:
    memory = open_memory(registry.host)
    memory.keep_listing(LAYER, listing())
    registry.arm(Fault("GET", "/blobs/", FaultKind.CORRUPT, after_bytes=150, times=9))
    assert memory.find_listing(LAYER) is None
    assert "has the digest" in warnings[0]
    registry.disarm()
    assert memory.find_listing(LAYER) == listing()
