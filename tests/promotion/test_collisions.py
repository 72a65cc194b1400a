"""Images that would take a tag from each other: both sides are named, and nothing is lost.

What is refused once is refused again: a second and a third run change no tag.
"""

from __future__ import annotations

import pytest

from squashproxy.digest import Digest
from squashproxy.testing.images import BuiltImage
from tests.cleanup.room import image
from tests.promotion.pair import SIMPLE, Pair, errors, outcomes, sign

BACKUP = f"{SIMPLE}\non_existing: backup"
COPY = f"{SIMPLE}\nsigned: copy"


def runs(pair: Pair, rule: str) -> tuple[int, dict[str, str], list[str]]:
    """Exit code, outcomes and errors of a run; two more must change no tag and say the same."""
    code, document, _ = pair.promote(rule)
    tags, found, said = pair.tags, outcomes(document), errors(document)
    for _ in range(2):
        _, document, _ = pair.promote(rule)
        assert pair.tags == tags, "a second run over the same sources changed a tag"
        refused = {key for key, outcome in found.items() if outcome == "refused"}
        again = {key for key, outcome in outcomes(document).items() if outcome == "refused"}
        assert again == refused
    return code, found, said


def there(pair: Pair, *names: str) -> dict[str, Digest]:
    """Images at the target that promotion did not put there."""
    return {name: image(f"there {name}").push(pair.new, *name.rsplit(":", 1)) for name in names}


def signed(pair: Pair, tag: str, seed: str = "") -> BuiltImage:
    built = image(f"signed {tag}{seed}")
    built.push(pair.old, "apps/web", tag)
    sign(pair.old, "apps/web", built.manifest.descriptor)
    return built


def test_two_sources_for_one_target_are_both_refused_and_the_others_go_on(pair: Pair) -> None:
    for repo in ("apps/a/web", "apps/b/web", "apps/c/other"):
        pair.push(repo, "1")
    code, found, said = runs(pair, "from: OLD/apps/*\nto: NEW/prod/{name}")
    assert (code, found) == (3, {"prod/web:1": "refused", "prod/other:1": "copied"})
    assert said == [
        f"{pair.old.host}/apps/{one}/web:1 and {pair.old.host}/apps/{other}/web:1 both go to "
        f"{pair.new.host}/prod/web:1, where each run would replace one by the other; write "
        "{path}, {name} or {tag} into 'to', or leave one of them out"
        for one, other in ("ab", "ba")
    ]
    assert not any("/web/manifests" in each.path for each in pair.old.requests)


def test_many_sources_for_one_target_are_told_with_their_number(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3", "4")
    code, document, _ = pair.promote("from: OLD/apps/web\nto: NEW/prod/web:stable", "--dry-run")
    assert code == 1
    assert all(" and 2 more both go to " in each for each in errors(document))
    assert [each["outcome"] for each in document["images"]] == ["refused"] * 4


def test_one_backup_for_two_images_loses_neither(pair: Pair) -> None:
    pair.push("apps/web", "1", "2", "3")
    before = there(pair, "prod/web:1", "prod/web:2")
    code, found, said = runs(pair, f"{BACKUP}\nbackup: previous")
    assert code == 3
    assert found == {
        "prod/web:1": "refused", "prod/web:2": "refused", "prod/web:3": "copied",
    }  # fmt: skip
    assert said[0] == (
        f"the old image of {pair.new.host}/prod/web:1 would be kept as "
        f"{pair.new.host}/prod/web:previous, where the old image of {pair.new.host}/prod/web:2 "
        "would be kept; write another template into 'backup', as in '{tag}-{digest}'"
    )
    for name, digest in before.items():
        assert pair.tags[f"new {name}"] == digest
    assert "new prod/web:previous" not in pair.tags


def test_two_tags_of_one_old_image_may_share_its_backup(pair: Pair) -> None:
    pair.push("apps/web", "1", "2")
    old = image("old")
    for tag in ("1", "2"):
        old.push(pair.new, "prod/web", tag)
    assert runs(pair, f"{BACKUP}\nbackup: previous")[0] == 0
    assert pair.new.tags("prod/web")["previous"] == old.digest


def test_a_template_without_a_word_is_fine_for_one_image_once(pair: Pair) -> None:
    pair.push("apps/web", "1")
    before = there(pair, "prod/web:1")
    rule = f"{BACKUP}\nbackup: previous"
    assert runs(pair, rule)[:2] == (0, {"prod/web:1": "copied"})
    assert pair.tags["new prod/web:previous"] == before["prod/web:1"]
    promoted = pair.tags["new prod/web:1"]
    image("newer").push(pair.old, "apps/web", "1")
    code, found, said = runs(pair, rule)
    assert (code, found) == (1, {"prod/web:1": "refused"})
    assert (
        f"but that points to another image, {before['prod/web:1'][:19]}; write another" in said[0]
    )
    assert pair.tags["new prod/web:1"] == promoted
    assert pair.tags["new prod/web:previous"] == before["prod/web:1"]


@pytest.mark.parametrize("is_promoted", [True, False])
def test_a_backup_does_not_take_the_tag_of_another_image(pair: Pair, *, is_promoted: bool) -> None:
    rule = f"{BACKUP}\nbackup: '{{tag}}-old'"
    pair.push("apps/web", "1-old")
    if is_promoted:
        pair.promote(rule)
    pair.push("apps/web", "1")
    before = there(pair, "prod/web:1")
    code, found, said = runs(pair, rule)
    other = "current" if is_promoted else "refused"
    assert found == {"prod/web:1": "refused", "prod/web:1-old": other}
    assert (
        f"as {pair.new.host}/prod/web:1-old, where {pair.old.host}/apps/web:1-old goes" in said[0]
    )
    assert pair.tags["new prod/web:1"] == before["prod/web:1"]
    assert code == (3 if is_promoted else 1)


def test_a_backup_takes_no_tag_that_somebody_else_gave(pair: Pair) -> None:
    pair.push("apps/web", "1")
    before = there(pair, "prod/web:1", "prod/web:1-old")
    code, found, _ = runs(pair, f"{BACKUP}\nbackup: '{{tag}}-old'")
    assert (code, found) == (1, {"prod/web:1": "refused"})
    assert {name: pair.tags[f"new {name}"] for name in before} == before


def test_a_backup_that_is_there_already_is_no_collision(pair: Pair) -> None:
    pair.push("apps/web", "1")
    for tag in ("1", "1-old"):
        image("old").push(pair.new, "prod/web", tag)
    assert runs(pair, f"{BACKUP}\nbackup: '{{tag}}-old'")[:2] == (0, {"prod/web:1": "copied"})


def test_an_original_is_not_written_over_the_target_of_another_image(pair: Pair) -> None:
    signed(pair, "1")
    pair.push("apps/web", "1-original")
    code, found, said = runs(pair, COPY)
    assert (code, found) == (1, {"prod/web:1": "refused", "prod/web:1-original": "refused"})
    web = f"{pair.old.host}/apps/web"
    place = f"{pair.new.host}/prod/web:1-original"
    advice = "write another template into 'originals', as in '{tag}-{digest}'"
    assert said == [
        f"the original of {web}:1 would go to {place}, where {web}:1-original goes; {advice}",
        f"{web}:1-original goes to {place}, where the original of {web}:1 is kept; {advice}",
    ]


def test_an_original_that_is_there_is_not_replaced_by_a_later_target(pair: Pair) -> None:
    original = signed(pair, "1")
    assert runs(pair, COPY)[:2] == (0, {"prod/web:1": "copied"})
    pair.push("apps/web", "1-original")
    code, found, said = runs(pair, COPY)
    assert (code, found) == (3, {"prod/web:1": "current", "prod/web:1-original": "refused"})
    assert "where the original of" in said[0]
    assert pair.tags["new prod/web:1-original"] == original.digest


def test_a_target_that_is_there_is_not_replaced_by_a_later_original(pair: Pair) -> None:
    pair.push("apps/web", "1-original")
    assert runs(pair, COPY)[0] == 0
    promoted = pair.tags["new prod/web:1-original"]
    signed(pair, "1")
    code, found, _ = runs(pair, COPY)
    assert (code, found) == (3, {"prod/web:1": "refused", "prod/web:1-original": "current"})
    assert pair.tags["new prod/web:1-original"] == promoted


def test_what_this_rule_promoted_before_is_not_replaced_by_an_original(pair: Pair) -> None:
    pair.push("apps/web", "1-original")
    pair.promote(COPY)
    promoted = pair.tags["new prod/web:1-original"]
    pair.old._store.delete_manifest("apps/web", "1-original")
    signed(pair, "1")
    code, found, said = runs(pair, COPY)
    assert (code, found) == (1, {"prod/web:1": "refused"})
    assert f"which this rule promoted from {pair.old.host}/apps/web:1-original; write" in said[0]
    assert pair.tags["new prod/web:1-original"] == promoted


def test_two_originals_do_not_share_a_place(pair: Pair) -> None:
    signed(pair, "1")
    signed(pair, "2")
    code, found, said = runs(pair, f"{COPY}\noriginals: original")
    assert (code, found) == (1, {"prod/web:1": "refused", "prod/web:2": "refused"})
    assert "where the original of" in said[0]
    assert pair.new.tags("prod/web") == {}


def test_two_tags_of_one_signed_image_share_their_original(pair: Pair) -> None:
    original = signed(pair, "1")
    original.push(pair.old, "apps/web", "2")
    assert runs(pair, f"{COPY}\noriginals: original")[0] == 0
    assert pair.tags["new prod/web:original"] == original.digest


def test_an_original_and_a_backup_of_one_image_do_not_share_a_place(pair: Pair) -> None:
    signed(pair, "1")
    before = there(pair, "prod/web:1")
    rule = f"{COPY}\non_existing: backup\noriginals: 'x-{{tag}}'\nbackup: x-1"
    code, found, said = runs(pair, rule)
    assert (code, found) == (1, {"prod/web:1": "refused"})
    assert f"would be kept as {pair.new.host}/prod/web:x-1, where the original of" in said[0]
    assert pair.new.tags("prod/web") == {"1": before["prod/web:1"]}


@pytest.mark.parametrize("choice", ["replace", "keep", "backup"])
def test_an_original_whose_place_is_taken_follows_on_existing(pair: Pair, choice: str) -> None:
    original = signed(pair, "1")
    old = there(pair, "prod/web:1-original")["prod/web:1-original"]
    code, found, said = runs(pair, f"{COPY}\non_existing: {choice}")
    tags = pair.new.tags("prod/web")
    if choice == "keep":
        assert (code, found) == (1, {"prod/web:1": "refused"})
        assert f"points to another image, {old[:19]}, and on_existing: keep leaves it" in said[0]
        assert tags == {"1-original": old}
        return
    assert (code, found) == (0, {"prod/web:1": "copied"})
    assert tags["1-original"] == original.digest
    assert (tags.get(f"1-original-{old[7:19]}") == old) is (choice == "backup")


def test_an_original_whose_own_backup_is_taken_is_refused(pair: Pair) -> None:
    signed(pair, "1")
    before = there(pair, "prod/web:1-original", "prod/web:1-original-old")
    rule = f"{COPY}\non_existing: backup\nbackup: '{{tag}}-old'"
    code, found, said = runs(pair, rule)
    assert (code, found) == (1, {"prod/web:1": "refused"})
    assert f"the old image of {pair.new.host}/prod/web:1-original would be kept as" in said[0]
    assert {name: pair.tags[f"new {name}"] for name in before} == before


def test_a_signed_image_that_is_pushed_again_takes_its_original_along(pair: Pair) -> None:
    signed(pair, "1")
    runs(pair, COPY)
    again = signed(pair, "1", "again")
    assert runs(pair, COPY)[:2] == (0, {"prod/web:1": "copied"})
    assert pair.tags["new prod/web:1-original"] == again.digest


def test_a_template_that_is_too_long_for_one_tag_refuses_that_one_alone(pair: Pair) -> None:
    long = "1" * 125
    pair.push("apps/web", "1", long)
    there(pair, "prod/web:1", f"prod/web:{long}")
    code, found, said = runs(pair, f"{BACKUP}\nbackup: '{{tag}}-old'")
    assert (code, found) == (3, {"prod/web:1": "copied", f"prod/web:{long}": "refused"})
    assert "is not a tag" in said[0]


def test_what_is_pushed_after_planning_is_kept_where_the_rule_keeps(pair: Pair) -> None:
    """The images go one after the other; the first one's hook pushes to the second one's target."""
    pair.push("apps/web", "1", "2")
    theirs, hooks = pair.pushing("prod/web:2")
    rule = f"{SIMPLE}\non_existing: keep\n{hooks}"
    code, document, _ = pair.promote_all({"apps": rule}, jobs=1)
    assert (code, outcomes(document)) == (0, {"prod/web:1": "copied", "prod/web:2": "kept"})
    assert pair.new.tags("prod/web")["2"] == theirs


def test_a_backup_whose_tag_is_taken_after_planning_is_not_written(pair: Pair) -> None:
    pair.push("apps/web", "1")
    before = there(pair, "prod/web:1")
    theirs, hooks = pair.pushing("prod/web:1-old")
    code, document, _ = pair.promote(f"{BACKUP}\nbackup: '{{tag}}-old'\n{hooks}")
    assert (code, outcomes(document)) == (1, {"prod/web:1": "failed"})
    assert "would be kept as 1-old, but that tag points to another image" in errors(document)[0]
    assert pair.new.tags("prod/web") == {"1": before["prod/web:1"], "1-old": theirs}
