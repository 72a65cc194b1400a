"""Random repositories, rules, registries and neighbours: what must stay is there in the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from squashproxy.cleanup.apply.apply import untouched
from squashproxy.cleanup.plan import RulePlan
from squashproxy.cleanup.results import RepositoryResult
from squashproxy.errors import PlanRefused
from squashproxy.oci.descriptor import Descriptor
from squashproxy.testing import TagDeletion, artifact_manifest, index_of
from squashproxy.testing.images import BuiltImage, BuiltIndex
from tests.cleanup.adversary import EMPTY, Adversary
from tests.cleanup.room import DAY, Held, Room, held, image, pulls_whole

SEEDS = range(60)
MANY_SEEDS = range(60, 2060)


def fill(room: Room, dice: random.Random) -> list[BuiltImage]:
    """Images that share digests, indexes that share images, referrers of either, by every way."""
    images = [
        image(number, f"2026-01-{number + 1:02}T00:00:00Z") for number in range(dice.randint(2, 6))
    ]
    indexes = [
        index_of(dice.sample(images, dice.randint(1, min(3, len(images)))))
        for _ in range(dice.randint(0, 3))
    ]
    everything: list[BuiltImage | BuiltIndex] = [*images, *indexes]
    most = 60 if dice.random() < 0.1 else 10
    for number in range(dice.randint(2, most)):
        dice.choice(everything).push(room.registry, "app", f"{dice.choice('abc')}{number}")
    for number in range(dice.randint(0, 5)):
        subject = dice.choice(everything)
        if subject.digest in room.registry.manifests("app"):
            refer(room, subject.manifest.descriptor, number, dice)
    return images


def refer(room: Room, subject: Descriptor, number: int, dice: random.Random) -> None:
    data = f"referrer {number}".encode()
    blob = Descriptor("text/plain", room.registry.put_blob("app", data), len(data))
    config = Descriptor(EMPTY, room.registry.put_blob("app", b"{}"), 2)
    way = dice.choice(["subject", "cosign", "tagged"])
    raw = artifact_manifest(
        "text/plain", [blob], config=config, subject=None if way == "cosign" else subject
    )
    tags = {
        "subject": None,
        "cosign": subject.digest.replace(":", "-") + ".sig",
        "tagged": f"s{number}",
    }
    room.registry.put_manifest("app", tags[way], raw.data, raw.media_type)


def random_rule(dice: random.Random) -> str:
    keep = dice.choice(
        ["tags: ['a*']", "tags: ['b*', 's*']", "newest: 1", "newest: 2, group: '^(.)'"]
    )
    untagged = dice.choice(["", "\nuntagged: {older_than: 1d}"])
    action = dice.choice(["delete", "delete", "delete", "squash"])
    return f"action: {action}\nkeep: {{{keep}}}{untagged}"


def random_registry(rooms: Callable[..., Room], dice: random.Random) -> Room:
    tag_deletion = dice.choice(list(TagDeletion))
    return rooms(
        referrers=dice.random() < 0.5,
        tag_deletion=tag_deletion,
        deletes_tagged=tag_deletion is TagDeletion.MANIFEST or dice.random() < 0.7,
        lists_dead_tags=dice.random() < 0.2,
        page_size=dice.choice([2, 5, 1000]),
    )


@dataclass(frozen=True, slots=True)
class Story:
    """A repository before and after, the plan, and what a neighbour did meanwhile."""

    room: Room
    plan: RulePlan
    before: Held
    whole: set[str]
    result: RepositoryResult
    neighbour: Adversary

    def check(self) -> None:
        """Raise AssertionError where something is lost."""
        after = held(self.room.registry)
        self._check_wanted(after)
        self._check_kept(after)
        self._check_signed(after)
        self._check_squashes()
        (plan,) = self.plan.repositories
        if self.result.steps and not self.neighbour.moves:
            planned = {each.digest for each in plan.remove}
            assert self.before.manifests.keys() - after.manifests.keys() <= planned

    def _check_wanted(self, after: Held) -> None:
        (plan,) = self.plan.repositories
        for tag, digest in self.neighbour.wants.items():
            # A tag that is moved back to where it was looks as if it had never moved.
            if self._is_their_own_fault(digest, after) or plan.tags.get(tag) == digest:
                continue
            if after.tags.get(tag) != digest:
                # Several deletions between two looks: the manifest is back, the tag is named.
                assert tag in (self.result.problem or ""), f"{tag} was moved and is lost"
            assert digest in after.manifests, f"{tag} needs {digest}"
            assert pulls_whole(self.room.registry, digest), f"{tag} does not pull whole"

    def _check_kept(self, after: Held) -> None:
        (plan,) = self.plan.repositories
        for kept in plan.kept:
            tag, digest = kept.tag, kept.digest
            is_theirs = after.tags.get(tag) != digest and self.neighbour.moves
            if is_theirs or digest not in self.whole:
                continue
            assert after.tags.get(tag) == digest, f"{tag} was kept"
            for needed in self.before.needs(digest) & self.whole:
                if not self._is_their_own_fault(needed, after):
                    assert pulls_whole(self.room.registry, needed), f"{tag} needs {needed}"
                    there = self.before.referrers(needed) - self.neighbour.deleted
                    if not self.neighbour.moves:
                        assert there <= after.manifests.keys(), f"signatures of {tag}"

    def _check_signed(self, after: Held) -> None:
        """An image that was signed meanwhile and kept still has its signature."""
        for tag, subject in self.neighbour.signed.items():
            if subject in after.tags.values() and not self.neighbour.deleted:
                assert tag in after.tags, f"the signature of {subject}"

    def _check_squashes(self) -> None:
        """No image is squashed that something referred to, as far as the registry tells."""
        (plan,) = self.plan.repositories
        if self.neighbour.deleted or not self.room.registry.options.referrers:
            return
        for squash in plan.squash:
            assert not self.before.referrers(squash.digest), f"signatures of {squash.tags}"

    def _is_their_own_fault(self, digest: str, after: Held) -> bool:
        everything = Held(after.tags, {**self.before.manifests, **after.manifests})
        return bool(everything.needs(digest) & self.neighbour.deleted)  # type: ignore[arg-type]


def tell(rooms: Callable[..., Room], seed: int, chance: float | None = None) -> Story:
    """Play a story to its end; `chance` is how likely the neighbour acts at a request."""
    dice = random.Random(seed)
    room = random_registry(rooms, dice)
    images = fill(room, dice)
    room.plan("action: delete\nkeep: {tags: ['*']}")
    room.registry.drop_tag("app", dice.choice(sorted(room.registry.tags("app"))))
    text = random_rule(dice)
    room.plan(text)
    room.clock += dice.choice([0, 2]) * DAY
    before = held(room.registry)
    whole: set[str] = {each for each in before.manifests if pulls_whole(room.registry, each)}
    drawn = dice.choice([0.0, 0.02, 0.1])
    likely = drawn if chance is None else chance
    neighbour = Adversary(room, random.Random(seed), images, likely)
    room.registry.before_each(neighbour.before)
    neighbour.is_awake = dice.random() < 0.3
    plan = room.plan(text)
    neighbour.forget_planned(plan.repositories[0])
    neighbour.is_awake = True
    result = apply(room, plan, text, is_saved=dice.random() < 0.5)
    neighbour.is_awake = False
    return Story(room, plan, before, whole, result, neighbour)


def apply(room: Room, plan: RulePlan, text: str, *, is_saved: bool) -> RepositoryResult:
    if not is_saved:
        return room.apply(plan)
    try:
        return room.apply_saved(plan, text)
    except PlanRefused as refusal:
        # The clock was set back behind the plan's date.
        return untouched(plan.rule, replace(plan.repositories[0], problem=str(refusal)))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_must_stay_is_lost(rooms: Callable[..., Room], seed: int) -> None:
    tell(rooms, seed).check()


@pytest.mark.long
@pytest.mark.parametrize("seed", MANY_SEEDS)
def test_nothing_that_must_stay_is_lost_in_many_stories(
    rooms: Callable[..., Room], seed: int
) -> None:
    tell(rooms, seed).check()


@pytest.mark.parametrize("seed", range(20))
def test_without_neighbours_a_plan_is_carried_out(rooms: Callable[..., Room], seed: int) -> None:
    story = tell(rooms, seed, chance=0.0)
    story.check()
    (plan,) = story.plan.repositories
    options = story.room.registry.options
    can_untag = options.tag_deletion is TagDeletion.TAG
    if can_untag or (options.deletes_tagged and options.tag_deletion is TagDeletion.REFUSED):
        assert story.result.problem is None
        gone = held(story.room.registry).manifests.keys()
        assert not {each.digest for each in plan.remove} & gone
