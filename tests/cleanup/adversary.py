"""Another user of the repository who acts at any moment, and what they must find in the end.

Every move is one that a registry would take: an index of images that are there, a tag to a manifest
that is there. `wants` is what they have reason to find when everything is over.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.digest import Digest
from squashproxy.oci.descriptor import Descriptor
from squashproxy.testing import artifact_manifest, index_of
from squashproxy.testing.images import BuiltImage, BuiltIndex
from tests.cleanup.room import Room, image, pulls_whole

EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(slots=True)
class Adversary:
    """Acts right before some of the requests of a cleanup, the deletions among them."""

    room: Room
    dice: random.Random
    images: list[BuiltImage]
    chance: float
    wants: dict[str, Digest] = field(default_factory=dict)
    signed: dict[str, Digest] = field(default_factory=dict)
    deleted: set[Digest] = field(default_factory=set)
    abandoned: set[Digest] = field(default_factory=set)
    moves: list[str] = field(default_factory=list)
    is_awake: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0
    _untouchable: str = ""
    _is_listed: bool = False

    def before(self, method: str, path: str) -> None:
        """Perhaps make a move.

        Not what nobody can see, as the README says: a push to a tag whose own deletion, or own
        squashed image, is on its way, and a new tag when the tags have been listed for the last
        time before a deletion.
        """
        name = path.rpartition("/")[2]
        with self._lock:
            self._untouchable = name if method in ("DELETE", "PUT") else ""
            self._is_listed = bool(self._untouchable) or "last=" in name
            likely = self.chance * (3 if method == "DELETE" else 1)
            if self.is_awake and len(self.moves) < 6 and self.dice.random() < likely:
                self._move()

    def forget_planned(self, plan: RepositoryPlan) -> None:
        """Forget what a plan has seen: its rule decides about that."""
        self.wants = {
            tag: digest for tag, digest in self.wants.items() if plan.tags.get(tag) != digest
        }

    def _move(self) -> None:
        moves = [
            self._push_new,
            self._push_over,
            self._roll_back,
            self._push_index,
            self._push_index,
            self._sign,
            self._refer,
            self._drop_tag,
            self._delete,
            self._turn_back_the_clock,
        ]
        if ":" in self._untouchable:
            moves += [self._want_what_goes] * 5
        move = self.dice.choice(moves)
        self.moves.append(move.__name__)
        move()

    @property
    def _tags(self) -> list[str]:
        return sorted(self.room.registry.tags("app").keys() - {self._untouchable})

    @property
    def _present(self) -> list[BuiltImage]:
        there = self.room.registry.manifests("app")
        return [each for each in self.images if each.digest in there]

    def _some_tag(self) -> str:
        self._count += 1
        if self._is_listed and self._tags:
            return self.dice.choice(self._tags)
        return self.dice.choice([*self._tags, f"new{self._count}", f"a{self._count + 20}"])

    def _put(self, what: BuiltImage | BuiltIndex) -> None:
        tag = self._some_tag()
        what.push(self.room.registry, "app", tag)
        self._want(tag, what.digest)

    def _want(self, tag: str, digest: Digest | None) -> None:
        self.signed.pop(tag, None)
        self.wants.pop(tag, None)
        if digest is not None:
            self.wants[tag] = digest

    def _push_new(self) -> None:
        self._count += 1
        self._put(image(f"pushed {self._count}"))

    def _push_over(self) -> None:
        if self._tags:
            tag = self.dice.choice(self._tags)
            self._count += 1
            built = image(f"over {self._count}")
            built.push(self.room.registry, "app", tag)
            self._want(tag, built.digest)

    def _roll_back(self) -> None:
        """Move any tag to any manifest that is there, as in a rollback."""
        there = sorted(self.room.registry.manifests("app"))
        whole = [each for each in there if pulls_whole(self.room.registry, each)]
        if whole and self._tags:
            tag, digest = self.dice.choice(self._tags), self.dice.choice(whole)
            if self.room.registry.tags("app")[tag] == digest:
                return
            self.room.point(tag, digest)
            self._want(tag, digest)

    def _want_what_goes(self) -> None:
        """Point a tag to the manifest whose deletion is being sent."""
        digest = Digest(self._untouchable)
        tags, there = self.room.registry.tags("app"), self.room.registry.manifests("app")
        alive = [tag for tag, at in tags.items() if at in there - {digest}]
        if alive and pulls_whole(self.room.registry, digest):
            tag = self.dice.choice(alive)
            self.abandoned.add(tags[tag])
            self.room.point(tag, digest)
            self._want(tag, digest)

    def _push_index(self) -> None:
        there = self._present
        if there:
            self._put(index_of(self.dice.sample(there, self.dice.randint(1, min(3, len(there))))))

    def _sign(self) -> None:
        if self._present:
            subject = self.dice.choice(self._present)
            tag = subject.digest.replace(":", "-") + ".sig"
            self._attach(subject, tag, None)
            self.signed[tag] = subject.digest

    def _refer(self) -> None:
        """Push an artifact with a tag of its own; it needs its subject."""
        if self._present:
            subject = self.dice.choice(self._present)
            self._attach(subject, self._some_tag(), subject.manifest.descriptor)

    def _attach(self, of: BuiltImage, tag: str, subject: Descriptor | None) -> None:
        registry = self.room.registry
        data = f"signature {of.digest} {self._count}".encode()
        blob = Descriptor("text/plain", registry.put_blob("app", data), len(data))
        config = Descriptor(EMPTY, registry.put_blob("app", b"{}"), 2)
        raw = artifact_manifest("text/plain", [blob], config=config, subject=subject)
        registry.put_manifest("app", tag, raw.data, raw.media_type)
        self._want(tag, None if subject is None else raw.digest)

    def _drop_tag(self) -> None:
        if self._tags:
            tag = self.dice.choice(self._tags)
            self.room.registry.drop_tag("app", tag)
            self.wants.pop(tag, None)
            self.signed.pop(tag, None)

    def _delete(self) -> None:
        """A manifest, by its digest: everything above it is somebody's own fault from now on.

        Not one that a tag has just left in the moment of a deletion: both at once look as if
        somebody had deleted the tag.
        """
        there = sorted(self.room.registry.manifests("app") - self.abandoned)
        if there:
            digest = self.dice.choice(there)
            self.deleted.add(digest)
            self.room.registry._store.delete_manifest("app", digest)
            self.wants = {tag: at for tag, at in self.wants.items() if at != digest}

    def _turn_back_the_clock(self) -> None:
        self.room.clock -= 3600
