"""Random repositories, random rules: what must stay pulls whole, what went was allowed to."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from squashproxy.oci.descriptor import Descriptor
from squashproxy.testing import artifact_manifest, index_of
from squashproxy.testing.images import BuiltImage, BuiltIndex
from tests.cleanup.room import DAY, Room, held, image, pulls_whole

SEEDS = range(40)
EMPTY = "application/vnd.oci.empty.v1+json"


def fill(room: Room, dice: random.Random) -> None:
    """Images that share digests, indexes that share images, referrers of either, by every way."""
    images: list[BuiltImage] = [
        image(number, f"2026-01-{number + 1:02}T00:00:00Z") for number in range(dice.randint(2, 6))
    ]
    indexes: list[BuiltIndex] = [
        index_of(dice.sample(images, dice.randint(1, min(3, len(images)))))
        for _ in range(dice.randint(0, 3))
    ]
    everything: list[BuiltImage | BuiltIndex] = [*images, *indexes]
    for number in range(dice.randint(2, 10)):
        dice.choice(everything).push(room.registry, "app", f"{dice.choice('abc')}{number}")
    for number in range(dice.randint(0, 5)):
        subject = dice.choice(everything)
        if subject.digest not in room.registry.manifests("app"):
            continue
        refer(room, subject.manifest.descriptor, number, dice)


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
    return f"action: delete\nkeep: {{{keep}}}{untagged}"


@pytest.mark.parametrize("seed", SEEDS)
def test_keep_wins_over_everything(rooms: Callable[..., Room], seed: int) -> None:
    dice = random.Random(seed)
    room = rooms(referrers=dice.random() < 0.5)
    fill(room, dice)
    room.plan("action: delete\nkeep: {tags: ['*']}")
    for tag in dice.sample(sorted(room.registry.tags("app")), 1):
        room.client.repository(room.repository).delete_manifest(tag)
    text = random_rule(dice)
    room.plan(text)
    room.clock += dice.choice([0, 2]) * DAY
    before = held(room.registry)
    whole = {each for each in before.manifests if pulls_whole(room.registry, each)}
    plan = room.plan(text)
    pushed = None
    if dice.random() < 0.3:
        pushed = image("pushed in between")
        tag = dice.choice(sorted(before.tags))
        room.on_step = lambda _: pushed.push(room.registry, "app", tag)  # type: ignore[assignment]
    result = room.apply(plan)
    after = held(room.registry)

    kept = {each.tag for each in plan.repositories[0].kept}
    planned = {each.digest for each in plan.repositories[0].remove}
    for tag in kept:
        if pushed is not None and after.tags.get(tag) == pushed.digest:
            continue
        assert after.tags[tag] == before.tags[tag], f"{tag} was kept"
        for needed in before.needs(before.tags[tag]) & whole:
            assert pulls_whole(room.registry, needed), f"{tag} needs {needed}"
            assert before.referrers(needed) <= after.manifests.keys()
    assert before.manifests.keys() - after.manifests.keys() <= planned
    for digest in after.tags.values():
        if digest in whole:
            assert pulls_whole(room.registry, digest), "what has a tag pulls whole"
        assert before.referrers(digest) <= after.manifests.keys(), "its signatures are there"
    assert result.problem is None or pushed is not None
