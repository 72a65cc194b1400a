"""Promoting what is no whole image for Linux: only its own tag is affected, and named."""

from __future__ import annotations

import json

import pytest

from squashproxy.testing import BuiltImage, index_of
from tests.cleanup.room import image
from tests.pipeline.images import ARM64, app
from tests.pipeline.indexes import Whole, build_cache, entry, listing
from tests.pipeline.other_systems import stating, windows
from tests.promotion.pair import SIMPLE, Pair, errors, outcomes


def sparse(absent: BuiltImage) -> Whole:
    there = stating(app(), created="2026-09-01T00:00:00Z")
    return Whole(listing([there, entry(absent)]).manifest, below=(there,))


@pytest.mark.parametrize("mode", ["squash", "prune", "copy"])
def test_a_build_cache_is_promoted_as_it_is(pair: Pair, mode: str) -> None:
    pair.push("apps/web", "v1", "v2", "v3")
    cache = build_cache()
    cache.push(pair.old, "apps/web", "cache")
    code, document, _ = pair.promote(f"{SIMPLE}\nmode: {mode}")
    assert (code, set(outcomes(document).values())) == (0, {"copied"})
    assert pair.new.tags("prod/web")["cache"] == cache.digest
    assert all(
        pair.new.blob("prod/web", digest)
        for digest in pair.old.blobs("apps/web")
        & {child["digest"] for child in json.loads(cache.manifest.data)["manifests"]}
    )
    _, document, _ = pair.promote(f"{SIMPLE}\nmode: {mode}")
    assert set(outcomes(document).values()) == {"current"}


def test_a_cache_has_no_date_and_stops_nobody(pair: Pair) -> None:
    pair.push("apps/web", "v1", "v2", "v3")
    build_cache().push(pair.old, "apps/web", "cache")
    code, document, err = pair.promote(f"{SIMPLE}\ntags: {{newest: 1}}")
    assert code == 0, err
    assert outcomes(document) == {"prod/web:v3": "copied"}


@pytest.mark.parametrize("mode", ["squash", "copy"])
def test_a_sparse_index_fails_alone_and_is_named(pair: Pair, mode: str) -> None:
    pair.push("apps/web", "v1", "v2")
    absent = app(platform=ARM64)
    sparse(absent).push(pair.old, "apps/web", "sparse")
    code, document, _ = pair.promote(f"{SIMPLE}\nmode: {mode}")
    assert code == 3
    assert outcomes(document) == {
        "prod/web:sparse": "failed",
        "prod/web:v1": "copied",
        "prod/web:v2": "copied",
    }
    (error,) = errors(document)
    assert "is an index that names an image for linux/arm64" in error
    assert absent.digest in error
    assert "sparse" not in pair.new.tags("prod/web")


def test_a_sparse_index_is_dated_by_what_is_there(pair: Pair) -> None:
    pair.push("apps/web", "v1", "v2")
    sparse(app(platform=ARM64)).push(pair.old, "apps/web", "sparse")
    rule = f"{SIMPLE}\nplatforms: [linux/amd64]\ntags: {{newest: 1}}"
    code, document, err = pair.promote(rule)
    assert (code, outcomes(document)) == (0, {"prod/web:sparse": "copied"}), err


def test_an_image_whose_date_cannot_be_read_is_named_by_its_tag(pair: Pair) -> None:
    pair.push("apps/web", "v1", "v2")
    whole = listing([image("deep")])
    for _ in range(10):
        whole = listing([whole])
    whole.push(pair.old, "apps/web", "deep")
    _, document, err = pair.promote(f"{SIMPLE}\ntags: {{newest: 1}}")
    assert outcomes(document) == {"prod/web:v2": "copied"}
    assert "apps/web: deep has no date" in err


def test_an_image_for_windows_is_promoted_as_it_is(pair: Pair) -> None:
    whole = windows()
    whole.push(pair.old, "apps/web", "1")
    rule = f"{SIMPLE}\nbase: none\nverify: true"
    code, document, _ = pair.promote(rule)
    assert code == 0
    assert pair.new.tags("prod/web")["1"] == whole.digest
    (found,) = document["images"]
    assert any("is for windows" in warning for warning in found["warnings"])
    _, document, _ = pair.promote(rule)
    assert outcomes(document) == {"prod/web:1": "current"}


def test_attestations_in_an_index_in_an_index_are_counted(pair: Pair) -> None:
    listing([index_of([app()], attestations=True)]).push(pair.old, "apps/web", "1")
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: refuse")
    assert code == 1
    assert "1 attestation" in errors(document)[0]
