"""Every answer may be cut anywhere, by a clean close or a reset: one more try ends right.

What was cut is temporary; it is never believed, never followed, and never blamed on a set-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from squashproxy.digest import digest_of
from squashproxy.errors import NotFound
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.registry.options import ClientOptions
from squashproxy.testing import Bearer, FakeRegistry, Fault, FaultKind, RegistryOptions

BLOB = b"blob " * 40
DIGEST = digest_of(BLOB)
LAYER = Descriptor(mediatypes.OCI_LAYER, DIGEST, len(BLOB))
INDEX = RawManifest(
    b'{"schemaVersion": 2,  "manifests": [], "mediaType": "%b"}' % mediatypes.OCI_INDEX.encode(),
    mediatypes.OCI_INDEX,
)
STRIDE = 23
"""Coprime to the length of lines: the normal run meets every kind of place."""


PLAIN = RegistryOptions()


def _missing(client: RegistryClient, host: str) -> str:
    with pytest.raises(NotFound) as raised:
        client.repository(Repository(host, "app")).get_manifest("nowhere")
    return raised.value.fact


@dataclass(frozen=True, slots=True)
class Kind:
    """An answer to cut: that to the first request with `method` and `path` of what `ask` does."""

    method: str
    path: str
    ask: Callable[[RegistryClient, str], Any]
    options: RegistryOptions = PLAIN


def app(ask: Callable[[Any], Any]) -> Callable[[RegistryClient, str], Any]:
    return lambda client, host: ask(client.repository(Repository(host, "app")))


REDIRECTS = RegistryOptions(redirects_blobs=True)
LOGIN = RegistryOptions(auth=Bearer("anna", "secret"))

KINDS: dict[str, Kind] = {
    "a HEAD of a manifest": Kind("HEAD", "/manifests/", app(lambda at: at.find_manifest("v1"))),
    "a manifest": Kind("GET", "/manifests/v1", app(lambda at: at.get_manifest("v1"))),
    "a refusal": Kind("GET", "/manifests/nowhere", _missing),
    "a list of tags": Kind("GET", "/tags/list", app(lambda at: list(at.iter_tags()))),
    "a list of repositories": Kind(
        "GET", "/_catalog", lambda client, host: list(client.iter_repositories(host))
    ),
    "a list of referrers": Kind(
        "GET", "/referrers/", app(lambda at: at.list_referrers(INDEX.digest))
    ),
    "a challenge": Kind("HEAD", "/manifests/", app(lambda at: at.find_manifest("v1")), LOGIN),
    "a token": Kind("GET", "/token", app(lambda at: at.find_manifest("v1")), LOGIN),
    "a HEAD of a blob": Kind("HEAD", "/blobs/", app(lambda at: at.find_blob(DIGEST))),
    "a blob": Kind("GET", "/blobs/", app(lambda at: b"".join(at.iter_blob(LAYER)))),
    "a redirect": Kind("GET", "/blobs/", app(lambda at: b"".join(at.iter_blob(LAYER))), REDIRECTS),
    "the beginning of an upload": Kind("POST", "/uploads/", app(lambda at: at.upload_blob([BLOB]))),
    "a chunk": Kind("PATCH", "/uploads/", app(lambda at: at.upload_blob([BLOB]))),
    "the end of an upload": Kind("PUT", "/uploads/", app(lambda at: at.upload_blob([BLOB]))),
    "a manifest that is pushed": Kind(
        "PUT", "/manifests/", app(lambda at: at.put_manifest(INDEX, "v1"))
    ),
}


@dataclass(slots=True)
class Run:
    """What a call gave, how often it waited, and the requests that it took, in order."""

    result: Any
    waits: list[float]
    asked: list[str]


def run(registry: FakeRegistry, kind: Kind) -> Run:
    """Make the call, with a client of its own."""
    waits: list[float] = []
    environ = {"SQUASHPROXY_AUTH_" + re.sub("[.:]", "_", registry.host): "anna:secret"}
    registry.forget_requests()
    with RegistryClient(ClientOptions(), environ=environ, sleep=waits.append) as client:
        result = kind.ask(client, registry.host)
    asked = [f"{each.method} {_shape(each.path)}" for each in registry.requests]
    return Run(result, waits, asked)


def _shape(path: str) -> str:
    """A path without what differs from one upload to the next."""
    return re.sub(r"/uploads/[^?]+", "/uploads/ID", re.sub(r"_state=[^&]*", "_state=", path))


@contextmanager
def filled(options: RegistryOptions) -> Iterator[FakeRegistry]:
    with FakeRegistry(options) as registry:
        registry.put_manifest("app", "v1", INDEX.data, INDEX.media_type)
        registry.put_blob("app", BLOB)
        yield registry


Cut = Callable[[bytes, int], Fault]
"""Makes a fault of an answer and the number of its bytes that come."""


def check_every(kind: Kind, cut: Cut, stride: int) -> int:
    """Cut the answer at every `stride`th byte; returns how many runs that took."""
    with filled(kind.options) as registry:
        right = run(registry, kind)
        uncut = registry.arm(Fault(kind.method, kind.path, FaultKind.SEVER, after_bytes=1 << 30))
        run(registry, kind)
        known = {*right.asked, *RECOVERY}
        places = range(0, len(uncut.answer) - 1, stride)
        for place in places:
            registry.disarm()
            registry.arm(replace(cut(uncut.answer, place), method=kind.method))
            found = run(registry, kind)
            assert found.result == right.result, place
            assert len(found.waits) <= 1, place
            assert set(found.asked) <= known, "half an address was followed"
        return len(places)


RECOVERY = (
    "GET /v2/",
    "GET /v2/app/blobs/uploads/ID?_state=",
    "DELETE /v2/app/blobs/uploads/ID?_state=",
    f"HEAD /v2/app/blobs/{DIGEST}",
)
"""What a client asks to find out how far a registry got."""


def severed(kind: Kind, how: FaultKind = FaultKind.SEVER) -> Cut:
    return lambda _, place: Fault("*", kind.path, how, after_bytes=place)


def chunked(kind: Kind) -> Cut:
    """The answer in chunked transfer encoding, with the zeros that some servers write."""

    def cut(answer: bytes, place: int) -> Fault:
        head, body = unframed(answer)
        half = len(body) // 2
        pieces = b"".join(b"%06x\r\n%b\r\n" % (len(one), one) for one in (body[:half], body[half:]))
        whole = head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
        return Fault("*", kind.path, FaultKind.RAW, body=whole[:place])

    return cut


def endless(kind: Kind) -> Cut:
    """The answer without a length, as HTTP 1.0 has it: its end is that of the connection."""

    def cut(answer: bytes, place: int) -> Fault:
        head, body = unframed(answer)
        return Fault("*", kind.path, FaultKind.RAW, body=(head + b"\r\n" + body)[:place])

    return cut


def unframed(answer: bytes) -> tuple[bytes, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return re.sub(rb"\r\nContent-Length: [0-9]+", b"", head) + b"\r\n", body


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_cut_answer_is_asked_for_again(kind: Kind) -> None:
    assert check_every(kind, severed(kind), STRIDE) > 5


@pytest.mark.parametrize("name", ["a manifest", "a chunk"])
def test_an_answer_that_is_cut_by_a_reset_is_asked_for_again(name: str) -> None:
    kind = KINDS[name]
    assert check_every(kind, severed(kind, FaultKind.RESET), STRIDE) > 5


READ = {name: kind for name, kind in KINDS.items() if kind.method == "GET" and name != "a redirect"}
FRAMINGS = {"in chunks": chunked, "without a length": endless}


@pytest.mark.parametrize("framed", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("kind", READ.values(), ids=READ)
def test_a_body_is_cut_however_it_is_framed(kind: Kind, framed: Callable[[Kind], Cut]) -> None:
    assert check_every(kind, framed(kind), STRIDE) > 5


@pytest.mark.long
@pytest.mark.parametrize("how", [FaultKind.SEVER, FaultKind.RESET])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_answer_may_be_cut_at_every_byte(kind: Kind, how: FaultKind) -> None:
    check_every(kind, severed(kind, how), 1)


@pytest.mark.long
@pytest.mark.parametrize("framed", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("kind", READ.values(), ids=READ)
def test_a_body_may_be_cut_at_every_byte(kind: Kind, framed: Callable[[Kind], Cut]) -> None:
    check_every(kind, framed(kind), 1)
