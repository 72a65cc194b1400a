"""Watch: when to look at the tags of a repository during a cleanup, and what others changed.

1. A *glance* lists the names of all tags. A *look* also asks where each of them points.
2. A repository of up to 32 tags is looked at before every step. A larger one gets a look after so
   many steps that there is one step for each 16 tags. So the work of looks grows with the
   repository, not with its square.
3. A glance comes before every deletion, unless it takes more than 16 requests; then one comes after
   so many steps that a step pays for 16 of them.
4. The last question before a deletion is where the *spots* point: up to 16 of the tags that stay,
   those first whose names hold no digit. `stable` and `latest` move, and `1.2.3` seldom does.
5. Others may point another tag to a manifest between two looks, and the manifest may be deleted
   before the next look shows that. It is put back then. So there is a look after the last deletion,
   too.
6. A tag that vanished may have been deleted by the registry along with a manifest, since the tag
   was last seen. The manifests deleted in that time are its *suspects*; there is only one, and so
   the tag can be put back with it, if a glance or a spot showed the loss right after the deletion.
7. A new tag that is deleted along with a manifest before anybody has listed it leaves no trace. So
   only the question for the spots stands between a glance and a deletion.

No I/O, no clock: steps are counted, since a clock can be set back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from squashproxy.digest import Digest

_FEW_TAGS = 32
_TAGS_A_STEP = 16
_FEW_NAMES = 1000
_PAGES_A_STEP = 16
_MOST_SPOTS = 16
"""As many as are asked for at once, so that they cost the time of one request."""

_DIGIT = re.compile("[0-9]")


@dataclass(frozen=True, slots=True)
class Vanished:
    """A tag that is gone, where it pointed, and the deletions that may have taken it along."""

    tag: str
    before: Digest
    suspects: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What others changed since the tags were last seen.

    `wanted` are manifests that somebody pointed a tag to, new or moved.
    """

    wanted: tuple[Digest, ...]
    vanished: tuple[Vanished, ...]


class Watch:
    """Keeps where the tags pointed when they were last seen, and what was deleted since.

    It begins with the tags of the plan, so everything is looked at before the first step. `kept`
    are those that the plan keeps.
    """

    def __init__(self, tags: Mapping[str, Digest], kept: Iterable[str] = ()) -> None:
        self._tags: dict[str, Digest] = {}
        self._by_digest: defaultdict[Digest, set[str]] = defaultdict(set)
        self._seen: dict[str, int] = {}
        self._deletions: list[Digest] = []
        for tag, digest in tags.items():
            self._point(tag, digest)
        self._names = set(tags)
        self._spots = sorted(kept, key=lambda tag: (bool(_DIGIT.search(tag)), tag))[:_MOST_SPOTS]
        self._steps_since_look = self._steps_since_glance = max(1, len(tags))
        self._deletions_at_look = self._deletions_at_glance = 0
        self._pages = 1
        self._deleted: dict[Digest, tuple[str, ...]] = {}

    @property
    def needs_look(self) -> bool:
        """Whether a look is due before the next step."""
        count = len(self._names)
        if count <= _FEW_TAGS:
            return self._steps_since_look > 0
        return self._steps_since_look >= _interval(count, _TAGS_A_STEP)

    @property
    def needs_glance(self) -> bool:
        """Whether a glance is due right before the next deletion."""
        return self._steps_since_glance >= _interval(self._pages, _PAGES_A_STEP)

    @property
    def glances_every_step(self) -> bool:
        """Whether the names are few enough to be listed twice in a step."""
        return len(self._names) <= _FEW_NAMES

    @property
    def needs_last_look(self) -> bool:
        """Whether there was a deletion after the last look."""
        return len(self._deletions) > self._deletions_at_look

    @property
    def spots(self) -> list[str]:
        """The tags to ask for right before each deletion, as far as they are there."""
        return [tag for tag in self._spots if tag in self._tags]

    def is_deleted(self, digest: Digest) -> bool:
        """Whether this cleanup deleted a manifest and did not put it back."""
        return digest in self._deleted

    def deleted(self) -> list[tuple[Digest, tuple[str, ...]]]:
        """The manifests deleted and not put back, each with the tags that were deleted with it."""
        return list(self._deleted.items())

    def tags_with(self, digest: Digest) -> tuple[str, ...]:
        """The tags that were deleted with a manifest."""
        return self._deleted.get(digest, ())

    def tags_of(self, digest: Digest) -> tuple[str, ...]:
        """The tags that pointed to a manifest when they were last seen."""
        return tuple(sorted(self._by_digest.get(digest, ())))

    def note_step(self) -> None:
        """Record that a step was done: others may have changed anything in the meantime."""
        self._steps_since_look += 1
        self._steps_since_glance += 1

    def note_deleted(self, digest: Digest, tags: tuple[str, ...]) -> None:
        """Record that a manifest was deleted, with all tags that pointed to it."""
        self._deleted[digest] = tags
        self._deletions.append(digest)
        for tag in self.tags_of(digest):
            self._point(tag, None)

    def note_untagged(self, tag: str) -> None:
        """Record that a tag was deleted."""
        self._point(tag, None)

    def note_restored(self, digest: Digest, tags: Iterable[str]) -> None:
        """Record that a manifest was put back with these tags."""
        self._deleted.pop(digest, None)
        for tag in tags:
            self._point(tag, digest)

    def note_look(self, pages: int) -> None:
        """Record that a look was taken, its changes were handled, and how many pages it listed."""
        self._steps_since_look = 0
        self._deletions_at_look = len(self._deletions)
        self._pages = pages

    def note_glance(self, pages: int) -> None:
        """Record that a glance was taken, its changes were handled, and how many pages it took."""
        self._steps_since_glance = 0
        self._deletions_at_glance = len(self._deletions)
        self._pages = pages

    def questions(self, listed: Collection[str]) -> list[str]:
        """The tags to ask for after a glance: new names, and known tags that were not listed."""
        return sorted((set(listed) - self._names) | (self._tags.keys() - set(listed)))

    def compare(
        self, found: Mapping[str, Digest | None], listed: Collection[str] | None = None
    ) -> Changes:
        """Note where tags point now, None for a tag that is gone; return what others changed.

        A tag that is not `listed` was seen at the last glance. A listed tag, and every tag if
        nothing was listed, was certainly seen only when it was last asked for.
        """
        wanted: dict[Digest, None] = {}
        vanished: list[Vanished] = []
        for tag, now in found.items():
            before = self._tags.get(tag)
            if now is not None and now != before:
                wanted[now] = None
            elif now is None and before is not None:
                is_unlisted = listed is not None and tag not in listed
                seen = max(self._seen[tag], self._deletions_at_glance if is_unlisted else 0)
                vanished.append(Vanished(tag, before, tuple(self._deletions[seen:])))
            self._point(tag, now)
        self._names.update(found)
        return Changes(tuple(wanted), tuple(vanished))

    def _point(self, tag: str, digest: Digest | None) -> None:
        before = self._tags.pop(tag, None)
        if before is not None:
            self._by_digest[before].discard(tag)
        if digest is not None:
            self._tags[tag] = digest
            self._seen[tag] = len(self._deletions)
            self._by_digest[digest].add(tag)


def _interval(count: int, a_step: int) -> int:
    """The number of steps between requests for `count` things, at `a_step` things per step."""
    return -(-count // a_step)
