"""A token service that fails: a call and its token share one budget of attempts and of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import TemporaryRegistryError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.auth.credentials import variable_for
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.options import ClientOptions, UploadMode
from squashproxy.testing import Bearer, FakeRegistry, Fault, FaultKind, RegistryOptions
from tests.registry.conftest import Time

BLOB = b"blob " * 1000
DIGEST = digest_of(BLOB)
LAYER = Descriptor(mediatypes.OCI_LAYER, DIGEST, len(BLOB))
MANIFEST = RawManifest(b'{"schemaVersion": 2}', mediatypes.OCI_MANIFEST)
ALWAYS = 1000
HOURS = 100_000.0
WAITS = [0.25, 0.5, 1.0, 2.0]

Connect = Callable[..., RegistryClient]
Call = Callable[[RemoteRepository], Any]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry(RegistryOptions(auth=Bearer("ann", "s3cret"))) as registry:
        registry.put_manifest("app", "v1", MANIFEST.data, MANIFEST.media_type)
        registry.put_blob("app", BLOB)
        yield registry


@pytest.fixture
def opened(
    connect: Connect, environ: dict[str, str], registry: FakeRegistry
) -> Callable[..., RemoteRepository]:
    """The repository `app`, by a client with these options."""
    environ[variable_for(registry.host)] = "ann:s3cret"

    def opened(**options: Any) -> RemoteRepository:
        client = connect(ClientOptions(**options))
        return client.repository(Repository(registry.host, "app"))

    return opened


def tokens(registry: FakeRegistry) -> int:
    return sum(each.path.startswith("/token") for each in registry.requests)


FAULTS = {
    "no answer": Fault("GET", "/token", FaultKind.DROP, times=ALWAYS),
    "half an answer": Fault("GET", "/token", FaultKind.SEVER, after_bytes=9, times=ALWAYS),
    "HTTP 503": Fault("GET", "/token", status=503, times=ALWAYS),
    "HTTP 500": Fault("GET", "/token", status=500, times=ALWAYS),
    "HTTP 429": Fault("GET", "/token", status=429, times=ALWAYS),
}
CALLS: dict[str, Call] = {
    "a manifest": lambda app: app.get_manifest("v1"),
    "a HEAD of a manifest": lambda app: app.find_manifest("v1"),
    "a push of a manifest": lambda app: app.put_manifest(MANIFEST, "v2"),
    "a list": lambda app: list(app.iter_tags()),
    "the size of a blob": lambda app: app.find_blob(DIGEST),
    "a blob": lambda app: b"".join(app.iter_blob(LAYER)),
    "an upload": lambda app: app.upload_blob([BLOB]),
    "a mount": lambda app: app.try_mount(DIGEST, Repository(app.name.host, "other")),
}


@pytest.mark.parametrize("renewed", [False, True], ids=["the first token", "another token"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_it_is_asked_as_often_as_a_call_is_made(
    registry: FakeRegistry,
    opened: Callable[..., RemoteRepository],
    time: Time,
    fault: Fault,
    call: Call,
    *,
    renewed: bool,
) -> None:
    app = opened(retry_for=0.0)
    if renewed:
        CALLS["an upload"](app)
        time.now += HOURS
        registry.forget_requests()
    registry.arm(fault)
    with pytest.raises(TemporaryRegistryError):
        call(app)
    assert time.waits == WAITS
    assert tokens(registry) == 1 + len(WAITS)


@pytest.mark.parametrize(("seconds", "waited"), [(2.0, 3.75), (20.0, 20.0)])
def test_it_is_waited_for_as_long_as_for_a_registry(
    registry: FakeRegistry,
    opened: Callable[..., RemoteRepository],
    time: Time,
    seconds: float,
    waited: float,
) -> None:
    registry.arm(FAULTS["HTTP 503"])
    with pytest.raises(TemporaryRegistryError):
        opened(retry_for=seconds).get_manifest("v1")
    assert sum(time.waits) == pytest.approx(waited, abs=0.5)


def test_failures_of_both_are_counted_together(
    registry: FakeRegistry, opened: Callable[..., RemoteRepository], time: Time
) -> None:
    registry.arm(Fault("GET", "/manifests/", status=503, times=2))
    registry.arm(FAULTS["HTTP 503"])
    with pytest.raises(TemporaryRegistryError):
        opened(retry_for=0.0).get_manifest("v1")
    assert time.waits == WAITS
    assert tokens(registry) == 1 + len(WAITS) - 2


SENT = {UploadMode.STREAM: ["POST", "PATCH", "PUT"], UploadMode.MONOLITHIC: ["POST", "PUT"]}


@pytest.mark.parametrize("mode", SENT)
def test_a_body_is_not_sent_before_there_is_a_token(
    registry: FakeRegistry, opened: Callable[..., RemoteRepository], time: Time, mode: UploadMode
) -> None:
    """One that passes only once would be lost, a large one sent in vain."""

    def expire(method: str, _path: str) -> None:
        if method == "POST":
            time.now += HOURS
            registry.arm(Fault("GET", "/token", status=503, times=2))

    app = opened(upload={registry.host: mode})
    app.find_blob(DIGEST)
    app.upload_blob([b"first"])
    registry.before_each(expire)
    registry.forget_requests()
    data = b"other " * 1000
    assert app.upload_blob(iter([data])) == (digest_of(data), len(data))
    asked = [each.method for each in registry.requests if not each.path.startswith("/token")]
    assert asked == SENT[mode]
    assert time.waits[-2:] == WAITS[:2]
