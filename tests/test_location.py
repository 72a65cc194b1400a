"""How images are named outside of registries, and that registries are named as before."""

from __future__ import annotations

import pytest

from squashproxy.digest import Digest
from squashproxy.errors import BadReference
from squashproxy.location import ArchiveReference, Transport, parse_location
from squashproxy.reference import parse_reference

DIGEST = Digest("sha256:" + "ab" * 32)
OCI, OCI_ARCHIVE, DOCKER_ARCHIVE = Transport


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:app", ArchiveReference(OCI, "app")),
        ("oci:/a/b c:1", ArchiveReference(OCI, "/a/b c", "1")),
        ("oci:app:team/app:1", ArchiveReference(OCI, "app", "team/app:1")),
        (f"oci:app@{DIGEST}", ArchiveReference(OCI, "app", None, DIGEST)),
        (f"oci:app:1@{DIGEST}", ArchiveReference(OCI, "app", "1", DIGEST)),
        ("oci-archive:app.tar:v1", ArchiveReference(OCI_ARCHIVE, "app.tar", "v1")),
        ("docker-archive:a.tar", ArchiveReference(DOCKER_ARCHIVE, "a.tar")),
        (
            "docker-archive:a.tar:h:5000/a:1",
            ArchiveReference(DOCKER_ARCHIVE, "a.tar", "h:5000/a:1"),
        ),
        ("docker-archive:a.tar:@1", ArchiveReference(DOCKER_ARCHIVE, "a.tar", "@1")),
        ("docker-archive:-", ArchiveReference(DOCKER_ARCHIVE, "-")),
        ("docker-archive:-:app:1", ArchiveReference(DOCKER_ARCHIVE, "-", "app:1")),
    ],
)
def test_read_and_written_back(text: str, expected: ArchiveReference) -> None:
    assert parse_location(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["app", "h:5000/app:1", "docker://h/app", "oci/app:1", "dir:5000/app", f"app@{DIGEST}"]
)
def test_all_else_is_in_a_registry(text: str) -> None:
    assert parse_location(text) == parse_reference(text)


@pytest.mark.parametrize(
    ("text", "is_stream"),
    [
        ("docker-archive:-", True),
        ("oci-archive:-:1", True),
        ("docker-archive:/dev/stdin", True),
        ("docker-archive:/dev/stdout:app:1", True),
        ("docker-archive:./-", False),
        ("oci:-", False),
    ],
)
def test_standard_streams(text: str, *, is_stream: bool) -> None:
    location = parse_location(text)
    assert isinstance(location, ArchiveReference)
    assert location.is_stream is is_stream


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("oci:", "oci:DIR"),
        ("docker-archive::app", "docker-archive:FILE"),
        ("oci:app:", "ends in a colon"),
        ("oci:app@sha256:12", "digest"),
        ("docker-daemon:app:1", "docker save"),
        ("containers-storage:app", "podman save"),
        ("dir:app", "oci:DIR"),
    ],
)
def test_refused(text: str, word: str) -> None:
    with pytest.raises(BadReference, match=word) as caught:
        parse_location(text)
    assert caught.value.exit_code == 2
