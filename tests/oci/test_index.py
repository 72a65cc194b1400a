"""Indexes of both families: children, their platforms, and what is an attestation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import parse_manifest
from squashproxy.oci.platform import Platform
from tests.oci.documents import (
    WHERE,
    Json,
    described,
    descriptor,
    docker_index,
    oci_index,
    parsed_index,
    raw,
)

ARM = {"os": "linux", "architecture": "arm64", "variant": "v8"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


def child(**extra: Any) -> Json:
    return descriptor(mediatypes.OCI_MANIFEST, b"child", **extra)


def test_children_and_their_platforms() -> None:
    index = parsed_index(
        oci_index(child(platform={"os": "linux", "architecture": "amd64"}), child(platform=ARM))
    )
    assert [str(child.platform) for child in index.children] == ["linux/amd64", "linux/arm64/v8"]
    assert [child.is_attestation for child in index.children] == [False, False]


def test_an_index_without_children() -> None:
    assert parsed_index(oci_index()).children == ()


@pytest.mark.parametrize(
    "platform",
    [
        pytest.param(None, id="null"),
        pytest.param("linux/amd64", id="a word"),
        pytest.param({}, id="an empty object"),
        pytest.param({"os": "", "architecture": ""}, id="empty words"),
    ],
)
def test_a_platform_without_fields_is_none_and_makes_no_attestation(platform: Any) -> None:
    [only] = parsed_index(oci_index(child(platform=platform))).children
    assert only.platform is None
    assert not only.is_attestation


@pytest.mark.parametrize(
    ("extra", "is_attestation"),
    [
        pytest.param(
            {
                "platform": UNKNOWN,
                "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
            },
            True,
            id="as BuildKit writes it",
        ),
        pytest.param({"platform": UNKNOWN}, True, id="an unknown platform"),
        pytest.param(
            {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
            True,
            id="only the annotation",
        ),
        pytest.param({"platform": ARM}, False, id="an image"),
        pytest.param({}, False, id="an image without a platform"),
        pytest.param({"platform": ARM, "annotations": {"a": "b"}}, False, id="other annotations"),
        pytest.param(
            {"platform": {"os": "unknown", "architecture": "amd64"}}, False, id="half unknown"
        ),
    ],
)
def test_attestations(extra: Json, is_attestation: bool) -> None:
    [only] = parsed_index(oci_index(child(**extra))).children
    assert only.is_attestation == is_attestation


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"manifests": None}, "no list of manifests", id="null"),
        pytest.param({"manifests": {}}, "no list of manifests", id="an object"),
        pytest.param({"manifests": [1]}, "its manifest 0 is not a descriptor", id="a number"),
        pytest.param(
            {"manifests": [child(), {**child(), "size": -5}]}, "manifest 1 has no valid", id="size"
        ),
    ],
)
def test_broken_indexes(changes: Json, word: str) -> None:
    with pytest.raises(FormatError, match=f"^{WHERE}.*{word}"):
        parse_manifest(raw({**oci_index(), **changes}, mediatypes.OCI_INDEX), WHERE)


def test_other_children_and_all_else_as_it_was() -> None:
    source = oci_index(child(platform=ARM, new=1), subject=child(), annotations={"a": "b"})
    index = parsed_index(source)
    new = described(mediatypes.OCI_MANIFEST, b"new")
    result = index.with_children([index.children[0].descriptor, new], {"stamp": "2"})
    assert json.loads(result.data) == {
        **source,
        "manifests": [source["manifests"][0], new.to_json()],
        "annotations": {"stamp": "2"},
    }
    assert result.media_type == mediatypes.OCI_INDEX


def test_docker_lists_know_no_annotations() -> None:
    index = parsed_index(docker_index(child(platform=ARM)), mediatypes.DOCKER_INDEX)
    assert json.loads(index.with_children([], {"stamp": "2"}).data) == docker_index()


@pytest.mark.parametrize(
    ("platform", "read"),
    [
        ({"os": "linux", "architecture": "arm", "variant": "v6"}, Platform("linux", "arm", "v6")),
        ({"os": "windows", "architecture": "amd64"}, Platform("windows", "amd64")),
        ({"architecture": "amd64"}, Platform("unknown", "amd64")),
        (
            {"os": "linux", "architecture": "amd64", "os.version": "1", "variant": ""},
            Platform("linux", "amd64"),
        ),
    ],
)
def test_how_platforms_are_read(platform: Json, read: Platform) -> None:
    [only] = parsed_index(oci_index(child(platform=platform))).children
    assert only.platform == read
    assert only.descriptor.to_json()["platform"] == platform
