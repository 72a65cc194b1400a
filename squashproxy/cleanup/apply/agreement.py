"""The steps that a plan from elsewhere, and the plan that the rule makes now, have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from squashproxy.cleanup.plan import Removal, RepositoryPlan, Squash, Untag
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.registry.client import RemoteRepository


class NotPlannedNow(SquashproxyError):
    """A plan from elsewhere deletes something that the rule keeps now."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The steps that are in both the given plan and the current one.

    Steps whose target is gone stay, so that they are reported.
    """

    given: RepositoryPlan
    now: RepositoryPlan
    remote: RemoteRepository

    def check_kept(self) -> None:
        """Raise NotPlannedNow where a tag to be deleted is kept now."""
        given = self.given
        going = {tag: each.digest for each in given.remove for tag in each.tags}
        going |= {each.tag: each.digest for each in given.untag}
        going |= {tag: each.digest for each in given.squash for tag in each.tags}
        for kept in (*self.now.kept, *self.now.left):
            if going.get(kept.tag) == kept.digest:
                raise self._refused(kept.tag, kept.why)

    def removals(self) -> Iterator[Removal]:
        """The manifests to delete. Raises NotPlannedNow."""
        now = {each.digest: each for each in self.now.remove}
        for each in self.given.remove:
            if each.digest in now:
                yield now[each.digest]
            elif self.remote.find_manifest(each.digest) is None:
                yield each
            else:
                name = ", ".join(each.tags) or each.digest
                raise self._refused(name, "something that stays needs it")

    def sure_removals(self) -> Iterator[Removal]:
        """The manifests to delete, without those of which only the memory of earlier runs tells
        that they may go: they have no tag, or something without a tag needs them.

        Raises NotPlannedNow where a tag of one stays.
        """
        going = {each.digest for each in self.now.remove}
        leaving = self._tags_that_go()
        tags = _tags_of(self.now.tags)
        for each in self.given.remove:
            staying = sorted(set(tags.get(each.digest, ())) - leaving)
            if staying:
                raise self._refused(staying[0], self._why_kept(staying[0]))
            if each.digest in going or self.remote.find_manifest(each.digest) is None:
                yield each

    def untags(self) -> Iterator[Untag]:
        """The tags to delete without their manifest. Raises NotPlannedNow."""
        now = self._tags_that_go()
        for each in self.given.untag:
            if each.tag not in now and each.tag in self.now.tags:
                raise self._refused(each.tag, "the rule does not take it away")
            yield each

    def squashes(self) -> Iterator[Squash]:
        """The images to squash in place. Raises NotPlannedNow."""
        now = {each.digest for each in self.now.squash}
        for each in self.given.squash:
            still = [tag for tag in each.tags if self.now.tags.get(tag) == each.digest]
            if still and each.digest not in now:
                raise self._refused(still[0], "the rule does not squash it")
            yield each

    def _tags_that_go(self) -> set[str]:
        gone = {each.tag for each in self.now.untag}
        return gone | {tag for each in self.now.remove for tag in each.tags}

    def _why_kept(self, tag: str) -> str:
        why = (each.why for each in (*self.now.kept, *self.now.left) if each.tag == tag)
        return next(why, "the rule does not take it away")

    def _refused(self, name: str, why: str) -> NotPlannedNow:
        return NotPlannedNow(
            f"{self.given.repository}: the plan takes {name} away, which stays now: {why}; plan "
            "again"
        )


def _tags_of(tags: Mapping[str, Digest]) -> dict[Digest, list[str]]:
    found: dict[Digest, list[str]] = {}
    for tag, digest in tags.items():
        found.setdefault(digest, []).append(tag)
    return found
