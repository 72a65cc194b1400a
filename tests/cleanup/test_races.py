"""Others push, retag and delete while a cleanup deletes: what they need is there in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from string import ascii_lowercase

import pytest

from squashproxy.cleanup.apply.audit_log import read_log
from squashproxy.cleanup.apply.undo import undo
from squashproxy.cleanup.results import RepositoryResult, StepOutcome
from squashproxy.digest import Digest
from squashproxy.oci import mediatypes
from squashproxy.oci.descriptor import Descriptor
from squashproxy.oci.manifest import RawManifest, encode_json
from squashproxy.registry.referrers import fallback_tag
from squashproxy.testing import Fault, FaultKind, TagDeletion, artifact_manifest, index_of
from squashproxy.testing.images import BuiltImage, BuiltIndex
from tests.cleanup.adversary import EMPTY
from tests.cleanup.room import Room, image, pulls_whole

RULE = "action: delete\nkeep: {tags: ['keep*']}"

FEW, MANY = 6, 100
"""Below and above the number of tags that are all looked at before every step."""


def fill(room: Room, count: int) -> list[BuiltImage]:
    """`keep`, and so many old images; in the order in which a plan deletes them."""
    image("kept").push(room.registry, "app", "keep")
    built = {}
    for number in range(count):
        each = image(number)
        each.push(room.registry, "app", f"old{number}")
        built[each.digest] = each
    (plan,) = room.plan(RULE).repositories
    return [built[each.digest] for each in plan.remove]


def tag_of(room: Room, digest: Digest) -> str:
    return next(tag for tag, at in room.registry.tags("app").items() if at == digest)


def outer_index(inner: BuiltIndex) -> RawManifest:
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [inner.manifest.descriptor.to_json()],
    }
    return RawManifest(encode_json(document), mediatypes.OCI_INDEX)


def put_signature(room: Room, of: BuiltImage, tag: str | None) -> None:
    """A signature of an image: under this tag, or by its subject."""
    blob = Descriptor("text/plain", room.registry.put_blob("app", b"signed"), 6)
    config = Descriptor(EMPTY, room.registry.put_blob("app", b"{}"), 2)
    subject = of.manifest.descriptor if tag is None else None
    raw = artifact_manifest("text/plain", [blob], config=config, subject=subject)
    room.registry.put_manifest("app", tag, raw.data, raw.media_type)


def outcomes(result: RepositoryResult) -> Mapping[str, int]:
    return {each.value: result.count(each) for each in StepOutcome if result.count(each)}


def test_a_tag_that_moves_to_an_index_of_old_images_brings_them_along(room: Room) -> None:
    old = fill(room, FEW)
    built = index_of(old[3:])
    room.intervene(lambda: built.push(room.registry, "app", "keep"), "DELETE", "", skip=1)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep"] == built.digest
    assert pulls_whole(room.registry, built.digest)
    assert outcomes(result) == {"deleted": 3, "left": 3}


def test_a_candidate_that_is_pushed_again_as_an_index_keeps_its_children(room: Room) -> None:
    old = fill(room, FEW)
    last = tag_of(room, old[-1].digest)
    built = index_of(old[2:4])
    room.intervene(lambda: built.push(room.registry, "app", last), "DELETE", "")
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")[last] == built.digest
    assert pulls_whole(room.registry, built.digest)
    assert result.problem is None


def test_a_candidate_that_moves_to_another_ones_image_keeps_that(room: Room) -> None:
    old = fill(room, FEW)
    second, fifth = (tag_of(room, old[at].digest) for at in (1, 4))
    room.intervene(lambda: room.point(second, old[4].digest), "DELETE", "")
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")[second] == old[4].digest
    assert pulls_whole(room.registry, old[4].digest)
    assert fifth in room.registry.tags("app")
    assert result.problem is None


def test_a_rollback_is_seen_though_the_wall_clock_is_set_back(room: Room) -> None:
    old = fill(room, FEW)

    def roll_back() -> None:
        room.clock -= 3600
        room.point("keep", old[-1].digest)

    room.intervene(roll_back, "DELETE", "")
    room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep"] == old[-1].digest
    assert pulls_whole(room.registry, old[-1].digest)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_rollback_in_the_very_moment_of_the_deletion_is_put_back(room: Room, count: int) -> None:
    """The registry answers the last question, then the tag moves, then the deletion arrives."""
    old = fill(room, count)
    target = old[count // 2].digest
    room.intervene(lambda: room.point("keep", target), "DELETE", target)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep"] == target
    assert pulls_whole(room.registry, target)
    assert f"keep vanished while {target} was deleted" in (result.problem or "")


@pytest.mark.parametrize("count", [FEW, MANY])
def test_an_index_in_the_very_moment_of_the_deletion_gets_its_children_back(
    room: Room, count: int
) -> None:
    old = fill(room, count)
    at = count // 2
    built = index_of(old[at : at + 3])
    room.intervene(lambda: built.push(room.registry, "app", "keep"), "DELETE", old[at].digest)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep"] == built.digest
    assert pulls_whole(room.registry, built.digest)
    assert result.count(StepOutcome.RESTORED) >= 1
    assert result.problem is None


def test_a_nested_index_comes_back_with_all_that_it_holds(room: Room) -> None:
    image("kept").push(room.registry, "app", "keep")
    inner = index_of([image("a"), image("b")])
    inner.push(room.registry, "app", "old")
    outer = outer_index(inner)
    room.intervene(
        lambda: room.registry.put_manifest("app", "keep", outer.data, outer.media_type),
        "DELETE",
        inner.digest,
    )
    result = room.apply(room.plan(RULE))
    assert pulls_whole(room.registry, room.registry.tags("app")["keep"])
    assert result.problem is None


def keep_more(room: Room, *names: str) -> None:
    """More kept tags than are asked for right before each deletion; `names` are not among them."""
    kept = room.registry.tags("app")["keep"]
    for name in (*(f"keep-{letter}" for letter in ascii_lowercase), *names):
        room.point(name, kept)


def test_where_only_a_look_shows_a_loss_all_that_was_deleted_since_is_put_back(
    rooms: Callable[..., Room],
) -> None:
    """The registry still lists dead tags, so its list does not show the loss; reading them does."""
    room = rooms(lists_dead_tags=True)
    old = fill(room, MANY)
    keep_more(room, "keep7")
    target = old[5].digest
    room.intervene(lambda: room.point("keep7", target), "DELETE", target)
    result = room.apply(room.plan(RULE))
    assert pulls_whole(room.registry, target)
    assert "keep7 vanished while 8 manifests were deleted" in (result.problem or "")
    assert result.count(StepOutcome.RESTORED) == 8


def test_where_dead_tags_are_listed_the_tags_likely_to_move_show_a_loss_at_once(
    rooms: Callable[..., Room],
) -> None:
    room = rooms(lists_dead_tags=True)
    old = fill(room, MANY)
    target = old[5].digest
    room.intervene(lambda: room.point("keep", target), "DELETE", target)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep"] == target
    assert pulls_whole(room.registry, target)
    assert f"keep vanished while {target} was deleted" in (result.problem or "")


ROLLBACKS = {
    "at the first deletion, to what goes last": (0, -1),
    "at the first deletion, to what goes next": (0, 1),
    "later, to what goes next": (7, 8),
    "later, to what goes last": (7, -1),
}


@pytest.mark.parametrize(
    ("count", "page_size"),
    {"few": (19, 1000), "many": (40, 1000), "many pages": (40, 1)}.values(),
    ids=["few tags", "many tags", "many pages"],
)
@pytest.mark.parametrize(("at", "to"), ROLLBACKS.values(), ids=ROLLBACKS)
def test_a_rollback_between_two_deletions_is_seen_however_many_tags_there_are(
    rooms: Callable[..., Room], count: int, page_size: int, at: int, to: int
) -> None:
    room = rooms(page_size=page_size)
    old = fill(room, count)
    target = old[to].digest
    room.intervene(lambda: room.point("keep", target), "DELETE", old[at].digest)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep"] == target
    assert pulls_whole(room.registry, target)
    assert (result.problem, outcomes(result)) == (None, {"deleted": count - 1, "left": 1})
    (left,) = (step for step in result.steps if step.outcome == StepOutcome.LEFT)
    assert (left.digest, left.why) == (target, "something that stays needs it")


@pytest.mark.parametrize("page_size", [1000, 10], ids=["one page", "a page for ten tags"])
def test_a_rollback_of_any_other_tag_is_put_back_with_its_tag(
    rooms: Callable[..., Room], page_size: int
) -> None:
    """Nobody asked where it points since it moved, but the next list of names lacks it."""
    room = rooms(page_size=page_size)
    old = fill(room, 40)
    keep_more(room, "keep7")
    target = old[2].digest
    room.intervene(lambda: room.point("keep7", target), "DELETE", old[1].digest)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["keep7"] == target
    assert pulls_whole(room.registry, target)
    assert f"keep7 vanished while {target} was deleted" in (result.problem or "")


def test_where_the_manifest_cannot_be_put_back_the_log_is_named(room: Room) -> None:
    old = fill(room, FEW)
    target = old[2].digest
    room.intervene(lambda: room.point("keep", target), "DELETE", target)
    room.registry.arm(Fault("PUT", "/manifests/", FaultKind.ANSWER, status=403, times=9))
    result = room.apply(room.plan(RULE))
    assert "cannot be put back" in (result.problem or "")
    assert str(room.logs[0]) in (result.problem or "")
    room.registry.disarm()
    undo(room.client, read_log(room.logs[0]))
    assert pulls_whole(room.registry, target)


def test_what_somebody_else_deletes_meanwhile_is_not_brought_back(room: Room) -> None:
    old = fill(room, FEW)
    kept = room.registry.tags("app")["keep"]
    remote = room.client.repository(room.repository)
    room.intervene(lambda: remote.delete_manifest(kept), "DELETE", old[2].digest)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app") == {}
    assert outcomes(result) == {"deleted": 6}


def test_after_a_failure_what_was_deleted_last_is_looked_after(room: Room) -> None:
    old = fill(room, FEW)
    target = old[2].digest

    def break_down() -> None:
        room.point("keep", target)
        room.registry.arm(
            Fault("DELETE", "/manifests/", FaultKind.ANSWER, status=500, times=99, skip=0)
        )

    room.intervene(break_down, "DELETE", target)
    result = room.apply(room.plan(RULE))
    assert result.problem is not None
    assert room.registry.tags("app")["keep"] == target
    assert pulls_whole(room.registry, target)


def test_a_tag_that_moves_between_a_refusal_and_its_untagging_stays(
    rooms: Callable[..., Room],
) -> None:
    """The registry answers 409 to the deletion of a digest that has tags."""
    room = rooms(deletes_tagged=False)
    old = fill(room, 2)
    tag = tag_of(room, old[0].digest)
    pushed = image("pushed")
    before_untagging = 2
    room.intervene(
        lambda: pushed.push(room.registry, "app", tag), "HEAD", f"/{tag}$", skip=before_untagging
    )
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")[tag] == pushed.digest
    assert pulls_whole(room.registry, pushed.digest)
    assert outcomes(result) == {"left": 1, "deleted": 1}


def test_a_registry_that_deletes_no_tagged_digest_gets_its_tags_deleted_first(
    rooms: Callable[..., Room],
) -> None:
    room = rooms(deletes_tagged=False)
    fill(room, FEW)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app").keys() == {"keep"}
    assert len(room.registry.manifests("app")) == 1
    entries = read_log(room.logs[0])
    assert [each.action for each in entries] == ["delete", "untag"] * FEW
    assert outcomes(result) == {"deleted": FEW}


def test_a_tag_that_moves_right_before_it_is_untagged_stays(room: Room) -> None:
    image("shared").push(room.registry, "app", "keep")
    image("shared").push(room.registry, "app", "old")
    plan = room.plan(RULE)
    pushed = image("pushed")
    room.intervene(lambda: pushed.push(room.registry, "app", "old"), "HEAD", "/manifests/old")
    room.logs.append(room.folder)
    result = room.apply(plan)
    assert room.registry.tags("app")["old"] == pushed.digest
    assert pulls_whole(room.registry, pushed.digest)
    assert result.count(StepOutcome.UNTAGGED) == 0


@pytest.mark.parametrize("kind", ["image", "index", "platform of a kept index"])
def test_where_a_tag_takes_its_image_along_that_is_put_back(
    rooms: Callable[..., Room], kind: str
) -> None:
    room = rooms(tag_deletion=TagDeletion.MANIFEST)
    one = image("one")
    both = index_of([one, image("two")])
    kept = one if kind == "image" else both
    kept.push(room.registry, "app", "keep")
    (kept if kind == "index" else one).push(room.registry, "app", "old")
    image("other").push(room.registry, "app", "old2")
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app").keys() == {"keep", "old2"}
    assert pulls_whole(room.registry, kept.digest)
    assert "deleting the tag old took its whole image away" in (result.problem or "")
    assert outcomes(result) == {"untagged": 1, "restored": 1}


def test_a_tag_that_is_listed_and_points_to_nothing_blocks_nothing(
    rooms: Callable[..., Room],
) -> None:
    room = rooms(lists_dead_tags=True, tag_deletion=TagDeletion.REFUSED)
    fill(room, 2)
    assert room.clean(RULE).problem is None
    image("new").push(room.registry, "app", "old7")
    result = room.clean(RULE)
    assert (result.problem, outcomes(result)) == (None, {"deleted": 1})
    assert list(room.client.repository(room.repository).iter_tags()) == [
        "keep",
        "old0",
        "old1",
        "old7",
    ]


def test_a_dead_tag_that_comes_to_life_keeps_its_image(rooms: Callable[..., Room]) -> None:
    room = rooms(lists_dead_tags=True, tag_deletion=TagDeletion.REFUSED)
    old = fill(room, FEW)
    plan = room.plan(RULE)
    first = tag_of(room, old[0].digest)
    room.intervene(lambda: room.point(first, old[4].digest), "DELETE", old[2].digest)
    result = room.apply(plan)
    assert room.registry.tags("app")[first] == old[4].digest
    assert pulls_whole(room.registry, old[4].digest)
    assert result.count(StepOutcome.LEFT) == 1


def test_a_new_tag_in_the_moment_before_a_deletion_prevents_it(room: Room) -> None:
    """Tags are listed right before a deletion, as a tag that goes with it leaves no trace."""
    old = fill(room, FEW)
    target = old[0].digest
    room.intervene(lambda: room.point("new", target), "HEAD", f"/{tag_of(room, target)}$", skip=1)
    result = room.apply(room.plan(RULE))
    assert room.registry.tags("app")["new"] == target
    assert pulls_whole(room.registry, target)
    assert (result.problem, result.count(StepOutcome.LEFT)) == (None, 1)
    assert read_log(room.logs[0])[0].is_done is False


def test_what_others_do_between_a_plan_and_its_application_is_left_alone(room: Room) -> None:
    """New tags, moved ones and deleted ones; the rest of the plan is carried out."""
    old = fill(room, FEW)
    plan = room.plan(RULE)
    names = [tag_of(room, each.digest) for each in old]
    pushed, built = image("pushed"), index_of(old[4:])
    pushed.push(room.registry, "app", names[0])
    room.point("new", old[1].digest)
    built.push(room.registry, "app", "other")
    room.registry.drop_tag("app", names[2])
    result = room.apply(plan)
    after = room.registry.tags("app")
    assert after == {
        "keep": image("kept").digest,
        names[0]: pushed.digest,
        "new": old[1].digest,
        names[1]: old[1].digest,
        "other": built.digest,
        names[4]: old[4].digest,
        names[5]: old[5].digest,
    }
    assert all(pulls_whole(room.registry, digest) for digest in after.values())
    assert outcomes(result) == {"deleted": 2, "left": 4}


def test_a_repository_that_never_rests_is_cleaned_all_the_same(room: Room) -> None:
    fill(room, FEW)
    plan = room.plan(RULE)
    pushed = 0

    def push(_: str) -> None:
        nonlocal pushed
        pushed += 1
        image(f"new {pushed}").push(room.registry, "app", f"new{pushed}")

    room.on_step = push
    result = room.apply(plan)
    assert (result.problem, outcomes(result)) == (None, {"deleted": FEW})
    assert len(room.registry.tags("app")) == 1 + FEW


@pytest.mark.parametrize("way", ["subject", "cosign", "referrers list"])
def test_an_image_that_is_signed_while_it_is_squashed_stays_as_it_is(room: Room, way: str) -> None:
    built = image("plain")
    built.push(room.registry, "app", "one")
    plan = room.plan("action: squash")

    def sign() -> None:
        place = fallback_tag(built.digest)
        tags = {"subject": None, "cosign": f"{place}.sig", "referrers list": place}
        put_signature(room, built, tags[way])

    room.intervene(sign, "PATCH", "/blobs/uploads/")
    result = room.apply(plan)
    assert room.registry.tags("app")["one"] == built.digest
    assert outcomes(result) == {"left": 1}
    assert "signed or attested meanwhile" in result.steps[0].why


def test_requests_grow_with_the_number_of_deletions_alone(room: Room) -> None:
    """Twice as many tags and deletions cost about twice as many requests."""
    asked = []
    for count in (100, 200):
        fill(room, count)
        plan = room.plan(RULE)
        room.registry.forget_requests()
        assert room.apply(plan).count(StepOutcome.DELETED) == count
        asked.append(len(room.registry.requests) / count)
    assert asked[1] < 1.1 * asked[0]
    assert max(asked) < 25


@pytest.mark.parametrize(("page_size", "pages"), {"one": (1000, 4), "many": (1, 40)}.values())
def test_a_deletion_costs_few_requests_however_many_tags_stay(
    rooms: Callable[..., Room], page_size: int, pages: int
) -> None:
    """16 looks at any tag, 16 at those likely to move, its own tag, and the list of names.

    A list of many pages costs 16 of them, and once more for the looks.
    """
    count = 48
    room = rooms(page_size=page_size)
    fill(room, count)
    keep_more(room, *(f"keep{number}" for number in range(30)))
    plan = room.plan(RULE)
    room.registry.forget_requests()
    assert room.apply(plan).count(StepOutcome.DELETED) == count
    asked = Counter(request.method for request in room.registry.requests)
    assert 24 < asked["HEAD"] / count < 16 + 16 + 8
    assert asked["DELETE"] == count
    assert asked["GET"] / count < pages
