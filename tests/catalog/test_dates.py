"""The dates of images, and dates that cannot be right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squashproxy.catalog.dates import created_at, parse_date
from squashproxy.errors import FormatError
from squashproxy.oci import mediatypes
from squashproxy.oci.manifest import RawManifest
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.state.database import open_state
from squashproxy.state.manifests import ManifestMemory
from squashproxy.testing import FakeRegistry


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[ManifestMemory]:
    with open_state(tmp_path) as database:
        yield ManifestMemory(database, lambda: 0.0)


def nested(registry: FakeRegistry, depth: int) -> RawManifest:
    """An index in an index, `depth` times, around an artifact with a date."""
    annotations = {"org.opencontainers.image.created": "2026-01-02T03:04:05Z"}
    config = {"mediaType": "application/x", "digest": "sha256:" + "a" * 64, "size": 2}
    document = {"schemaVersion": 2, "config": config, "layers": [], "annotations": annotations}
    raw = RawManifest(json.dumps(document).encode(), mediatypes.OCI_MANIFEST)
    for _ in range(depth):
        registry.put_manifest("app", None, raw.data, raw.media_type)
        index = {"schemaVersion": 2, "manifests": [raw.descriptor.to_json()]}
        raw = RawManifest(json.dumps(index).encode(), mediatypes.OCI_INDEX)
    registry.put_manifest("app", "v1", raw.data, raw.media_type)
    return raw


@pytest.mark.parametrize(("depth", "found"), [(0, True), (8, True), (9, False), (2000, False)])
def test_indexes_in_indexes_are_followed_to_a_depth(
    memory: ManifestMemory, depth: int, found: bool
) -> None:
    with FakeRegistry() as registry, RegistryClient(environ={}) as client:
        raw = nested(registry, depth)
        remote = client.repository(Repository(registry.host, "app"))
        if found:
            assert created_at(remote, raw.digest, memory) == 1767323045.0
            return
        with pytest.raises(FormatError, match="stands in more than 8 indexes"):
            created_at(remote, raw.digest, memory)
        assert len(registry.requests) <= 11


DATES: dict[str, tuple[object, float | None]] = {
    "a date": ("2026-01-02T03:04:05Z", 1767323045.0),
    "with nanoseconds": ("2026-01-02T03:04:05.123456789Z", 1767323045.123456),
    "without a zone": ("2026-01-02T03:04:05", 1767323045.0),
    "Go's zero": ("0001-01-01T00:00:00Z", None),
    "the year 1, east of it": ("0001-01-01T00:00:00+23:59", None),
    "before there was Docker": ("1970-01-01T00:00:00Z", None),
    "a number": (1767323045, None),
    "a list": (["2026-01-02T03:04:05Z"], None),
    "nothing": ("", None),
    "null": (None, None),
    "a year of many digits": ("2" * 5000 + "-01-02T03:04:05Z", None),
    "a fraction of many digits": ("2026-01-02T03:04:05." + "1" * 5000 + "Z", 1767323045.111111),
    "half a surrogate pair": ("2026-01-02T03:04:05\ud800", None),
}


@pytest.mark.parametrize(("text", "seconds"), DATES.values(), ids=DATES)
def test_dates_are_read_or_are_none(text: object, seconds: float | None) -> None:
    assert parse_date(text) == seconds


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]T.{0,20}\Z"))
def test_no_text_breaks_the_reader_of_dates(text: str) -> None:
    found = parse_date(text)
    assert found is None or found > 0
