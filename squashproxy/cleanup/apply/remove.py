"""Deleting and untagging in one repository while others may push to it.

1. A tag is looked up right before it is deleted, and right before the manifest that it points to
   is deleted. If somebody pushed to it, it stays.
2. A tag that others move or create protects what it points to from then on (Guard). The rest of the
   plan stays right: a new tag is no reason to keep an old one.
3. All tags are looked at again and again, those most likely to move right before each deletion
   (Watch). A manifest that is needed, and was deleted just before that was seen, is put back.
4. A tag that vanished together with a manifest is put back with it, and the repository is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from squashproxy.catalog.tags import side_by_side
from squashproxy.cleanup.apply.guard import Guard
from squashproxy.cleanup.apply.restore import Restorer, TakenAlong, TookManifest
from squashproxy.cleanup.apply.site import Site
from squashproxy.cleanup.apply.untag import Untagger
from squashproxy.cleanup.apply.watch import Changes, Vanished, Watch
from squashproxy.cleanup.load_graph import GraphLoader
from squashproxy.cleanup.plan import Removal, RepositoryPlan, Untag
from squashproxy.cleanup.results import Step, StepOutcome
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, RegistryError, SquashproxyError

_CANNOT_UNTAG = (
    "this registry deletes no tag alone, and what it points to is needed; it stays until that goes"
)
_PUSHED_TO = "it was pushed to meanwhile"
_TAG_PUSHED_TO = "a tag of it was pushed to meanwhile"
_NEEDED = "something that stays needs it"
_STILL_TAGGED = "its registry says that something still points to it"
_TAGS_FIRST = frozenset({400, 403, 409, 412})
"""The status codes with which registries refuse to delete a digest while tags point to it."""


@dataclass(frozen=True, slots=True)
class _End:
    """How the removal of a manifest ended, the reason, and which tags were removed with it."""

    outcome: StepOutcome
    why: str
    tags: tuple[str, ...] = ()


class Remover:
    """Carries out the untaggings and deletions of a plan, in its order."""

    def __init__(self, site: Site, graph_loader: GraphLoader, watch: Watch) -> None:
        self._site = site
        self._graph_loader = graph_loader
        self._watch = watch
        self._remote = site.remote
        self._untagger = Untagger(site.remote)
        self._guard = Guard(site.read_node)
        self._restorer = Restorer(site, watch)
        self._tags_go_alone = False

    def run(self, plan: RepositoryPlan) -> None:
        """Carry out all of them. Raises SquashproxyError.

        However it ends, the last deletions are checked first.
        """
        try:
            self._run(plan)
        except SquashproxyError:
            with suppress(TakenAlong):  # a manifest that was put back is reported as a step
                self._look_last()
            raise
        self._look_last()

    def _run(self, plan: RepositoryPlan) -> None:
        for untag in plan.untag:
            self._look_around()
            self._untag(untag)
            self._watch.note_step()
        for removal in plan.remove:
            self._look_around()
            self._remove(removal)
            self._watch.note_step()

    def _untag(self, untag: Untag) -> None:
        tag, digest = untag.tag, untag.digest
        number = self._site.begin("untag", digest, (tag,), untag.why)
        if not self._tags_go_alone:
            self._glance_again()
        found = self._ask([tag])[tag]
        outcome, why = StepOutcome.UNTAGGED, untag.why
        if found is None:
            outcome = StepOutcome.GONE
        elif found != digest:
            outcome, why = StepOutcome.LEFT, _PUSHED_TO
        elif not self._untagger.untag(tag):
            outcome, why = StepOutcome.LEFT, _CANNOT_UNTAG
        self._site.log.end(number, outcome, (tag,))
        self._tell("untag", digest, (tag,), outcome, why)
        if outcome == StepOutcome.UNTAGGED:
            self._watch.note_untagged(tag)
            self._check_survival(digest, tag)

    def _check_survival(self, digest: Digest, tag: str) -> None:
        """Raise TookManifest where the registry deleted a manifest along with its tag."""
        if self._remote.find_manifest(digest) is not None:
            self._tags_go_alone = True
            return
        tags = self._watch.tags_of(digest)
        self._watch.note_deleted(digest, tags)
        self._restorer.put_back(digest, tags, f"it went with its tag {tag}")
        raise TookManifest(self._site.repository, tag)

    def _remove(self, removal: Removal) -> None:
        digest, tags = removal.digest, removal.tags
        if self._guard.holds(digest, tags):
            self._leave(removal, _NEEDED)
            return
        try:
            number = self._site.begin("delete", digest, tags, removal.why)
        except NotFound:
            self._forget(removal, StepOutcome.GONE)
            return
        try:
            there, end = self._ask_again(removal)
        except SquashproxyError:
            self._site.log.end(number, StepOutcome.LEFT, ())
            raise
        end = end or self._delete(removal, there)
        self._site.log.end(number, end.outcome, end.tags)
        if end.outcome == StepOutcome.LEFT:
            self._leave(removal, end.why)
        else:
            self._forget(removal, end.outcome)

    def _ask_again(self, removal: Removal) -> tuple[tuple[str, ...], _End | None]:
        """The tags that still point to the manifest, and the end of its removal if it stays."""
        digest = removal.digest
        at = self._ask(removal.tags)
        there = tuple(tag for tag in removal.tags if at[tag] == digest)
        if not there and self._remote.find_manifest(digest) is None:
            return (), _End(StepOutcome.GONE, removal.why)
        if self._watch.needs_glance:
            self._glance()
        self._ask(self._watch.spots)
        if any(found not in (None, digest) for found in at.values()):
            return (), _End(StepOutcome.LEFT, _TAG_PUSHED_TO)
        if self._guard.holds(digest, removal.tags):
            return (), _End(StepOutcome.LEFT, _NEEDED)
        return there, None

    def _delete(self, removal: Removal, there: tuple[str, ...]) -> _End:
        digest = removal.digest
        try:
            self._remote.delete_manifest(digest)
        except RegistryError as error:
            if not there or error.status not in _TAGS_FIRST:
                raise
            why_left = self._delete_tags_first(removal, there, error)
            if why_left is not None:
                return _End(StepOutcome.LEFT, why_left)
        self._watch.note_deleted(digest, there)
        self._clear(there, digest)
        return _End(StepOutcome.DELETED, removal.why, there)

    def _delete_tags_first(
        self, removal: Removal, tags: Sequence[str], refusal: RegistryError
    ) -> str | None:
        """Delete a manifest after its tags; return why it was left, None if it was deleted."""
        digest = removal.digest
        for tag in tags:
            number = self._site.begin("untag", digest, (tag,), removal.why)
            self._glance_again()
            found = self._ask([tag])[tag]
            is_wanted = self._guard.holds(digest, removal.tags)
            is_done = found == digest and not is_wanted and self._untagger.untag(tag)
            self._site.log.end(
                number, StepOutcome.UNTAGGED if is_done else StepOutcome.LEFT, (tag,)
            )
            if is_done:
                self._watch.note_untagged(tag)
                if self._remote.find_manifest(digest) is None:
                    return None
            elif is_wanted:
                return _NEEDED
            elif found == digest:
                raise refusal
            elif found is not None:
                return _TAG_PUSHED_TO
        self._glance_again()
        if self._guard.holds(digest, removal.tags):
            return _NEEDED
        try:
            self._remote.delete_manifest(digest)
        except RegistryError as error:
            if error.status not in _TAGS_FIRST:
                raise
            return _STILL_TAGGED
        return None

    def _clear(self, tags: Iterable[str], digest: Digest) -> None:
        """Delete tags that some registries keep after their manifest was deleted by digest."""
        for tag in tags:
            found = self._remote.recheck_tag(tag)
            if found is not None and found.digest == digest:
                self._untagger.untag(tag)

    def _leave(self, removal: Removal, why: str) -> None:
        """Leave a manifest, and with it everything below it, which comes later in the plan."""
        self._guard.protect(removal.digest)
        self._tell("delete", removal.digest, removal.tags, StepOutcome.LEFT, why)

    def _forget(self, removal: Removal, outcome: StepOutcome) -> None:
        """Record that children lost their index, for a later run if this one breaks off."""
        site = self._site
        if outcome == StepOutcome.DELETED:
            for child in site.read_node(removal.digest).children:
                site.tags.note_untagged(site.repository, child, site.now())
        site.tags.forget_untagged(site.repository, removal.digest)
        self._tell("delete", removal.digest, removal.tags, outcome, removal.why)

    def _ask(self, tags: Sequence[str]) -> dict[str, Digest | None]:
        """Ask where tags point now, and take in what others pushed."""
        found = side_by_side(self._remote.find_manifest, tags)
        at = {
            tag: None if each is None else each.digest
            for tag, each in zip(tags, found, strict=True)
        }
        self._take_in(self._watch.compare(at))
        return at

    def _look_around(self) -> None:
        """Look at all tags if a look is due. Raises Stopped and TakenAlong."""
        self._site.check_stopped()
        if self._watch.needs_look:
            self._look()

    def _look_last(self) -> None:
        if self._watch.needs_last_look:
            self._look()

    def _look(self) -> None:
        listed, tags = self._graph_loader.tags(self._site.repository)
        missing = [tag for tag in self._watch.questions(listed.tags) if tag not in tags]
        at = {tag: tags.get(tag) for tag in listed.tags} | self._find(missing)
        self._take_in(self._watch.compare(at, listed.tags))
        self._watch.note_look(listed.pages)

    def _glance_again(self) -> None:
        """Glance a second time within a step, if there are few enough names."""
        if self._watch.glances_every_step:
            self._glance()

    def _glance(self) -> None:
        tags = self._remote.list_tags()
        listed = set(tags.tags)
        found = self._find(self._watch.questions(listed))
        self._take_in(self._watch.compare(found, listed))
        self._watch.note_glance(tags.pages)

    def _find(self, tags: Sequence[str]) -> dict[str, Digest | None]:
        found = side_by_side(self._remote.find_manifest, tags)
        return {
            tag: None if each is None else each.digest
            for tag, each in zip(tags, found, strict=True)
        }

    def _take_in(self, changes: Changes) -> None:
        """Protect the manifests that others need now, and put back those deleted already."""
        for digest in changes.wanted:
            needed = self._guard.protect(digest)
            self._restorer.put_back_deleted(needed, "somebody has just pushed what needs it")
        taken = [each for each in changes.vanished if self._may_be_ours(each)]
        for each in taken:
            self._restorer.put_back_suspects(each)
        if taken:
            raise TakenAlong(self._site.repository, taken)

    def _may_be_ours(self, vanished: Vanished) -> bool:
        """Whether a tag may have vanished with a manifest that this cleanup deleted.

        If the manifest it pointed to before is gone as well, somebody else deleted it.
        """
        if not vanished.suspects:
            return False
        return self._remote.find_manifest(vanished.before) is not None

    def _tell(
        self, action: str, digest: Digest, tags: tuple[str, ...], outcome: StepOutcome, why: str
    ) -> None:
        self._site.tell(Step(action, digest, tags, outcome, why))
