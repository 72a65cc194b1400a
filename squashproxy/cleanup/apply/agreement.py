"""The steps that a plan from elsewhere, and the plan that the rule makes now, have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from squashproxy.cleanup.plan import Removal, RepositoryPlan, Squash, Untag
from squashproxy.errors import SquashproxyError
from squashproxy.registry.client import RemoteRepository

CLOCK_SECONDS = 300.0
"""How far ahead the clock of the machine that made a plan may be."""


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

    def part(self) -> RepositoryPlan:
        """The given plan with the steps that are in both. Raises NotPlannedNow."""
        return self._with(self._removals())

    def sure_part(self) -> RepositoryPlan:
        """As `part`, without the manifests of which only the memory of earlier runs tells that they
        may go: they have no tag, or something without a tag needs them.
        """
        return self._with(self._sure_removals())

    def _with(self, removals: Iterator[Removal]) -> RepositoryPlan:
        self._check_kept()
        return replace(
            self.given,
            untag=tuple(self._untags()),
            remove=tuple(removals),
            squash=tuple(self._squashes()),
        )

    def _check_kept(self) -> None:
        """Raise NotPlannedNow where a tag to be deleted is kept now."""
        given = self.given
        going = {tag: each.digest for each in given.remove for tag in each.tags}
        going |= {each.tag: each.digest for each in given.untag}
        going |= {tag: each.digest for each in given.squash for tag in each.tags}
        for kept in (*self.now.kept, *self.now.left):
            if going.get(kept.tag) == kept.digest:
                raise self._refused(kept.tag, kept.why)

    def _removals(self) -> Iterator[Removal]:
        now = {each.digest: each for each in self.now.remove}
        for each in self.given.remove:
            if each.digest in now:
                yield now[each.digest]
            elif self.remote.find_manifest(each.digest) is None:
                yield each
            else:
                name = ", ".join(each.tags) or each.digest
                raise self._refused(name, "something that stays needs it")

    def _sure_removals(self) -> Iterator[Removal]:
        going = {each.digest for each in self.now.remove}
        leaving = self._tags_that_go()
        tags = sorted(self.now.tags.keys() - leaving, reverse=True)
        staying = {self.now.tags[tag]: tag for tag in tags}
        for each in self.given.remove:
            if each.digest in staying:
                tag = staying[each.digest]
                raise self._refused(tag, self._why_kept(tag))
            if each.digest in going or self.remote.find_manifest(each.digest) is None:
                yield each

    def _untags(self) -> Iterator[Untag]:
        now = self._tags_that_go()
        for each in self.given.untag:
            if each.tag not in now and each.tag in self.now.tags:
                raise self._refused(each.tag, "the rule does not take it away")
            yield each

    def _squashes(self) -> Iterator[Squash]:
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
