"""Following indexes in an index, also at a place that does not check digests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import ImageIndex, RawManifest, encode_json, parse_manifest
from squashproxy.transports.index_images import find_leaves

ONE, TWO = digest_of(b"one"), digest_of(b"two")


def naming(digest: Digest) -> RawManifest:
    child = Descriptor(mediatypes.OCI_INDEX, digest, 1)
    document = {"schemaVersion": 2, "manifests": [child.to_json()]}
    return RawManifest(encode_json(document), mediatypes.OCI_INDEX)


@dataclass(frozen=True, slots=True)
class Liar:
    """A place whose manifests are not those of their digests, which alone can make a circle."""

    manifests: dict[Digest, RawManifest]
    name: str = "the liar"

    def read_manifest(self, digest: Digest) -> RawManifest:
        return self.manifests[digest]


@pytest.mark.parametrize(
    "manifests",
    [{ONE: naming(ONE)}, {ONE: naming(TWO), TWO: naming(ONE)}],
    ids=["itself", "another one that holds it"],
)
def test_a_circle_is_refused(manifests: dict[Digest, RawManifest]) -> None:
    top = parse_manifest(naming(ONE), "the index")
    assert isinstance(top, ImageIndex)
    with pytest.raises(FormatError, match=f"the index {ONE[:19]} of the liar holds itself"):
        find_leaves(Liar(manifests), top)
