"""Restoring a manifest that was deleted at the moment when others began to need it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from squashproxy.cleanup.apply.site import Site
from squashproxy.cleanup.apply.watch import Vanished, Watch
from squashproxy.cleanup.graph import in_order, subject_of_tag
from squashproxy.cleanup.results import Step, StepOutcome
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.reference import Repository

_MOST_NAMED = 3


class TakenAlong(SquashproxyError):
    """A tag to keep vanished with a deletion, since it had just been moved to that manifest."""

    def __init__(self, repository: Repository, taken: Sequence[Vanished]) -> None:
        parts = []
        for each in taken[:_MOST_NAMED]:
            if len(each.suspects) == 1:
                parts.append(
                    f"{each.tag} vanished while {each.suspects[0]} was deleted: it had just been "
                    "moved there, so both were put back"
                )
            else:
                parts.append(
                    f"{each.tag} vanished while {len(each.suspects)} manifests were deleted: it "
                    "had just been moved to one of them, so these were put back without the tag "
                    f"({', '.join(each.suspects[:_MOST_NAMED])}...)"
                )
        super().__init__(
            f"{repository}: {'; '.join(parts)}; nothing more was deleted there: see that "
            f"{', '.join(each.tag for each in taken[:_MOST_NAMED])} points where it should, then "
            "plan again"
        )


class TookManifest(SquashproxyError):
    """A registry deleted a manifest although only one of its tags was to be deleted."""

    def __init__(self, repository: Repository, tag: str) -> None:
        super().__init__(
            f"{repository}: deleting the tag {tag} took its whole image away, with its other tags; "
            "that was put back and nothing more was done: this registry cannot delete a tag alone"
        )


class NotRestored(SquashproxyError):
    """A manifest that is needed was deleted and cannot be put back."""


class Restorer:
    """Puts manifests of one repository back; their bytes were read before they were deleted."""

    def __init__(self, site: Site, watch: Watch) -> None:
        self._site = site
        self._watch = watch

    def put_back(self, digest: Digest, tags: Sequence[str], why: str) -> None:
        """Put a manifest back, with its tags, except tags that point to another image now.

        Raises NotRestored.
        """
        remote = self._site.remote
        try:
            raw = remote.get_manifest(digest)
            tags = [tag for tag in tags if remote.find_manifest(tag) is None]
            for selector in tags or (digest,):
                remote.put_manifest(raw, selector)
        except SquashproxyError as error:
            raise NotRestored(
                f"{digest} of {remote.name} was deleted in the moment in which it began to be "
                f"needed, and it cannot be put back: {error}",
                advice=f"undo {self._site.log.path} to try it again",
            ) from error
        self._watch.note_restored(digest, tags)
        if not tags:
            self._site.tags.note_untagged(remote.name, digest, self._site.now())
        self._site.tell(Step("restore", digest, tuple(tags), StepOutcome.RESTORED, why))

    def put_back_deleted(self, digests: Iterable[Digest], why: str) -> None:
        """Put back all of these manifests, their children and their referrers that were deleted.

        The tags that were deleted with them stay deleted, since the rule does not keep them.
        """
        deleted = [each for each in digests if self._watch.is_deleted(each)]
        if not deleted:
            return
        for digest in in_order(self._belonging_to(deleted), self._children):
            self.put_back(digest, self._own_tags(digest), why)

    def put_back_suspects(self, vanished: Vanished) -> None:
        """Put back every manifest that a tag may have vanished with; a single one with the tag."""
        self.put_back_deleted(vanished.suspects, f"{vanished.tag} vanished with it")
        if len(vanished.suspects) == 1:
            self.put_back(vanished.suspects[0], (vanished.tag,), "it had just been moved there")

    def _belonging_to(self, roots: Iterable[Digest]) -> set[Digest]:
        """All of these manifests, their children and the referrers of any of them, if deleted."""
        referrers: defaultdict[Digest, list[Digest]] = defaultdict(list)
        for digest, tags in self._watch.deleted():
            subjects = {self._site.read_node(digest).subject, *map(subject_of_tag, tags)}
            for subject in subjects:
                if subject is not None:
                    referrers[subject].append(digest)
        found: set[Digest] = set()
        waiting = list(roots)
        while waiting:
            digest = waiting.pop()
            if digest not in found and self._watch.is_deleted(digest):
                found.add(digest)
                waiting += (*self._children(digest), *referrers[digest])
        return found

    def _children(self, digest: Digest) -> tuple[Digest, ...]:
        return self._site.read_node(digest).children

    def _own_tags(self, digest: Digest) -> tuple[str, ...]:
        """The tags by which a manifest refers to another one, as cosign's do."""
        return tuple(tag for tag in self._watch.tags_with(digest) if subject_of_tag(tag))
