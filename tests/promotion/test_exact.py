"""Promoting with `mode: copy`: the same digests, with all that refers to the images."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.cli.main import run
from squashproxy.testing import FakeRegistry, Fault, FaultKind, RegistryOptions, index_of
from tests.cleanup.room import image, pulls_whole
from tests.pipeline.images import ARM64, app
from tests.pipeline.lab import asked
from tests.promotion.pair import SIMPLE, Pair, errors, outcomes, sign

EXACT = f"{SIMPLE}\nmode: copy"


def signature_tag(digest: str) -> str:
    return digest.replace(":", "-") + ".sig"


@pytest.mark.parametrize("referrers", [True, False])
def test_images_arrive_with_their_digests_and_signatures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, referrers: bool
) -> None:
    with FakeRegistry() as old, FakeRegistry(RegistryOptions(referrers=referrers)) as new:
        pair = Pair(old, new, tmp_path, capsys)
        built = index_of([app(), app(platform=ARM64)], attestations=True)
        digest = built.push(old, "apps/web", "1")
        signature = sign(old, "apps/web", built.images[1].manifest.descriptor)
        code, document, _ = pair.promote(EXACT)
        [found] = document["images"]
        assert (code, found["outcome"], found["mode"]) == (0, "copied", "copy")
        assert (found["digest"], found["source_digest"]) == (digest, digest)
        assert found["referrers"] == 2
        tags = new.tags("prod/web")
        assert tags["1"] == digest
        assert tags[signature_tag(built.images[1].digest)] == signature
        assert signature in new.manifests("prod/web")
        lists = {tag for tag in tags if tag.startswith("sha256-") and "." not in tag}
        assert len(lists) == (not referrers)
        assert pulls_whole(new, digest, "prod/web")
        code, document, _ = pair.promote(EXACT)
        assert (code, outcomes(document)) == (0, {"prod/web:1": "current"})


def test_signatures_that_came_later_are_promoted(pair: Pair) -> None:
    built = image("app")
    built.push(pair.old, "apps/web", "1")
    assert pair.promote(EXACT)[0] == 0
    sign(pair.old, "apps/web", built.manifest.descriptor)
    code, document, _ = pair.promote(EXACT, "--dry-run")
    assert outcomes(document) == {"prod/web:1": "copy"}
    code, document, _ = pair.promote(EXACT)
    [found] = document["images"]
    assert (code, found["outcome"], found["referrers"]) == (0, "copied", 2)


def test_an_unchanged_tag_costs_a_head_on_each_side_and_a_list_at_the_source(pair: Pair) -> None:
    pair.push("apps/web", "1")
    pair.promote(EXACT)
    for registry in (pair.old, pair.new):
        registry.forget_requests()
    assert outcomes(pair.promote(EXACT)[1]) == {"prod/web:1": "current"}
    [web] = [line for line in asked(pair.new) if "manifests" in line]
    assert web == "HEAD prod/web/manifests/1 200"
    of_images = [line.split()[0] for line in asked(pair.old) if "/manifests/" in line]
    of_lists = [line for line in asked(pair.old) if "/referrers/" in line]
    assert (of_images, len(of_lists)) == (["HEAD"], 1), "the content of a digest is remembered"
    for registry in (pair.old, pair.new):
        registry.forget_requests()
    pair.promote(f"{EXACT}\nreferrers: false")
    assert not any("/referrers/" in line for line in asked(pair.old))


def test_referrers_can_stay_behind(pair: Pair) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    sign(pair.old, "apps/web", built.manifest.descriptor)
    code, document, _ = pair.promote(f"{EXACT}\nreferrers: false")
    assert (code, document["images"][0]["warnings"]) == (0, [])
    assert pair.new.tags("prod/web") == {"1": built.digest}


def test_signatures_are_no_images_of_their_own(pair: Pair) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    sign(pair.old, "apps/web", built.manifest.descriptor)
    assert list(outcomes(pair.promote(EXACT)[1])) == ["prod/web:1"]


@pytest.mark.parametrize("choice", ["replace", "keep", "backup"])
def test_another_image_and_other_signatures_at_the_target(pair: Pair, choice: str) -> None:
    built = image("signed")
    built.push(pair.old, "apps/web", "1")
    ours = sign(pair.old, "apps/web", built.manifest.descriptor)
    before = image("before").push(pair.new, "prod/web", "1")
    tag = signature_tag(built.digest)
    theirs = image("theirs").push(pair.new, "prod/web", tag)
    code, document, _ = pair.promote(f"{EXACT}\non_existing: {choice}")
    tags = pair.new.tags("prod/web")
    assert code == 0
    assert tags["1"] == (before if choice == "keep" else built.digest)
    assert tags[tag] == (ours if choice == "replace" else theirs)
    assert (before in set(tags.values())) == (choice != "replace")
    told = [each for each in document["images"][0]["warnings"] if "was left" in each]
    assert len(told) == (choice == "backup")


@pytest.mark.parametrize("choice", ["keep", "backup"])
def test_new_signatures_of_the_same_image_need_no_backup(pair: Pair, choice: str) -> None:
    built = image("app")
    built.push(pair.old, "apps/web", "1")
    rule = f"{EXACT}\non_existing: {choice}\nbackup: previous"
    pair.promote(rule)
    image("other").push(pair.new, "prod/web", "previous")
    signature = sign(pair.old, "apps/web", built.manifest.descriptor)
    code, document, _ = pair.promote(rule)
    assert (code, outcomes(document)) == (0, {"prod/web:1": "copied"}), errors(document)
    assert signature in pair.new.manifests("prod/web")
    assert outcomes(pair.promote(rule)[1]) == {"prod/web:1": "current"}


def test_one_platform_becomes_that_image(pair: Pair) -> None:
    built = index_of([app(), app(platform=ARM64)])
    built.push(pair.old, "apps/web", "1")
    rule = f"{EXACT}\nplatforms: [linux/arm64]"
    assert pair.promote(rule)[0] == 0
    assert pair.new.tags("prod/web") == {"1": built.images[1].digest}
    assert outcomes(pair.promote(rule)[1]) == {"prod/web:1": "current"}


def test_a_registry_that_does_not_tell_what_refers_to_an_image_is_an_error(pair: Pair) -> None:
    digest = image("app").push(pair.old, "apps/web", "1")
    pair.old.arm(Fault("GET", f"/referrers/{digest}", FaultKind.ANSWER, status=404, times=99))
    code, document, _ = pair.promote(EXACT)
    assert (code, outcomes(document)) == (1, {"prod/web:1": "failed"})
    assert "so it is not known what refers to it" in errors(document)[0]
    assert pair.new.tags("prod/web") == {}


def test_pins_are_copied_with_their_signatures(pair: Pair) -> None:
    built = image("app")
    digest = built.push(pair.old, "apps/web", "1")
    signature = sign(pair.old, "apps/web", built.manifest.descriptor)
    rule = f"to: NEW/prod/{{name}}\nmode: copy\npins: {{OLD/apps/web@{digest}: [stable]}}"
    assert pair.promote(rule)[0] == 0
    tags = pair.new.tags("prod/web")
    assert (tags["stable"], tags[signature_tag(digest)]) == (digest, signature)


def test_the_report_says_that_nothing_was_changed(pair: Pair, tmp_path: Path) -> None:
    pair.push("apps/web", "1")
    path = tmp_path / "sp.yml"
    pair.promote(EXACT, "--dry-run")
    assert run(["promote", str(path)]) == 0
    streams = pair.captured.readouterr()
    assert "copied as it is" in streams.out
