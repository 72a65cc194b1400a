"""Manifests of both families: which are read or refused, and what a change leaves as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.digest import digest_of
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor, parse_descriptor
from squashproxy.oci.manifest import (
    MAX_MANIFEST,
    ImageManifest,
    RawManifest,
    encode_json,
    parse_json_object,
    parse_manifest,
)
from tests.oci.documents import (
    WHERE,
    Json,
    described,
    descriptor,
    docker_index,
    docker_manifest,
    oci_index,
    oci_manifest,
    parsed_index,
    parsed_manifest,
    raw,
)

OCI, DOCKER = mediatypes.OCI_MANIFEST, mediatypes.DOCKER_MANIFEST


def test_an_oci_manifest() -> None:
    manifest = parsed_manifest(oci_manifest(annotations={"a": "b"}))
    assert manifest.config == described(mediatypes.OCI_CONFIG, b"config")
    assert [layer.digest for layer in manifest.layers] == [digest_of(b"base"), digest_of(b"top")]
    assert manifest.layers[1].annotations == {"k": "v"}
    assert manifest.annotations == {"a": "b"}
    assert manifest.is_image


def test_a_docker_manifest() -> None:
    manifest = parsed_manifest(docker_manifest(), DOCKER)
    assert manifest.config.media_type == mediatypes.DOCKER_CONFIG
    assert [layer.size for layer in manifest.layers] == [4]
    assert manifest.annotations == {}
    assert manifest.is_image


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(oci_manifest(artifactType="application/x"), id="an artifact type"),
        pytest.param(
            oci_manifest(config=descriptor("application/vnd.oci.empty.v1+json")), id="no config"
        ),
        pytest.param(oci_manifest(config=descriptor("application/vnd.helm.config")), id="a chart"),
        pytest.param(
            docker_manifest(config=descriptor("application/vnd.docker.plugin.v1+json")),
            id="a docker plugin",
        ),
    ],
)
def test_what_is_no_image(document: Json) -> None:
    assert not parsed_manifest(document, document["mediaType"]).is_image


@pytest.mark.parametrize(
    ("document", "came_as", "read_as"),
    [
        pytest.param(oci_manifest(), OCI, OCI, id="OCI"),
        pytest.param(docker_manifest(), DOCKER, DOCKER, id="Docker"),
        pytest.param(oci_manifest(mediaType=None), OCI, OCI, id="only the header says it"),
        pytest.param(oci_manifest(mediaType=""), OCI, OCI, id="an empty word says nothing"),
        pytest.param(docker_manifest(), "", DOCKER, id="only the document says it"),
        pytest.param(
            docker_manifest(), "application/json", DOCKER, id="a header that says too little"
        ),
        pytest.param(oci_manifest(), f"{OCI}; charset=utf-8", OCI, id="a header's parameters"),
        pytest.param(oci_manifest(mediaType=None), "text/plain", OCI, id="only its fields say it"),
        pytest.param(
            oci_index(mediaType=None), "", mediatypes.OCI_INDEX, id="only an index's fields say it"
        ),
        pytest.param(oci_index(), "", mediatypes.OCI_INDEX, id="OCI index"),
        pytest.param(docker_index(), "", mediatypes.DOCKER_INDEX, id="Docker list"),
    ],
)
def test_what_a_manifest_is(document: Json, came_as: str, read_as: str) -> None:
    assert parse_manifest(raw(document, came_as), WHERE).raw.media_type == read_as


@pytest.mark.parametrize(
    ("document", "came_as"),
    [
        pytest.param(docker_manifest(), OCI, id="Docker as OCI"),
        pytest.param(oci_manifest(), DOCKER, id="OCI as Docker"),
        pytest.param(oci_index(), OCI, id="an index as an image"),
        pytest.param(oci_manifest(), mediatypes.OCI_INDEX, id="an image as an index"),
        pytest.param(oci_manifest(mediaType="application/x"), OCI, id="something else as OCI"),
    ],
)
def test_a_header_that_contradicts_the_document(document: Json, came_as: str) -> None:
    sentence = f"{WHERE} came as {came_as} but says that it is {document['mediaType']}"
    with pytest.raises(FormatError) as caught:
        parse_manifest(raw(document, came_as), WHERE)
    assert str(caught.value) == sentence


def test_a_manifest_and_an_index_in_one_is_refused() -> None:
    for media_type in (OCI, mediatypes.OCI_INDEX):
        document = {**oci_index(descriptor(OCI)), **oci_manifest(mediaType=media_type)}
        with pytest.raises(FormatError, match="both an index and an image"):
            parse_manifest(raw(document, media_type), WHERE)


@pytest.mark.parametrize(
    ("document", "came_as"),
    [
        pytest.param({"schemaVersion": 1}, mediatypes.DOCKER_SCHEMA1, id="not signed"),
        pytest.param({"schemaVersion": 1}, mediatypes.DOCKER_SCHEMA1_SIGNED, id="signed"),
        pytest.param({"schemaVersion": 1, "fsLayers": []}, "application/json", id="by its version"),
        pytest.param({"mediaType": mediatypes.DOCKER_SCHEMA1}, "", id="by its own word"),
    ],
)
def test_schema_1_is_refused_with_a_way_out(document: Json, came_as: str) -> None:
    with pytest.raises(FormatError, match=r"schema 1, .*; pull it and push it again with a curr"):
        parse_manifest(raw(document, came_as), WHERE)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        pytest.param(b"", "not valid JSON", id="nothing"),
        pytest.param(b"<html>", "not valid JSON", id="a page"),
        pytest.param(b"{", "not valid JSON", id="half"),
        pytest.param(b'{"a":"\xff"}', "not valid JSON", id="no UTF-8"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="too deep"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "not valid JSON", id="a huge number"),
        pytest.param(b"[]", "not a JSON object", id="a list"),
        pytest.param(b"null", "not a JSON object", id="null"),
        pytest.param(b"{}", "which is no image", id="an empty object"),
        pytest.param(b'{"mediaType":"text/x"}', "type 'text/x', which is no", id="another type"),
    ],
)
def test_what_is_no_manifest(data: bytes, word: str) -> None:
    with pytest.raises(FormatError, match=word) as caught:
        parse_manifest(RawManifest(data, "application/json"), WHERE)
    assert str(caught.value).startswith(WHERE)


def test_a_manifest_of_a_type_of_its_own_is_none() -> None:
    document = oci_manifest(mediaType="application/vnd.example.manifest")
    with pytest.raises(FormatError, match="which is no image"):
        parse_manifest(raw(document, "application/vnd.example.manifest"), WHERE)


LAYER = descriptor(mediatypes.OCI_LAYER)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"config": None}, "its config is not a descriptor", id="no config"),
        pytest.param({"config": []}, "its config is not a descriptor", id="a list as config"),
        pytest.param({"layers": {}}, "no list of layers", id="layers, not a list"),
        pytest.param({"layers": ["x"]}, "its layer 0 is not a descriptor", id="a word as layer"),
        pytest.param(
            {"layers": [LAYER, {**LAYER, "size": -1}]}, "its layer 1 has no valid size", id="size"
        ),
        pytest.param(
            {"layers": [{**LAYER, "digest": "sha256:../.."}]}, "its layer 0: .* digest", id="digest"
        ),
    ],
)
def test_broken_manifests(changes: Json, word: str) -> None:
    with pytest.raises(FormatError, match=f"^{WHERE}.*{word}"):
        parse_manifest(raw({**oci_manifest(), **changes}), WHERE)


@pytest.mark.parametrize("named", [mediatypes.OCI_MANIFEST, ""], ids=["typed", "untyped"])
@pytest.mark.parametrize("layers", [{"layers": []}, {"layers": None}, {}], ids=repr)
def test_an_image_without_layers(layers: Json, named: str) -> None:
    document = {**oci_manifest(), **layers}
    if not layers:
        del document["layers"]
    if not named:
        document.pop("mediaType", None)
    parsed = parse_manifest(raw(document, named), WHERE)
    assert isinstance(parsed, ImageManifest)
    assert parsed.layers == ()


@pytest.mark.parametrize("size", [-1, True, False, None, "5", 5.0, [], {}], ids=repr)
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(FormatError, match=r"^the blob has no valid size$"):
        parse_descriptor({**LAYER, "size": size}, "the blob")


@pytest.mark.parametrize("size", [0, 1, 1 << 62])
def test_sizes(size: int) -> None:
    assert parse_descriptor({**LAYER, "size": size}, "the blob").size == size


@pytest.mark.parametrize("digest", [None, 5, "", "sha256:", "md5:" + "0" * 32, ["x"]])
def test_digests_that_are_none(digest: Any) -> None:
    with pytest.raises(FormatError, match=r"^the blob: .* is not a sha256 or sha512 digest$"):
        parse_descriptor({**LAYER, "digest": digest}, "the blob")


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_what_is_no_descriptor(document: Any) -> None:
    with pytest.raises(FormatError, match=r"^the blob is not a descriptor$"):
        parse_descriptor(document, "the blob")


def test_unknown_fields_of_a_descriptor_survive() -> None:
    document = descriptor("x", urls=["u"], data="ZGF0YQ==", annotations={"a": "b"}, new={"x": 1})
    assert parse_descriptor(document, "the blob").to_json() == document


def test_a_descriptor_without_a_type() -> None:
    document = descriptor("x")
    del document["mediaType"]
    assert parse_descriptor(document, "the blob").media_type == ""


@pytest.mark.parametrize("annotations", [None, [], 5, "text", ["vnd.docker.reference.type"]])
def test_annotations_that_are_none_count_for_nothing(annotations: Any) -> None:
    child = descriptor(OCI, annotations=annotations)
    index = parsed_index({**oci_index(child), "annotations": annotations})
    assert index.annotations == {}
    assert index.children[0].descriptor.annotations == {}
    assert not index.children[0].is_attestation
    assert parsed_manifest({**oci_manifest(), "annotations": annotations}).annotations == {}


NEW_CONFIG = described(mediatypes.OCI_CONFIG, b"new config")
NEW_LAYER = Descriptor(mediatypes.OCI_LAYER_GZIP, digest_of(b"new"), 3, {"annotations": {"x": "y"}})


def test_other_layers_and_all_else_as_it_was() -> None:
    subject = descriptor(OCI, b"subject")
    source = oci_manifest(subject=subject, annotations={"old": "1"}, new={"deep": [1, "ü"]})
    manifest = parsed_manifest(source)
    result = manifest.with_layers(NEW_CONFIG, [manifest.layers[0], NEW_LAYER], {"stamp": "2"})
    document = json.loads(result.data)
    assert document == {
        **source,
        "config": NEW_CONFIG.to_json(),
        "layers": [source["layers"][0], NEW_LAYER.to_json()],
        "annotations": {"stamp": "2"},
    }
    assert list(document) == list(source), "in the same order"
    assert result.media_type == OCI
    assert parsed_manifest(source).document == source, "the source is not changed"


def test_docker_manifests_know_no_annotations() -> None:
    manifest = parsed_manifest(docker_manifest(new="field"), DOCKER)
    result = manifest.with_layers(manifest.config, [], {"stamp": "2"})
    assert json.loads(result.data) == {**docker_manifest(new="field"), "layers": []}
    assert result.media_type == DOCKER


def test_raw_bytes_stay_and_name_themselves() -> None:
    data = json.dumps(oci_manifest(), indent=3).encode() + b"\n"
    manifest = parse_manifest(RawManifest(data, OCI), WHERE)
    assert manifest.raw.data == data
    assert manifest.raw.digest == digest_of(data)
    assert manifest.raw.descriptor == Descriptor(OCI, digest_of(data), len(data))


def test_the_limit_is_the_specifications() -> None:
    assert MAX_MANIFEST == 4 * 1024 * 1024


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_documents_read_back_in_their_order(document: Json) -> None:
    data = encode_json(document)
    back = parse_json_object(data, WHERE)
    assert back == document
    assert list(back) == list(document)
    assert encode_json(back) == data


def test_json_is_compact_and_keeps_letters() -> None:
    assert encode_json({"b": [1, "ü"], "a": None}) == '{"b":[1,"ü"],"a":null}'.encode()


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    data = b'{"note":"\\ud800 \\udc00","clef":"\\ud834\\udd1e"}'
    back = encode_json(parse_json_object(data, WHERE))
    assert back == b'{"note":"\\ud800 \\udc00","clef":"' + "\U0001d11e".encode() + b'"}'
    assert json.loads(back) == json.loads(data)


@given(st.dictionaries(st.sampled_from(["mediaType", "config", "layers", "manifests"]), JSON))
def test_any_document_is_read_or_refused(document: Json) -> None:
    for media_type in (OCI, mediatypes.DOCKER_INDEX, "application/json"):
        try:
            parse_manifest(raw(document, media_type), WHERE)
        except FormatError as error:
            assert str(error).startswith(WHERE)  # noqa: PT017 - both ends are fine
