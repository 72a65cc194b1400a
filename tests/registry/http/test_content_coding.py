"""Content-Encoding in answers to requests that ask for none (issue 26)."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from urllib3 import HTTPResponse

from squashproxy.digest import digest_of
from squashproxy.errors import IntegrityError, RegistryError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.registry.http.connections import read_body
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from squashproxy.testing.packing import Packing, pack

TAR = b"a file\n" * 3000
LAYER = gzip.compress(TAR + os.urandom(500_000), mtime=0)
ZSTD_LAYER = pack(TAR, Packing.ZSTD)
MANIFEST = b'{"schemaVersion": 2, "layers": []}'


def zstd(data: bytes) -> bytes:
    return pack(data, Packing.ZSTD)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd,
    "gzip, zstd": lambda data: zstd(gzip.compress(data)),
    "identity": lambda data: data,
    "utf-8": lambda data: data,
    "aws-chunked": lambda data: data,
    "aws-chunked, gzip": gzip.compress,
}


def altered(path: str, coding: str, body: bytes, *, length: bool = True, times: int = 9) -> Fault:
    headers = [("Content-Encoding", coding)]
    if not length:
        headers.append(("Transfer-Encoding", "chunked"))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return Fault("GET", path, FaultKind.ALTER, headers=tuple(headers), body=body, times=times)


@pytest.mark.parametrize(("coding", "packed"), CODINGS.items(), ids=CODINGS)
def test_small_answers_are_decoded(
    registry: FakeRegistry,
    app: RemoteRepository,
    coding: str,
    packed: Callable[[bytes], bytes],
) -> None:
    registry.put_manifest("app", "v1", MANIFEST, mediatypes.OCI_MANIFEST)
    registry.arm(altered("/manifests/", coding, packed(MANIFEST)))
    registry.arm(altered("/tags/", coding, packed(b'{"tags": ["v1"]}')))
    assert app.get_manifest("v1").data == MANIFEST
    assert list(app.iter_tags()) == ["v1"]


def test_a_label_alone_changes_nothing(registry: FakeRegistry, app: RemoteRepository) -> None:
    registry.put_manifest("app", "v1", MANIFEST, mediatypes.OCI_MANIFEST)
    for coding in ("gzip", "deflate", "zstd"):
        registry.disarm()
        registry.arm(altered("/manifests/", coding, MANIFEST))
        assert app.get_manifest("v1").data == MANIFEST


@dataclass(frozen=True, slots=True)
class Blob:
    media_type: str
    data: bytes

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, digest_of(self.data), len(self.data))


BLOBS: dict[str, Blob] = {
    "a gzip layer": Blob(mediatypes.OCI_LAYER_GZIP, LAYER),
    "a zstd layer": Blob(mediatypes.OCI_LAYER_ZSTD, ZSTD_LAYER),
    "a plain layer": Blob(mediatypes.OCI_LAYER, TAR),
    "a config": Blob(mediatypes.OCI_CONFIG, b'{"rootfs": {}}'),
}


@pytest.mark.parametrize("length", [True, False], ids=["with a length", "without a length"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("blob", BLOBS.values(), ids=BLOBS)
def test_a_blob_that_a_proxy_packed_is_decoded(
    registry: FakeRegistry, app: RemoteRepository, blob: Blob, coding: str, length: bool
) -> None:
    registry.put_blob("app", blob.data)
    registry.arm(altered("/blobs/", coding, CODINGS[coding](blob.data), length=length))
    assert b"".join(app.iter_blob(blob.descriptor)) == blob.data


@pytest.mark.parametrize("length", [True, False], ids=["with a length", "without a length"])
@pytest.mark.parametrize("name", ["a gzip layer", "a zstd layer"])
def test_a_layer_that_its_store_labels_is_left_as_it_is(
    registry: FakeRegistry, app: RemoteRepository, name: str, length: bool
) -> None:
    blob = BLOBS[name]
    coding = blob.media_type.rpartition("+")[2]
    registry.put_blob("app", blob.data)
    registry.arm(altered("/blobs/", coding, blob.data, length=length))
    assert b"".join(app.iter_blob(blob.descriptor)) == blob.data


def test_a_packed_blob_that_breaks_off_is_read_again_from_its_start(
    registry: FakeRegistry, app: RemoteRepository
) -> None:
    """A part of something packed could not be unpacked, so no range is asked for."""
    blob = BLOBS["a gzip layer"]
    registry.put_blob("app", blob.data)
    packed = gzip.compress(blob.data)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    registry.arm(Fault("GET", "/blobs/", FaultKind.RAW, body=head + packed[:300_000]))
    registry.arm(altered("/blobs/", "gzip", packed))
    assert b"".join(app.iter_blob(blob.descriptor)) == blob.data
    assert [one.headers.get("range") for one in registry.requests] == [None, None]


def test_a_damaged_body_is_told(registry: FakeRegistry, app: RemoteRepository) -> None:
    registry.put_manifest("app", "v1", MANIFEST, mediatypes.OCI_MANIFEST)
    registry.arm(altered("/manifests/", "deflate", zlib.compress(MANIFEST)[:-1] + b"!"))
    with pytest.raises(RegistryError, match="in the encoding 'deflate', which cannot be") as raised:
        app.get_manifest("v1")
    assert not raised.value.temporary


CUT: dict[str, bytes] = {
    "gzip": gzip.compress(MANIFEST)[:-5],
    "deflate": zlib.compress(MANIFEST)[:-5],
    "zstd": zstd(MANIFEST)[:-3],
}


@pytest.mark.parametrize(("coding", "packed"), CUT.items(), ids=CUT)
def test_a_body_that_ends_in_its_middle_is_asked_for_again(
    registry: FakeRegistry, app: RemoteRepository, coding: str, packed: bytes
) -> None:
    registry.put_manifest("app", "v1", MANIFEST, mediatypes.OCI_MANIFEST)
    registry.arm(replace(altered("/manifests/", coding, packed), times=1))
    assert app.get_manifest("v1").data == MANIFEST


@pytest.mark.parametrize("coding", ["br", "compress"])
def test_an_encoding_that_is_not_known_is_named(
    registry: FakeRegistry, app: RemoteRepository, coding: str
) -> None:
    registry.put_manifest("app", "v1", MANIFEST, mediatypes.OCI_MANIFEST)
    registry.arm(altered("/manifests/", coding, b"\x00\x01"))
    with pytest.raises(RegistryError, match=f"in the encoding '{coding}', although asked for none"):
        app.get_manifest("v1")


def test_a_body_that_unpacks_to_much_more_is_not_kept_in_memory() -> None:
    """A hundred million zeros, of which no more than the limit are unpacked."""
    bomb = gzip.compress(bytes(100_000_000))
    response = HTTPResponse(
        io.BytesIO(bomb), {"Content-Encoding": "gzip"}, 200, preload_content=False
    )
    assert len(read_body(response, 1000, "h", "it")) == 1001


def test_a_digest_decides_in_the_end(client: RegistryClient, registry: FakeRegistry) -> None:
    blob = BLOBS["a plain layer"]
    registry.put_blob("app", blob.data)
    registry.arm(altered("/blobs/", "gzip", gzip.compress(b"other" * 100)))
    app = client.repository(Repository(registry.host, "app"))
    with pytest.raises(IntegrityError):
        b"".join(app.iter_blob(blob.descriptor))
