"""Doing what a plan says, and nothing else: each tag is looked at again right before it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from squashproxy.cleanup.audit import AuditLog, Entry
from squashproxy.cleanup.deleting import Deleter
from squashproxy.cleanup.gathering import Gatherer
from squashproxy.cleanup.graph import Node, node_of, subject_of_tag
from squashproxy.cleanup.origin import is_made_from
from squashproxy.cleanup.plans import Removal, RepositoryPlan, Squash, Untag
from squashproxy.cleanup.results import RepositoryResult, Step
from squashproxy.cleanup.squashing import InPlaceSquasher, TagMoved
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.oci.manifest import RawManifest
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Repository, parse_repository
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.state.tags import TagMemory

_CANNOT_UNTAG = (
    "this registry deletes no tag alone, and what it points to is needed; it stays until that goes"
)


_LOOK_SECONDS = 2.0
_LOOK_SHARE = 4.0
"""Where every tag points to is asked again after so long, or so many times what it took."""


class Moved(SquashproxyError):
    """A repository is not what it was when the plan was made."""


class Stopped(SquashproxyError):
    """The work was ended from outside, between two steps."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(f"{repository}: stopped between two steps; apply again to go on")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a repository, and whether it ended since that had moved."""

    result: RepositoryResult
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies the plan of one repository after another; `now` gives unix seconds.

    `is_stopped` is asked between steps, so that a shutdown leaves nothing half-done; `on_step`
    hears of each, with its repository.
    """

    client: RegistryClient
    gatherer: Gatherer
    tags: TagMemory
    squasher: InPlaceSquasher
    log: AuditLog
    now: Callable[[], float]
    is_stopped: Callable[[], bool]
    on_step: Callable[[str, Step], None]

    def apply(self, rule: str, plan: RepositoryPlan, options: CopyOptions) -> Attempt:
        """Do what the plan of a repository says; its own errors are in the result."""
        if plan.problem is not None or not plan.deletions:
            return Attempt(untouched(rule, plan))
        work = _Work(self, rule, plan, options, parse_repository(plan.repository))
        steps: list[Step] = []
        problem: SquashproxyError | None = None
        try:
            for step in work.steps():
                steps.append(step)
                self.on_step(plan.repository, step)
        except SquashproxyError as error:
            problem = error
        done = {step.digest for step in steps if step.outcome in ("deleted", "gone")}
        planned = {each.digest for each in plan.remove}
        result = RepositoryResult(
            rule=rule,
            repository=plan.repository,
            steps=tuple(steps),
            freed_bytes=plan.freed_bytes if done >= planned else 0,
            saved_bytes=work.saved_bytes,
            problem=None if problem is None else str(problem),
        )
        return Attempt(result, isinstance(problem, Moved))


def untouched(rule: str, plan: RepositoryPlan) -> RepositoryResult:
    """The result for a repository where nothing was to be done, or could be planned."""
    return RepositoryResult(rule, plan.repository, (), 0, 0, plan.problem)


@dataclass(slots=True)
class _Work:
    applier: Applier
    rule: str
    plan: RepositoryPlan
    options: CopyOptions
    repository: Repository
    saved_bytes: int = 0
    _seen: set[str] = field(default_factory=set)
    _look_again: float = 0.0
    _guarded: set[Digest] = field(default_factory=set)

    def steps(self) -> Iterator[Step]:
        """Everything that is done, in its order. Raises Moved before anything is."""
        current = self.applier.gatherer.tags(self.repository)[1]
        self._check(current)
        self._look_again = self.applier.now() + _LOOK_SECONDS
        self._seen = set(self.plan.tags) | set(current)
        deleter = Deleter(self._remote)
        for untag in self.plan.untag:
            yield self._untag(untag, deleter)
        for removal in self.plan.remove:
            yield self._remove(removal, deleter)
        for squash in self.plan.squash:
            yield from self._squash(squash)

    @property
    def _remote(self) -> RemoteRepository:
        return self.applier.client.repository(self.repository)

    def _check(self, current: dict[str, Digest]) -> None:
        """Compare with the plan: only what it takes away may have gone, or been squashed."""
        going = {tag for each in self.plan.remove for tag in each.tags}
        going |= {each.tag for each in self.plan.untag}
        squashed = {tag for each in self.plan.squash for tag in each.tags}
        for tag, digest in self.plan.tags.items():
            found = current.get(tag)
            if found == digest or (found is None and tag in going):
                continue
            if found is not None and tag in squashed and self._is_made_from(found, digest):
                continue
            what = "is gone" if found is None else "points to something else"
            raise Moved(f"{self.repository} moved since it was planned: {tag} {what}; plan again")
        new = sorted(current.keys() - self.plan.tags.keys())
        if new:
            raise Moved(
                f"{self.repository} moved since it was planned: {new[0]} is new; plan again"
            )

    def _is_made_from(self, found: Digest, source: Digest) -> bool:
        """Whether a run that broke off has put this in place of what was planned."""
        return is_made_from(self.applier.client, self.repository, found, source)

    def _untag(self, untag: Untag, deleter: Deleter) -> Step:
        self._look_around()
        found = self._remote.find_manifest(untag.tag)
        tags = (untag.tag,)
        if found is None:
            return Step("untag", untag.digest, tags, "gone", untag.why)
        if found.digest != untag.digest:
            return Step("untag", untag.digest, tags, "left", "it was pushed to meanwhile")
        self._note("untag", untag.digest, tags, untag.why)
        if not deleter.untag(untag.tag):
            return Step("untag", untag.digest, tags, "left", _CANNOT_UNTAG)
        return Step("untag", untag.digest, tags, "untagged", untag.why)

    def _remove(self, removal: Removal, deleter: Deleter) -> Step:
        self._look_around()
        digest, tags = removal.digest, removal.tags
        if self._is_guarded(removal):
            self._guard(digest)
            return Step("delete", digest, tags, "left", "something that was left needs it")
        if self._is_moved(removal):
            self._guard(digest)
            return Step("delete", digest, tags, "left", "a tag of it was pushed to meanwhile")
        if self._remote.find_manifest(digest) is None:
            self.applier.tags.forget_untagged(self.repository, digest)
            return Step("delete", digest, tags, "gone", removal.why)
        self._note("delete", digest, tags, removal.why)
        deleter.delete(digest, tags)
        self.applier.tags.forget_untagged(self.repository, digest)
        return Step("delete", digest, tags, "deleted", removal.why)

    def _is_moved(self, removal: Removal) -> bool:
        found = [self._remote.find_manifest(tag) for tag in removal.tags]
        return any(each is not None and each.digest != removal.digest for each in found)

    def _is_guarded(self, removal: Removal) -> bool:
        """Whether something that was left holds it, or it refers to that."""
        if not self._guarded:
            return False
        subjects = {subject_of_tag(tag) for tag in removal.tags}
        subjects |= {removal.digest, self._node(removal.digest).subject}
        return not self._guarded.isdisjoint(subjects)

    def _node(self, digest: Digest) -> Node:
        raw = self._remote.get_manifest(digest)
        return node_of(digest, raw, f"the manifest {digest} of {self.repository}")

    def _guard(self, digest: Digest) -> None:
        """What is left keeps what it holds, which is in the plan after it."""
        waiting = [digest]
        while waiting:
            each = waiting.pop()
            self._guarded.add(each)
            waiting += self._node(each).children

    def _look_around(self) -> None:
        """Stop where the repository has a tag that nobody planned with: it may need anything."""
        if self.applier.is_stopped():
            raise Stopped(self.repository)
        new = [tag for tag in self._tags() if tag not in self._seen]
        if new:
            raise Moved(
                f"{new[0]} was pushed to {self.repository} meanwhile, so nothing more was deleted "
                "there; plan again"
            )

    def _tags(self) -> Iterable[str]:
        """The tags that are there now. Every few seconds it is asked where all of them point to.

        A tag that stays may be moved back to an image that is about to go, as in a rollback.
        """
        started = self.applier.now()
        if started < self._look_again:
            return self._remote.iter_tags()
        current = self.applier.gatherer.tags(self.repository)[1]
        ended = self.applier.now()
        self._look_again = ended + max(_LOOK_SECONDS, _LOOK_SHARE * (ended - started))
        planned = {each.digest for each in self.plan.remove}
        for tag, digest in current.items():
            if digest in planned and self.plan.tags.get(tag) != digest:
                self._guard(digest)
        return current

    def _squash(self, squash: Squash) -> Iterator[Step]:
        if self.applier.is_stopped():
            raise Stopped(self.repository)
        became: Digest | None = None
        for tag in squash.tags:
            try:
                step = self._squash_tag(squash, tag, became)
            except (TagMoved, NotFound) as error:
                yield Step("squash", squash.digest, (tag,), "left", str(error))
                continue
            if step.outcome in ("squashed", "gone") and step.became is not None:
                became = Digest(step.became)
            yield step
        if became is not None:
            now = self.applier.now()
            self.applier.tags.note_untagged(self.repository, squash.digest, now)

    def _squash_tag(self, squash: Squash, tag: str, became: Digest | None) -> Step:
        found = self._remote.find_manifest(tag)
        if found is None:
            raise TagMoved("the tag has gone meanwhile")
        if found.digest != squash.digest:
            if not self._is_made_from(found.digest, squash.digest):
                raise TagMoved("it was pushed to meanwhile")
            why = "it was squashed before"
            return Step("squash", squash.digest, (tag,), "gone", why, found.digest)
        self._note("squash", squash.digest, (tag,), "the rule squashes it")
        if became is not None:
            self.applier.squasher.retag(self.repository, tag, squash.digest, became)
            return Step("squash", squash.digest, (tag,), "squashed", "", became)
        result = self.applier.squasher.squash(self.repository, tag, squash.digest, self.options)
        if result.digest == squash.digest:
            why = "there is nothing to squash"
            return Step("squash", squash.digest, (tag,), "left", why, result.digest)
        self.saved_bytes += sum(
            each.compressed_before - each.compressed_after for each in result.platforms
        )
        return Step("squash", squash.digest, (tag,), "squashed", "", result.digest)

    def _note(self, action: str, digest: Digest, tags: tuple[str, ...], why: str) -> None:
        raw: RawManifest = self._remote.get_manifest(digest)
        self.applier.log.note(Entry(action, self.rule, self.repository, digest, tags, why, raw))
