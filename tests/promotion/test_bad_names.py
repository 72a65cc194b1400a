"""A registry may list anything: an invalid name is the problem of that image alone."""

from __future__ import annotations

import json

import pytest

from squashproxy.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from squashproxy.testing import FakeRegistry, Fault, FaultKind
from tests.cleanup.room import image
from tests.promotion.pair import SIMPLE, Pair, outcomes

NEWEST = f"{SIMPLE}\ntags: {{newest: 9}}"


def nested(registry: FakeRegistry, repo: str, tag: str, depth: int) -> None:
    """An image in an index in an index, and so on."""
    raw = image("nested").manifest
    image("nested").push(registry, repo, None)
    digest, media_type, size = raw.descriptor.digest, raw.media_type, len(raw.data)
    for number in range(depth):
        entry = {"mediaType": media_type, "digest": digest, "size": size}
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        data = json.dumps(document).encode()
        name = tag if number == depth - 1 else None
        digest, media_type, size = (
            registry.put_manifest(repo, name, data, OCI_INDEX), OCI_INDEX, len(data),
        )  # fmt: skip


TAGS = {
    "a blank": "a b",
    "a way out": "../../other/manifests/1",
    "a query": "1?x=y",
    "a line feed": "1\n2",
    "letters of other alphabets": "ü",
    "half a character": "\ud800",
    "nothing": "",
    "a hyphen first": "-1",
    "a length that no tag has": "1" * 200,
    "braces": "{tag}",
}


@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
def test_a_name_that_is_no_tag_is_left_out_and_told(pair: Pair, tag: str) -> None:
    pair.push("apps/web", "1")
    pair.push("apps/db", "1")
    image("bad").push(pair.old, "apps/web", tag)
    code, document, err = pair.promote(SIMPLE)
    assert (code, outcomes(document)) == (3, {"prod/web:1": "copied", "prod/db:1": "copied"})
    [problem] = document["problems"]
    assert f"{pair.old.host}/apps/web lists 1 names that are no tags, such as " in problem
    assert "Traceback" not in err
    assert not any("other" in each.path for each in pair.old.requests)


REPOSITORIES = {
    "a way out": "apps/../etc",
    "capitals": "apps/A",
    "a blank": "apps/a b",
    "an empty folder": "apps//x",
    "letters of other alphabets": "apps/ü",
    "a query": "apps/x?y",
    "a length that no name has": f"apps/{'a' * 300}",
}


@pytest.mark.parametrize("repo", REPOSITORIES.values(), ids=REPOSITORIES)
def test_a_name_that_is_no_repository_is_left_out_and_told(pair: Pair, repo: str) -> None:
    pair.push("apps/web", "1")
    image("bad").push(pair.old, repo, "1")
    code, document, err = pair.promote(SIMPLE)
    assert (code, outcomes(document)) == (0, {"prod/web:1": "copied"})
    assert any("which no repository can be called" in each for each in document["warnings"])
    assert "Traceback" not in err
    assert {each.path.partition("?")[0] for each in pair.old.requests if "/tags/" in each.path} == {
        "/v2/apps/web/tags/list"
    }


def test_a_tag_whose_target_is_too_long_is_told_and_the_others_go_on(pair: Pair) -> None:
    pair.push("apps/web", "1", "2" * 125, "3" * 125)
    code, document, _ = pair.promote("from: OLD/apps/*\nto: 'NEW/prod/{repo}:{tag}-small'")
    assert (code, outcomes(document)) == (3, {"prod/web:1-small": "copied"})
    [problem] = document["problems"]
    assert "is no target for" in problem
    assert problem.endswith(" (and 1 more)")


def test_a_pin_whose_target_is_too_long_is_told_and_the_others_go_on(pair: Pair) -> None:
    pair.push("web", "1")
    pins = f'{{"OLD/web@{pair.old.tags("web")["1"]}": ["1", "{"2" * 125}"]}}'
    code, document, _ = pair.promote(f"to: 'NEW/web:{{tag}}-small'\npins: {pins}")
    assert (code, outcomes(document)) == (3, {"web:1-small": "copied"})


def spoil(pair: Pair, kind: str) -> None:
    """Make an image of `apps/web:2` that cannot be read."""
    digest = pair.old.tags("apps/web")["2"]
    manifest = json.loads(pair.old.manifest("apps/web", digest).data)
    if kind == "nested":
        nested(pair.old, "apps/web", "2", 600)
    elif kind == "no layers":
        pair.old.put_manifest("apps/web", "2", b'{"schemaVersion": 2}', OCI_MANIFEST)
    elif kind == "damaged config":
        pair.old.arm(spoilt(f"/blobs/{manifest['config']['digest']}", FaultKind.CORRUPT))
    elif kind == "cut manifest":
        pair.old.arm(spoilt(f"/manifests/{digest}", FaultKind.CUT))
    else:
        pair.old.arm(Fault("*", "web/manifests/2", FaultKind.ANSWER, status=403, times=99))


def spoilt(path: str, kind: FaultKind) -> Fault:
    return Fault("GET", path, kind, after_bytes=3, times=99)


@pytest.mark.parametrize("rule", [SIMPLE, NEWEST], ids=["without dates", "with dates"])
@pytest.mark.parametrize(
    "kind", ["damaged config", "cut manifest", "no layers", "nested", "refused"]
)
def test_an_image_that_cannot_be_read_is_its_own_problem(pair: Pair, rule: str, kind: str) -> None:
    pair.push("apps/web", "1", "2")
    pair.push("apps/db", "1")
    spoil(pair, kind)
    code, document, err = pair.promote(rule)
    assert code == 3
    found = outcomes(document)
    assert found.pop("prod/web:2", "failed") == "failed"
    assert found == {"prod/web:1": "copied", "prod/db:1": "copied"}
    assert len(document["problems"]) == (rule is NEWEST)
    assert "Traceback" not in err
    assert set(pair.new.tags("prod/web")) == {"1"}


def test_a_repository_that_cannot_be_listed_is_its_own_problem(pair: Pair) -> None:
    pair.push("apps/web", "1")
    pair.push("apps/db", "1")
    pair.old.arm(Fault("GET", "apps/web/tags", FaultKind.ANSWER, status=403, times=99))
    code, document, _ = pair.promote(SIMPLE)
    assert (code, outcomes(document)) == (3, {"prod/db:1": "copied"})
    assert "apps/web" in document["problems"][0]


def test_dates_that_a_registry_may_tell_later_stop_their_repository_alone(pair: Pair) -> None:
    """If they were ignored, another image would count as one of the newest."""
    pair.push("apps/web", "1", "2")
    pair.push("apps/db", "1")
    pair.old.arm(Fault("*", "web/manifests/2", FaultKind.ANSWER, status=503, times=99))
    code, document, _ = pair.promote(f"{SIMPLE}\ntags: {{newest: 1}}")
    assert (code, outcomes(document)) == (3, {"prod/db:1": "copied"})
