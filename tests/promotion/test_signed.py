"""Promoting what is signed: signatures hold for the original alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from squashproxy.testing import FakeRegistry, RegistryOptions
from tests.cleanup.room import image, pulls_whole
from tests.promotion.pair import SIMPLE, Pair, sign

SOURCE = "dev.squashproxy.source.digest"


@pytest.mark.parametrize("policy", ["warn", "refuse", "copy"])
def test_a_signed_source(pair: Pair, policy: str) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    signature = sign(pair.old, "apps/web", built.manifest.descriptor)
    code, document, _ = pair.promote(f"{SIMPLE}\nsigned: {policy}")
    tags = pair.new.tags("prod/web")
    (found,) = document["images"]
    if policy == "refuse":
        assert (code, found["outcome"], tags) == (1, "refused", {})
        assert "signature tag" in found["error"]
    elif policy == "warn":
        assert (code, set(tags)) == (0, {"1"})
        assert "stay behind" in found["warnings"][0]
    else:
        assert code == 0
        assert tags["1-original"] == built.digest
        assert signature in pair.new.manifests("prod/web")
        assert built.digest.replace(":", "-") + ".sig" in tags
        assert pulls_whole(pair.new, built.digest, "prod/web")


@pytest.mark.parametrize("referrers", [True, False])
def test_provenance_is_a_referrer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, referrers: bool
) -> None:
    options = RegistryOptions(referrers=referrers)
    with FakeRegistry() as old, FakeRegistry(options) as new:
        pair = Pair(old, new, tmp_path, capsys)
        pair.push("apps/web", "1")
        assert pair.promote(f"{SIMPLE}\nprovenance: true")[0] == 0
        digest = new.tags("prod/web")["1"]
        statements = [
            json.loads(new.manifest("prod/web", each).data) for each in new.manifests("prod/web")
        ]
        (statement,) = [each for each in statements if "subject" in each]
        assert statement["subject"]["digest"] == digest
        payload = json.loads(new.blob("prod/web", statement["layers"][0]["digest"]))
        assert payload["subject"][0]["digest"]["sha256"] == digest.removeprefix("sha256:")
        assert (digest.replace(":", "-") in new.tags("prod/web")) != referrers
