"""A source that fails or lies: one sentence, the tag as it was, nothing left open."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from squashproxy.digest import Digest, digest_of
from squashproxy.errors import (
    BadArchive,
    BadCompression,
    FormatError,
    IntegrityError,
    NotFound,
    ServerFault,
    SquashproxyError,
    Unreachable,
    WrongDiffId,
)
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import DOCKER_SCHEMA1_SIGNED, OCI_LAYER_GZIP, OCI_MANIFEST
from squashproxy.testing import (
    BuiltImage,
    FakeRegistry,
    Fault,
    FaultKind,
    ImageBuilder,
    LayerBuilder,
    Packing,
    pack,
)
from tests.pipeline.images import APP, LAYERS, OS, RUNTIME, app, noise
from tests.pipeline.lab import Lab, asked, changed, fails, fetched, tree

ALWAYS = 1000
LAYER_COPIED, LAYER_MERGED = 0, 2
"""Of `app` with `--base 2`: a layer that is copied as it is, and one that is squashed."""


class TestWhatIsNotThere:
    def test_a_tag(self, lab: Lab) -> None:
        lab.put(app(), "app:other")
        fails(lab, NotFound, lab.old.host, "tag 1", "app")

    def test_a_repository(self, lab: Lab) -> None:
        fails(lab, NotFound, lab.old.host, "no repository app", "check its name")

    def test_a_digest(self, lab: Lab) -> None:
        lab.put(app())
        absent = digest_of(b"absent")
        fails(lab, NotFound, absent, source=f"app@{absent}")

    @pytest.mark.parametrize("number", [LAYER_COPIED, LAYER_MERGED])
    def test_a_layer(self, lab: Lab, number: int) -> None:
        image = app()
        missing = image.layers[number].digest
        blobs = {digest: data for digest, data in image.blobs.items() if digest != missing}
        lab.put(replace(image, blobs=blobs))
        fails(lab, NotFound, lab.old.host, missing, base="2")

    def test_a_config(self, lab: Lab) -> None:
        image = app()
        blobs = {
            digest: data for digest, data in image.blobs.items() if digest != image.config.digest
        }
        lab.put(replace(image, blobs=blobs))
        fails(lab, NotFound, image.config.digest)

    def test_an_image_of_an_index(self, lab: Lab) -> None:
        image = app()
        document = {"schemaVersion": 2, "manifests": [image.manifest.descriptor.to_json()]}
        media_type = "application/vnd.oci.image.index.v1+json"
        lab.old.put_manifest("app", "1", json.dumps(document).encode(), media_type)
        fails(lab, NotFound, image.digest)

    def test_a_registry(self, lab: Lab) -> None:
        with FakeRegistry() as gone:
            host = gone.host
        down = replace(lab, old=gone)
        fails(down, Unreachable, host)


BAD_MANIFESTS = [
    pytest.param(
        b'{"schemaVersion":1,"fsLayers":[]}', "schema 1", "docker or skopeo", id="schema-1"
    ),
    pytest.param(b"{", "not valid JSON", "manifest", id="no-json"),
    pytest.param(b"[]", "not a JSON object", "manifest", id="a-list"),
    pytest.param(b'{"layers":[]}', "config", "descriptor", id="no-config"),
    pytest.param(b'{"config":{},"layers":[]}', "no valid size", "config", id="empty-config"),
    pytest.param(b'{"manifests":[],"layers":[]}', "both an index", "image", id="both"),
    pytest.param(b" " * (5 << 20), "larger than", "manifest", id="huge"),
]


class TestWhatIsNotAsItShouldBe:
    """Invalid documents, found before anything is pushed."""

    @pytest.mark.parametrize(("data", "words", "more"), BAD_MANIFESTS)
    def test_a_manifest(self, lab: Lab, data: bytes, words: str, more: str) -> None:
        lab.old.put_manifest("app", "1", data, OCI_MANIFEST)
        fails(lab, FormatError, words, more)
        assert not any("uploads" in line for line in asked(lab.new))

    def test_a_manifest_of_schema_1_by_its_type(self, lab: Lab) -> None:
        lab.old.put_manifest("app", "1", b'{"schemaVersion":1}', DOCKER_SCHEMA1_SIGNED)
        fails(lab, FormatError, "schema 1", "skopeo")

    def test_a_manifest_that_another_one_took_the_place_of(self, lab: Lab) -> None:
        """The registry answers a request by digest with other bytes."""
        image = app()
        lab.put(image)
        lab.old.arm(Fault("GET", "/manifests/", FaultKind.CORRUPT, after_bytes=9, times=ALWAYS))
        fails(lab, IntegrityError, image.digest)

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            pytest.param(b"not json", "not valid JSON", id="no-json"),
            pytest.param(b"[]", "not a JSON object", id="a-list"),
            pytest.param(b"{}", "lists 0 diff IDs for 4 layers", id="no-diff-ids"),
            pytest.param(
                b'{"rootfs":{"diff_ids":["sha256:1"]}}', "lists 1 diff IDs for 4", id="too-few"
            ),
            pytest.param(
                b'{"rootfs":{"diff_ids":[1,2,3,4,5]}}', "lists 5 diff IDs for 4", id="too-many"
            ),
            pytest.param(
                b'{"rootfs":{"diff_ids":["a","b","c","d"]},"history":[1]}', "history", id="history"
            ),
        ],
    )
    def test_a_config(self, lab: Lab, config: bytes, words: str) -> None:
        image = app()
        digest = digest_of(config)
        document = json.loads(image.manifest.data)
        descriptor = {**document["config"], "digest": digest, "size": len(config)}
        image = changed(replace(image, blobs={**image.blobs, digest: config}), config=descriptor)
        lab.put(image)
        fails(lab, FormatError, "config", words)
        assert not any("uploads" in line for line in asked(lab.new))

    def test_a_config_of_gigabytes_is_not_even_fetched(self, lab: Lab) -> None:
        image = app()
        config = {**json.loads(image.manifest.data)["config"], "size": 3 << 30}
        lab.put(changed(image, config=config))
        fails(lab, FormatError, "config", str(3 << 30))
        assert fetched(lab.old, image.config.digest) == 0

    @pytest.mark.parametrize("number", [LAYER_COPIED, LAYER_MERGED], ids=["copied", "merged"])
    @pytest.mark.parametrize("difference", [-1, 1, 1 << 30])
    def test_the_size_of_a_layer(self, lab: Lab, number: int, difference: int) -> None:
        image = app()
        layers = json.loads(image.manifest.data)["layers"]
        layers[number]["size"] += difference
        lab.put(changed(image, layers=layers))
        words = "longer than" if difference < 0 else "ended after"
        fails(lab, IntegrityError, image.layers[number].digest, words, base="2")


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with the third of four layers, whose digest fits all the same."""

    blob: bytes
    error: type[SquashproxyError]
    words: tuple[str, ...]
    extra: dict[str, Any] = field(default_factory=dict)


TAR = APP.tar()
GZIP = pack(TAR, Packing.GZIP)
ZSTD = pack(TAR, Packing.ZSTD)
DAMAGED = {
    "gzip that ends early": Damage(GZIP[: len(GZIP) // 2], BadCompression, ("cut short",)),
    "gzip without its trailer": Damage(GZIP[:-8], BadCompression, ("cut short",)),
    "gzip with a wrong checksum": Damage(GZIP[:-8] + bytes(8), BadCompression, ("damaged",)),
    "gzip with a block that is none": Damage(
        GZIP[:2000] + b"\xff" * 500 + GZIP[2500:], BadCompression, ("damaged",)
    ),
    "zstd that ends early": Damage(ZSTD[: len(ZSTD) // 2], BadCompression, ("cut short",)),
    "zstd with a wrong checksum": Damage(ZSTD[:-1] + b"\0", BadCompression, ("damaged",)),
    "neither gzip nor a tar": Damage(b"hello " * 1000, BadArchive, ()),
    "a tar that ends within a file": Damage(gzip.compress(TAR[:30_000]), BadArchive, ()),
    "a tar that ends within a header": Damage(gzip.compress(TAR[:700]), BadArchive, ()),
    "a header with a wrong checksum": Damage(
        gzip.compress(b"X" + TAR[1:]), BadArchive, ("checksum",)
    ),
    "a name that leads out": Damage(
        gzip.compress(LayerBuilder().file("a/../../etc/passwd").tar()), BadArchive, ("..",)
    ),
    "a name with a null byte": Damage(
        gzip.compress(LayerBuilder().file("a", records=(("path", b"a\0b"),)).tar()), BadArchive, ()
    ),
    "a whiteout of nothing": Damage(
        gzip.compress(LayerBuilder().file("a/.wh.").tar()), BadArchive, (".wh.",)
    ),
    "a hard link to nothing": Damage(
        gzip.compress(LayerBuilder().hardlink("a", "absent").tar()), BadArchive, ("absent",)
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("base", ["1", "none"])
def test_a_damaged_layer(lab: Lab, name: str, base: str) -> None:
    damage = DAMAGED[name]
    blob = damage.blob
    is_gzip = damage.error is BadArchive and blob.startswith(b"\x1f\x8b")
    tar = gzip.decompress(blob) if is_gzip else blob
    lab.put(with_third_layer(blob, digest_of(tar)))
    fails(
        lab, damage.error, "layer 3 of 4", digest_of(blob)[:19], "app:1", *damage.words, base=base
    )


class TestALayerThatIsNotTheOneInTheConfig:
    stated = digest_of(b"something else")

    @pytest.mark.parametrize("base", ["1", "2", "none"])
    def test_is_refused_if_the_user_asks_for_that_check(self, lab: Lab, base: str) -> None:
        """What the merge reads is checked against `rootfs.diff_ids`; the base is not unpacked."""
        lab.put(with_third_layer(GZIP, self.stated))
        words = ("layer 3 of 4", digest_of(TAR), self.stated)
        fails(lab, WrongDiffId, *words, base=base, check_diff_ids=True)

    @pytest.mark.parametrize("base", ["1", "2", "none"])
    def test_is_squashed_otherwise_and_the_result_states_what_is_true(
        self, lab: Lab, base: str
    ) -> None:
        lab.put(with_third_layer(GZIP, self.stated))
        lab.copy(base=base)
        assert lab.arrived().tree() == tree(*LAYERS)

    def test_is_refused_if_the_user_asks_for_a_comparison(self, lab: Lab) -> None:
        lab.put(with_third_layer(GZIP, self.stated))
        fails(lab, WrongDiffId, "layer 3 of 4", digest_of(TAR), self.stated, verify=True)

    def test_makes_no_difference_to_the_stamp(self, lab: Lab) -> None:
        lab.put(app())
        assert not lab.copy().skipped
        assert lab.copy(check_diff_ids=True).skipped


def with_third_layer(blob: bytes, diff_id: Digest) -> BuiltImage:
    builder = ImageBuilder()
    for layer in LAYERS[:2]:
        builder.layer(layer)
    builder.stored_layer(Descriptor(OCI_LAYER_GZIP, digest_of(blob), len(blob)), diff_id)
    image = builder.layer(LAYERS[3]).build()
    return replace(image, blobs={**image.blobs, digest_of(blob): blob})


class TestTheNetwork:
    @pytest.mark.parametrize("number", range(4))
    def test_a_connection_that_breaks_is_taken_up_where_it_broke(
        self, lab: Lab, number: int
    ) -> None:
        image = large()
        lab.put(image)
        digest = image.layers[number].digest
        size = image.layers[number].size
        lab.old.arm(Fault("GET", digest, FaultKind.DROP_RESPONSE, after_bytes=size // 2, times=1))
        result = lab.copy(base="1")
        ranges = [
            exchange.headers.get("range")
            for exchange in lab.old.requests
            if exchange.method == "GET" and exchange.path.endswith(digest)
        ]
        assert ranges[0] is None
        # The base is also read by the merge, at any moment beside its copy.
        assert [each for each in ranges if each is not None] == [f"bytes={size // 2}-"]
        assert result.digest == lab.copy(base="1", force=True).digest

    def test_server_faults_that_pass(self, lab: Lab) -> None:
        lab.put(app())
        wanted = lab.copy(target="app:first", base="1").digest
        fault = lab.old.arm(Fault("GET", "", status=503, times=3))
        assert lab.copy(base="1").digest == wanted
        assert fault.remaining == 0

    def test_server_faults_that_stay(self, lab: Lab) -> None:
        lab.put(app())
        lab.old.arm(Fault("GET", "/blobs/", status=500, times=ALWAYS))
        fails(lab, ServerFault, lab.old.host, "HTTP 500", base="1")

    @pytest.mark.parametrize("number", [LAYER_COPIED, LAYER_MERGED], ids=["copied", "merged"])
    def test_a_connection_that_always_breaks(self, lab: Lab, number: int) -> None:
        image = app()
        lab.put(image)
        digest = image.layers[number].digest
        lab.old.arm(Fault("GET", digest, FaultKind.DROP, times=ALWAYS))
        fails(lab, Unreachable, lab.old.host, base="2")

    @pytest.mark.parametrize("number", [1, LAYER_MERGED], ids=["copied", "merged"])
    @pytest.mark.parametrize("packing", [Packing.NONE, Packing.GZIP, Packing.ZSTD])
    def test_a_blob_that_is_not_what_its_digest_says(
        self, lab: Lab, number: int, packing: Packing
    ) -> None:
        """The error is always the wrong digest, even where inflating fails first."""
        builder = ImageBuilder().layer(OS, packing).layer(RUNTIME, packing).layer(APP, packing)
        image = builder.layer(LayerBuilder().directory("app"), packing).build()
        lab.put(image)
        blob = image.layers[number]
        position = blob.size // 2
        fault = Fault("GET", blob.digest, FaultKind.CORRUPT, after_bytes=position, times=ALWAYS)
        lab.old.arm(fault)
        fails(lab, IntegrityError, blob.digest, base="2")

    @pytest.mark.parametrize("number", [1, LAYER_MERGED], ids=["copied", "merged"])
    def test_a_blob_whose_answers_always_end_early_comes_in_parts(
        self, lab: Lab, number: int
    ) -> None:
        image = app()
        lab.put(image)
        wanted = lab.copy(target="app:first", base="2").digest
        blob = image.layers[number]
        fault = Fault("GET", blob.digest, FaultKind.CUT, after_bytes=blob.size // 2, times=ALWAYS)
        lab.old.arm(fault)
        if number == 1:
            lab.new.drop_blob("app", blob.digest)
        assert lab.copy(base="2").digest == wanted


def large() -> BuiltImage:
    """Every layer takes several reads of a connection."""
    builder = ImageBuilder()
    for number, layer in enumerate(LAYERS):
        data = noise(600_000, number)
        builder.layer(LayerBuilder().raw(layer.tar(end_blocks=0)).file(f"data-{number}", data))
    return builder.build()
