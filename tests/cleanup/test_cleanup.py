"""Which images a cleanup deletes, which it keeps, and what a push meanwhile changes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cleanup.apply.undo import undo
from squashproxy.cleanup.results import StepOutcome
from squashproxy.errors import PlanRefused, UsageError
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.mediatypes import Family
from squashproxy.testing import Fault, FaultKind, LayerBuilder, artifact_manifest, index_of
from tests.cleanup.room import DAY, Room, image, pulls_whole, rule
from tests.pipeline.images import image_of, noise

DELETE = "action: delete\nkeep: {tags: [keep]}"


def sign(room: Room, subject: Descriptor, tag: str | None = None) -> str:
    """Put a signature of a manifest; by its subject, or under cosign's tag."""
    blob = room.registry.put_blob("app", f"signature of {subject.digest}".encode())
    config = Descriptor(
        "application/vnd.oci.empty.v1+json", room.registry.put_blob("app", b"{}"), 2
    )
    layer = Descriptor("text/plain", blob, len(f"signature of {subject.digest}"))
    raw = artifact_manifest("text/plain", [layer], config=config, subject=None if tag else subject)
    return room.registry.put_manifest("app", tag, raw.data, raw.media_type)


def test_a_tag_that_nothing_keeps_goes_with_its_image(room: Room) -> None:
    kept = image("kept").push(room.registry, "app", "keep")
    gone = image("gone").push(room.registry, "app", "old")
    result = room.clean(DELETE)
    assert room.registry.tags("app") == {"keep": kept}
    assert gone not in room.registry.manifests("app")
    assert pulls_whole(room.registry, kept)
    assert result.count(StepOutcome.DELETED) == 1


def test_a_plan_changes_nothing(room: Room) -> None:
    image("gone").push(room.registry, "app", "old")
    room.registry.forget_requests()
    assert room.plan(DELETE).deletions == 1
    assert {each.method for each in room.registry.requests} <= {"GET", "HEAD"}


def test_a_digest_that_a_kept_tag_shares_loses_only_the_other_tag(room: Room) -> None:
    shared = image("shared").push(room.registry, "app", "keep")
    image("shared").push(room.registry, "app", "old")
    room.clean(DELETE)
    assert room.registry.tags("app") == {"keep": shared}
    assert pulls_whole(room.registry, shared)


def test_where_no_tag_goes_alone_the_tag_stays_and_says_why(rooms: Callable[..., Room]) -> None:
    room = rooms()
    shared = image("shared").push(room.registry, "app", "keep")
    image("shared").push(room.registry, "app", "old")
    room.registry.arm(Fault("DELETE", "/manifests/old", FaultKind.ANSWER, status=405, times=9))
    result = room.clean(DELETE)
    assert room.registry.tags("app") == {"keep": shared, "old": shared}
    assert [step.outcome for step in result.steps] == ["left"]
    assert "deletes no tag alone" in result.steps[0].why


def test_a_platform_of_a_kept_index_stays_though_its_own_tag_goes(room: Room) -> None:
    one, two = image("amd"), image("arm")
    index = index_of([one, two]).push(room.registry, "app", "keep")
    one.push(room.registry, "app", "old")
    room.clean(DELETE)
    assert pulls_whole(room.registry, index)
    assert set(room.registry.tags("app")) == {"keep"}


def test_an_index_goes_before_its_platforms_and_its_signatures_go_too(room: Room) -> None:
    built = index_of([image("a"), image("b")])
    built.push(room.registry, "app", "old")
    image("kept").push(room.registry, "app", "keep")
    sign(room, built.manifest.descriptor)
    tag = built.digest.replace(":", "-") + ".sig"
    sign(room, built.manifest.descriptor, tag)
    room.clean(DELETE)
    assert set(room.registry.tags("app")) == {"keep"}
    assert len(room.registry.manifests("app")) == 1
    deleted = [
        each.path.rpartition("/")[2] for each in room.registry.requests if each.method == "DELETE"
    ]
    assert deleted.index(built.digest) < min(deleted.index(each.digest) for each in built.images)


def test_signatures_of_what_stays_stay(room: Room) -> None:
    kept = image("kept")
    kept.push(room.registry, "app", "keep")
    image("gone").push(room.registry, "app", "old")
    referrer = sign(room, kept.manifest.descriptor)
    tag = kept.digest.replace(":", "-") + ".sig"
    signature = sign(room, kept.manifest.descriptor, tag)
    room.clean(DELETE)
    assert {referrer, signature} <= room.registry.manifests("app")
    assert set(room.registry.tags("app")) == {"keep", tag}


@pytest.mark.parametrize(
    ("keep", "stays"),
    {
        "a glob": ("tags: [v2*]", {"v2.0"}),
        "an expression": ("tags: ['/v[12]\\.0/']", {"v1.0", "v2.0"}),
        "a range": ("semver: '>=1.5'", {"v2.0", "v3.0"}),
        "the newest": ("newest: 1", {"v3.0"}),
        "the newest of each group": ('newest: 1, group: "^(.).*"', {"v3.0", "b-1"}),
        "the young": ("younger_than: 20000d", {"v1.0", "v2.0", "v3.0", "b-1"}),
    }.values(),
)
def test_what_keeps(room: Room, keep: str, stays: set[str]) -> None:
    for number, tag in enumerate(("b-1", "v1.0", "v2.0", "v3.0"), 1):
        image(tag, f"2026-0{number}-01T00:00:00Z").push(room.registry, "app", tag)
    plan = room.plan(f"action: delete\nkeep: {{{keep}}}")
    assert {each.tag for each in plan.repositories[0].kept} == stays


def test_what_has_no_date_is_neither_old_nor_counted(room: Room) -> None:
    image("undated", "1970-01-01T00:00:00Z").push(room.registry, "app", "undated")
    image("dated").push(room.registry, "app", "dated")
    plan = room.plan("action: delete\nkeep: {newest: 1}")
    assert {each.tag for each in plan.repositories[0].kept} == {"undated", "dated"}


def test_what_runs_stays(room: Room) -> None:
    one = image("one").push(room.registry, "app", "one")
    image("two").push(room.registry, "app", "two")
    image("three").push(room.registry, "app", "three")
    pods = room.folder / "pods.json"
    host = room.registry.host
    pods.write_text(
        f'{{"items": [{{"spec": {{"containers": [{{"image": "{host}/app:two"}}]}}, "status": '
        f'{{"s": [{{"imageID": "docker-pullable://{host}/app@{one}"}}, {{"imageID": "sha256:1"}}]}}'
        "}]}"
    )
    plan = room.plan(f"action: delete\nkeep: {{in_use: ['{pods}']}}")
    assert {each.tag for each in plan.repositories[0].kept} == {"one", "two"}


@pytest.mark.parametrize("text", ["", "[]", '{"items": []}', "not a Reference!", "{"])
def test_a_list_that_protects_nothing_stops_the_rule(room: Room, text: str) -> None:
    image("one").push(room.registry, "app", "one")
    (room.folder / "list").write_text(text)
    with pytest.raises(UsageError, match="list"):
        room.plan(f"action: delete\nkeep: {{in_use: ['{room.folder}/list']}}")


@pytest.mark.parametrize("path", ["tags/list", "/manifests/old", "/referrers/"])
def test_an_error_while_looking_stops_the_repository(room: Room, path: str) -> None:
    image("gone").push(room.registry, "app", "old")
    room.registry.arm(Fault("GET", path, FaultKind.ANSWER, status=500, times=99))
    plan = room.plan(DELETE)
    assert plan.deletions == 0
    assert "HTTP 500" in (plan.repositories[0].problem or "")
    result = room.apply(plan)
    assert result.problem is not None
    assert set(room.registry.tags("app")) == {"old"}


def test_a_plan_above_its_bound_is_refused(room: Room) -> None:
    for number in range(3):
        image(number).push(room.registry, "app", f"old{number}")
    plan = room.plan(f"{DELETE}\nmax_deletions: 2")
    with pytest.raises(PlanRefused, match="3 tags and manifests"):
        room.apply(plan)
    assert len(room.registry.tags("app")) == 3


@pytest.mark.parametrize("change", ["a new tag", "a moved tag", "a kept tag that is gone"])
def test_a_repository_that_moved_since_a_plan_was_saved_is_left(room: Room, change: str) -> None:
    image("kept").push(room.registry, "app", "keep")
    image("gone").push(room.registry, "app", "old")
    plan = room.plan(DELETE)
    if change == "a kept tag that is gone":
        room.client.repository(room.repository).delete_manifest("keep")
    else:
        image("pushed").push(room.registry, "app", "new" if change == "a new tag" else "old")
    before = room.registry.tags("app")
    result = room.apply_saved(plan, DELETE)
    assert "moved since it was planned" in (result.problem or "")
    assert room.registry.tags("app") == before


def test_a_kept_tag_that_is_moved_back_to_an_image_keeps_it(room: Room) -> None:
    """A rollback while a cleanup runs; it is seen within seconds, not at once."""
    image("kept").push(room.registry, "app", "keep")
    for number in range(3):
        image(number).push(room.registry, "app", f"old{number}")
    plan = room.plan(DELETE)
    last = plan.repositories[0].remove[-1]

    def roll_back(_: str) -> None:
        raw = room.registry.manifest("app", last.digest)
        room.registry.put_manifest("app", "keep", raw.data, raw.media_type)
        room.clock += 5

    room.on_step = roll_back
    result = room.apply(plan)
    assert room.registry.tags("app") == {"keep": last.digest, last.tags[0]: last.digest}
    assert [step.outcome for step in result.steps] == ["deleted", "deleted", "left"]
    assert pulls_whole(room.registry, last.digest)


def test_a_push_between_two_deletions_wins(room: Room) -> None:
    for number in range(3):
        image(number).push(room.registry, "app", f"old{number}")
    plan = room.plan(DELETE)
    last = plan.repositories[0].remove[-1]
    pushed = image("pushed")
    room.on_step = lambda _: pushed.push(room.registry, "app", last.tags[0])  # type: ignore[assignment]
    result = room.apply(plan)
    assert room.registry.tags("app") == {last.tags[0]: pushed.digest}
    assert [step.outcome for step in result.steps] == ["deleted", "deleted", "left"]


def test_a_new_tag_between_two_deletions_keeps_its_image(room: Room) -> None:
    for number in range(3):
        image(number).push(room.registry, "app", f"old{number}")
    plan = room.plan(DELETE)
    last = plan.repositories[0].remove[-1].digest
    raw = room.registry.manifest("app", last)
    room.on_step = lambda _: room.registry.put_manifest("app", "new", raw.data, raw.media_type)  # type: ignore[assignment]
    result = room.apply(plan)
    assert (result.problem, result.count(StepOutcome.LEFT)) == (None, 1)
    assert room.registry.tags("app")["new"] == last
    assert pulls_whole(room.registry, last)


def test_a_run_that_broke_off_is_taken_up_again(room: Room) -> None:
    for number in range(4):
        image(number).push(room.registry, "app", f"old{number}")
    plan = room.plan(DELETE)
    room.registry.arm(Fault("DELETE", "/manifests/", FaultKind.ANSWER, status=500, times=5, skip=2))
    assert room.apply(plan).problem is not None
    assert len(room.registry.tags("app")) == 2
    result = room.apply(plan)
    assert (result.problem, result.count(StepOutcome.GONE), result.count(StepOutcome.DELETED)) == (
        None,
        2,
        2,
    )
    assert room.registry.tags("app") == {}


def test_what_lost_its_tag_goes_after_its_grace(room: Room) -> None:
    old = image("old").push(room.registry, "app", "latest")
    text = "action: delete\nkeep: {tags: [latest]}\nuntagged: {older_than: 7d}"
    room.clean(text)
    new = image("new").push(room.registry, "app", "latest")
    room.clean(text)
    room.clock += 6 * DAY
    room.clean(text)
    assert old in room.registry.manifests("app")
    room.clock += 2 * DAY
    room.clean(text)
    assert room.registry.manifests("app") == {new}


def test_what_went_comes_back(room: Room) -> None:
    built = index_of([image("a"), image("b")])
    built.push(room.registry, "app", "old")
    before = room.registry.tags("app")
    room.clean(DELETE)
    assert room.registry.manifests("app") == frozenset()
    result = undo(room.client, read_log(room.logs[0]))
    assert (result.failures, room.registry.tags("app")) == (0, before)
    assert pulls_whole(room.registry, built.digest)


def test_what_lost_its_blobs_does_not_come_back_and_says_so(room: Room) -> None:
    built = image("gone")
    built.push(room.registry, "app", "old")
    room.clean(DELETE)
    for blob in built.blobs:
        room.registry._store.delete_blob("app", blob)
    result = undo(room.client, read_log(room.logs[0]))
    assert result.failures == 1
    assert "garbage collection" in result.steps[0].why


def test_squash_in_place_keeps_every_tag_and_leaves_the_signed(room: Room) -> None:
    plain = image("plain").push(room.registry, "app", "one")
    image("plain").push(room.registry, "app", "two")
    signed = image("signed")
    signed.push(room.registry, "app", "signed")
    sign(room, signed.manifest.descriptor)
    result = room.clean("action: squash")
    tags = room.registry.tags("app")
    assert tags["signed"] == signed.digest
    assert tags["one"] == tags["two"] != plain
    assert result.count(StepOutcome.SQUASHED) == 2
    assert room.plan("action: squash").deletions == 0
    room.clock += 8 * DAY
    room.clean("action: squash\nuntagged: {older_than: 7d}")
    assert plain not in room.registry.manifests("app")
    assert pulls_whole(room.registry, tags["one"])


def test_squash_in_place_counts_layers_that_images_share_once(room: Room) -> None:
    shared = [LayerBuilder().file(f"shared{seed}", noise(9000, seed)) for seed in (1, 2)]
    plain: dict[str, int] = {}
    for tag in ("one", "two"):
        built = image_of(*shared, LayerBuilder().file(tag, tag.encode()))
        built.push(room.registry, "app", tag)
        plain |= {layer.digest: layer.size for layer in built.layers}
    result = room.clean("action: squash")
    held: dict[str, int] = {}
    for digest in room.registry.tags("app").values():
        layers = json.loads(room.registry.manifest("app", digest).data)["layers"]
        held |= {layer["digest"]: layer["size"] for layer in layers}
    assert (result.distinct_before, result.distinct_after) == (
        sum(plain.values()),
        sum(held.values()),
    )
    assert result.distinct_after > result.distinct_before


def test_a_push_while_an_image_is_squashed_wins(room: Room) -> None:
    image("old").push(room.registry, "app", "one")
    plan = room.plan("action: squash")
    pushed = image("pushed")
    room.registry.arm(Fault("GET", "/blobs/", FaultKind.ANSWER, status=503, times=1))
    object.__setattr__(
        room.client._retry, "sleep", lambda _: pushed.push(room.registry, "app", "one")
    )
    result = room.apply(plan)
    assert room.registry.tags("app") == {"one": pushed.digest}
    assert [step.outcome for step in result.steps] == ["left"]


def test_a_registry_that_deletes_nothing_says_so(rooms: Callable[..., Room]) -> None:
    room = rooms(deletes=False)
    image("old").push(room.registry, "app", "old")
    result = room.clean(DELETE)
    assert "deletes nothing (HTTP 405)" in (result.problem or "")


def test_a_registry_that_is_down_stops_no_other(room: Room) -> None:
    image("old").push(room.registry, "app", "old")
    text = rule(
        'repositories: ["127.0.0.1:9/*", "HOST/app"]\naction: delete\nkeep: {tags: [keep]}',
        room.registry.host,
    )
    planner = room.planner()
    down, up = planner.plan(text).repositories
    assert "cannot reach 127.0.0.1:9" in (down.problem or "")
    assert (up.problem, up.deletions) == (None, 1)


def test_a_push_to_one_tag_of_an_image_moves_no_other(room: Room) -> None:
    image("old").push(room.registry, "app", "one")
    image("old").push(room.registry, "app", "two")
    image("first").push(room.registry, "app", "a")
    plan = room.plan("action: squash")
    pushed = image("pushed")
    order = [squash.tags for squash in plan.repositories[0].squash]
    assert order[0] == ("a",)
    room.on_step = lambda _: pushed.push(room.registry, "app", "one")  # type: ignore[assignment]
    room.apply(plan)
    tags = room.registry.tags("app")
    assert tags["one"] == pushed.digest
    assert tags["two"] not in (pushed.digest, image("old").digest)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_after_a_push_keeps_its_signatures(room: Room, seed: int) -> None:
    built = image(f"signed {seed}")
    built.push(room.registry, "app", "one")
    built.push(room.registry, "app", "two")
    tag = built.digest.replace(":", "-") + ".sig"
    signatures = {
        sign(room, built.manifest.descriptor),
        sign(room, built.manifest.descriptor, tag),
    }
    plan = room.plan(DELETE)
    shift = image("pushed")
    acts = iter([lambda: shift.push(room.registry, "app", "one")])

    def push_once(method: str, path: str) -> None:
        if method == "HEAD" and path.endswith("/manifests/one") and room.logs:
            next(acts, lambda: None)()

    room.registry.before_each(push_once)
    result = room.apply(plan)
    assert result.count(StepOutcome.DELETED) == 0
    assert room.registry.tags("app")["two"] == built.digest
    assert signatures <= room.registry.manifests("app")
    assert tag in room.registry.tags("app")


def test_a_problem_of_the_plan_stops_no_other_repository(room: Room) -> None:
    image("old").push(room.registry, "app", "old")
    text = rule(
        'repositories: ["127.0.0.1:9/*", "HOST/app"]\naction: delete\nkeep: {tags: [keep]}',
        room.registry.host,
    )
    planner = room.planner()
    down, up = room.apply_all(planner.plan(text))
    assert "cannot reach" in (down.problem or "")
    assert (up.problem, up.count(StepOutcome.DELETED)) == (None, 1)


@pytest.mark.parametrize("family", Family)
def test_a_squash_that_broke_off_is_taken_up_again(room: Room, family: Family) -> None:
    for number in range(2):
        image(number, family=family).push(room.registry, "app", f"v{number}")
    plan = room.plan("action: squash")
    room.registry.arm(Fault("PUT", "/manifests/v1", FaultKind.ANSWER, status=500, times=5))
    assert room.apply(plan).problem is not None
    result = room.apply(plan)
    assert (result.problem, [step.outcome for step in result.steps]) == (None, ["gone", "squashed"])


def test_a_date_in_the_future_is_no_date_and_is_told(room: Room) -> None:
    """Its age is unknown: the image stays, and does not count among the newest."""
    for tag, date in (("old", "2026-01-01"), ("new", "2026-02-01"), ("wrong", "2099-01-01")):
        image(tag, f"{date}T00:00:00Z").push(room.registry, "app", tag)
    plan = room.plan("action: delete\nkeep: {newest: 1}")
    (repository,) = plan.repositories
    assert {each.tag: each.why for each in repository.kept} == {
        "new": "it is among the newest 1",
        "wrong": "nobody knows when it was made",
    }
    (warning,) = (each for each in plan.warnings if "future" in each)
    assert ":wrong: the date lies in the future" in warning


def test_a_kept_tag_that_the_registry_does_not_list_stops_the_repository(room: Room) -> None:
    image("kept").push(room.registry, "app", "keep")
    image("old").push(room.registry, "app", "old")
    room.registry.hide_tag("app", "keep")
    (plan,) = room.plan(DELETE).repositories
    assert plan.deletions == 0
    assert "does not list the tag keep" in (plan.problem or "")
    assert room.clean(DELETE).problem is not None
    assert len(room.registry.tags("app")) == 2


@pytest.mark.parametrize("tag", ["../../other/manifests/keep", "a b", "x" * 129, "\x1b[2J", "-a"])
def test_a_list_with_an_invalid_tag_deletes_nothing(room: Room, tag: str) -> None:
    """A name that is no tag could lead a request anywhere."""
    image("old").push(room.registry, "app", "old")
    image("odd").push(room.registry, "app", tag)
    (plan,) = room.plan(DELETE).repositories
    assert plan.deletions == 0
    assert "which is no tag" in (plan.problem or "")
    assert (plan.problem or "").isprintable()
