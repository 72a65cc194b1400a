"""Mirrored deletions: only images that are certainly gone at the source."""

from __future__ import annotations

from squashproxy.testing import index_of
from tests.cleanup.room import image, pulls_whole
from tests.promotion.pair import SIMPLE, Pair

MIRROR = f"{SIMPLE}\nmirror_deletions: {{max_deletions: 5}}"


def test_a_tag_that_the_source_has_and_does_not_list_is_not_lost(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    pair.promote(MIRROR)
    pair.old.hide_tag("apps/web", "2")
    code, document, _ = pair.promote(MIRROR)
    assert code == 3
    assert set(pair.new.tags("prod/web")) == {"1", "2"}
    (problem,) = document["problems"]
    assert "apps/web:2, although it is there, so its list is not whole" in problem


def test_what_another_rule_put_there_as_well_stays(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    other = "from: OLD/apps/*\nto: NEW/prod/{repo}\ntags: {include: ['2']}"
    rules = {"apps": MIRROR, "twos": other}
    pair.promote_all(rules)
    pair.old.drop_tag("apps/web", "2")
    _, document, _ = pair.promote_all(rules)
    assert set(pair.new.tags("prod/web")) == {"1", "2"}
    assert document["mirrored"] == []


def test_all_tags_of_an_image_count_against_the_bound(pair: Pair) -> None:
    for tag in ("1", *(f"same{number}" for number in range(6))):
        image("shared" if tag != "1" else "one").push(pair.old, "apps/web", tag)
    pair.promote(MIRROR)
    for number in range(6):
        pair.old.drop_tag("apps/web", f"same{number}")
    code, document, _ = pair.promote(MIRROR)
    assert code == 3
    assert "more than its max_deletions of 5" in document["problems"][0]
    assert len(pair.new.tags("prod/web")) == 7


def test_what_somebody_needs_at_the_target_meanwhile_stays(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    pair.promote(MIRROR)
    gone = pair.new.tags("prod/web")["2"]
    pair.old.drop_tag("apps/web", "2")
    built = index_of([image("other")])

    def need(method: str, path: str) -> None:
        if method == "HEAD" and path.endswith("/manifests/2"):
            raw = pair.new.manifest("prod/web", gone)
            pair.new.put_manifest("prod/web", "stable", raw.data, raw.media_type)
            built.push(pair.new, "prod/web", "new")

    pair.new.before_each(need)
    pair.promote(MIRROR)
    tags = pair.new.tags("prod/web")
    assert tags["stable"] == gone
    assert pulls_whole(pair.new, gone, "prod/web")


def test_an_image_dated_in_the_future_is_not_the_newest(pair: Pair) -> None:
    image("old", "2026-01-01T00:00:00Z").push(pair.old, "apps/web", "old")
    image("new", "2026-02-01T00:00:00Z").push(pair.old, "apps/web", "new")
    image("wrong", "2099-01-01T00:00:00Z").push(pair.old, "apps/web", "wrong")
    _, document, _ = pair.promote(f"{SIMPLE}\ntags: {{newest: 1}}")
    assert set(pair.new.tags("prod/web")) == {"new"}
    (warning,) = document["warnings"]
    assert "apps/web:wrong: the date lies in the future, so it counts as unknown" in warning
