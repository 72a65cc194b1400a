"""Applying exactly the steps of a plan, while others may push to the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from squashproxy.cancellation import Cancellation
from squashproxy.cleanup.apply.audit_log import AuditTrail
from squashproxy.cleanup.apply.remove import Remover
from squashproxy.cleanup.apply.site import Site
from squashproxy.cleanup.apply.squash_in_place import InPlaceSquasher, InPlaceSteps
from squashproxy.cleanup.apply.watch import Watch
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.plan import RepositoryPlan
from squashproxy.cleanup.provenance import is_made_from
from squashproxy.cleanup.results import RepositoryResult, Step, StepOutcome
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.options import CopyOptions
from squashproxy.reference import Repository, parse_repository
from squashproxy.registry.client import RegistryClient
from squashproxy.state.tags import TagMemory


class Moved(SquashproxyError):
    """The repository changed after the plan was made."""


class RepositoryApplier(Protocol):
    """Applies the plans of single repositories; usable from several threads."""

    def apply(
        self, rule: str, plan: RepositoryPlan, options: CopyOptions, *, is_exact: bool = False
    ) -> RepositoryResult:
        """Apply the plan of one repository; its errors are part of the result."""
        ...


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies the plans of repositories in this process; `now` gives unix seconds.

    `cancellation` is asked between steps, so that a shutdown leaves no step half done. `on_step` is
    called with each step and its repository.
    """

    client: RegistryClient
    graph_loader: GraphLoader
    tags: TagMemory
    squasher: InPlaceSquasher
    log: AuditTrail
    now: Callable[[], float]
    cancellation: Cancellation
    on_step: Callable[[str, Step], None]

    def apply(
        self, rule: str, plan: RepositoryPlan, options: CopyOptions, *, is_exact: bool = False
    ) -> RepositoryResult:
        """Apply the plan of one repository; its errors are part of the result.

        What others push, move or delete after the plan was made stays, with everything it needs.
        With `is_exact`, nothing is done in a repository that changed before this call.
        """
        if plan.problem is not None or not plan.deletions:
            return untouched(rule, plan)
        steps: list[Step] = []

        def tell(step: Step) -> None:
            steps.append(step)
            self.on_step(plan.repository, step)

        repository = parse_repository(plan.repository)
        remote = self.client.repository(repository)
        site = Site(remote, rule, self.log, self.tags, self.now, self.cancellation, tell)
        squasher = InPlaceSteps(site, self.squasher, options)
        problem: SquashproxyError | None = None
        try:
            if is_exact:
                self._check(repository, plan, self.graph_loader.tags(repository)[1])
            watch = Watch(plan.tags, [each.tag for each in plan.kept])
            Remover(site, self.graph_loader, watch).run(plan)
            squasher.run(plan.squash)
        except SquashproxyError as error:
            problem = error
        done = {
            step.digest for step in steps if step.outcome in (StepOutcome.DELETED, StepOutcome.GONE)
        }
        done -= {Digest(step.digest) for step in steps if step.outcome == StepOutcome.RESTORED}
        planned = {each.digest for each in plan.remove}
        return RepositoryResult(
            rule=rule,
            repository=plan.repository,
            steps=tuple(steps),
            freed_bytes=plan.freed_bytes if done >= planned else 0,
            saved_bytes=squasher.saved_bytes,
            problem=None if problem is None else str(problem),
            distinct_before=squasher.distinct.plain,
            distinct_after=squasher.distinct.held,
        )

    def _check(
        self, repository: Repository, plan: RepositoryPlan, current: Mapping[str, Digest]
    ) -> None:
        """Compare the repository with the plan: only the plan's own steps may be done already."""
        going = {tag for each in plan.remove for tag in each.tags}
        going |= {each.tag for each in plan.untag}
        squashed = {tag for each in plan.squash for tag in each.tags}
        for tag, digest in plan.tags.items():
            found = current.get(tag)
            if found == digest or (found is None and tag in going):
                continue
            what = "is gone"
            if found is not None:
                if tag in squashed and is_made_from(self.client, repository, found, digest):
                    continue
                what = "points to something else"
            raise Moved(f"{repository} moved since it was planned: {tag} {what}; plan again")
        new = sorted(current.keys() - plan.tags.keys())
        if new:
            raise Moved(f"{repository} moved since it was planned: {new[0]} is new; plan again")


def untouched(rule: str, plan: RepositoryPlan) -> RepositoryResult:
    """The result for a repository with nothing to do, or without a plan."""
    return RepositoryResult(rule, plan.repository, (), 0, 0, plan.problem)
