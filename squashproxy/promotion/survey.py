"""The survey of a rule's source: the images that it lists, and those that the rule chooses.

All input comes from registries, which may answer anything. A fault of one repository, tag or image
becomes a problem in the result; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from squashproxy.catalog.dates import created_at
from squashproxy.catalog.repositories import Found, find_repositories, is_listed
from squashproxy.catalog.tags import side_by_side
from squashproxy.config.promote import PromoteRule
from squashproxy.config.succession import Route
from squashproxy.digest import Digest
from squashproxy.errors import NotFound, SquashproxyError
from squashproxy.printable import quoted
from squashproxy.promotion.pairs import Pair
from squashproxy.promotion.steps import Sighting
from squashproxy.promotion.tag_filter import choose_tags
from squashproxy.reference import Reference, Repository, is_tag
from squashproxy.registry.client import RegistryClient, RemoteRepository
from squashproxy.rules.dates import is_ahead
from squashproxy.rules.patterns import unmatched
from squashproxy.rules.repository_patterns import RepositoryPattern
from squashproxy.state.manifests import ManifestMemory

_Result = TypeVar("_Result")
_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Survey:
    """Surveys the source of one rule; `warnings` and `problems` collect sentences."""

    rule: PromoteRule
    client: RegistryClient
    manifests: ManifestMemory
    now: Callable[[], float]
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def find(self, pattern: RepositoryPattern) -> Found:
        """The repositories. Raises RegistryError where none can be listed."""
        found = find_repositories(self.client, [pattern])
        self.warnings.extend(f"{self.rule.name}: {text}" for text in found.warnings)
        return found

    def look(self, found: Found) -> list[Sighting]:
        """List the tags of repositories."""
        sightings = side_by_side(partial(self.look_at, found.listed), found.repositories)
        return [each for each in sightings if each is not None]

    def note_vain(self, seen: Sequence[Sighting], pairs: Sequence[Pair]) -> None:
        """Warn of patterns that no tag of all these repositories matches."""
        self.warnings.extend(_vain(self.rule, seen, pairs))

    def pinned(self, route: Route) -> list[Pair]:
        """The images that the rule pins, with their targets."""
        pins = self.rule.pins.items()
        sources = [(source, tag) for source, tags in pins for tag in tags]
        return list(self._aimed(route, sources, None))

    def look_at(self, listed: frozenset[Repository], repository: Repository) -> Sighting | None:
        """The tags of a repository; one that is listed may have none, and answer 404 for that."""
        try:
            tags = tuple(self.client.repository(repository).iter_listed_names())
        except SquashproxyError as error:
            if isinstance(error, NotFound) and (
                repository in listed or is_listed(self.client, repository)
            ):
                return Sighting(repository, (), is_sound=False)
            self._tell(error)
            return None
        good = tuple(tag for tag in tags if is_tag(tag))
        if len(good) < len(tags):
            bad = next(tag for tag in tags if not is_tag(tag))
            self._tell(
                f"{repository} lists {len(tags) - len(good):,} names that are no tags, such as "
                f"{quoted(bad, _MOST_SHOWN)}; they are left out"
            )
        return Sighting(repository, good, is_sound=len(good) == len(tags))

    def choose(self, route: Route, sighting: Sighting) -> Iterator[Pair]:
        """The images of a repository that the rule chooses, with their targets."""
        try:
            tags = choose_tags(
                sighting.tags, self.rule.tags, self._dates_of(sighting.repository), self.now()
            )
        except SquashproxyError as error:
            self._tell(error)
            return
        sources = [(Reference(sighting.repository, tag), tag) for tag in tags]
        yield from self._aimed(route, sources, frozenset(sighting.tags))

    def _aimed(
        self, route: Route, sources: Iterable[tuple[Reference, str]], tags: frozenset[str] | None
    ) -> Iterator[Pair]:
        """The sources with their targets. One whose target would be too long becomes a problem."""
        unnamed: list[ValueError] = []
        for source, tag in sources:
            try:
                target = route.template.target(source.repository, tag)
            except ValueError as error:
                unnamed.append(error)
            else:
                yield Pair(source, target, tags)
        self._tell_first(unnamed)

    def _dates_of(
        self, repository: Repository
    ) -> Callable[[Sequence[str]], dict[str, float | None]]:
        remote = self.client.repository(repository)

        def dates(tags: Sequence[str]) -> dict[str, float | None]:
            there = zip(tags, self._each(remote, _find, tags), strict=True)
            digests = {tag: digest for tag, digest in there if digest is not None}
            first = {digest: tag for tag, digest in reversed(digests.items())}

            def date_of(remote: RemoteRepository, tag: str) -> tuple[float | None]:
                return (created_at(remote, digests[tag], self.manifests),)

            found = self._each(remote, date_of, first.values())
            by_digest = {digest: date[0] for digest, date in zip(first, found, strict=True) if date}
            ahead = sorted(
                first[digest] for digest, date in by_digest.items() if is_ahead(date, self.now())
            )
            if ahead:
                self.warnings.append(_ahead(repository, ahead))
            return {tag: by_digest[each] for tag, each in digests.items() if each in by_digest}

        return dates

    def _each(
        self,
        remote: RemoteRepository,
        function: Callable[[RemoteRepository, str], _Result | None],
        items: Iterable[str],
    ) -> list[_Result | None]:
        """Apply a function to each item; one that cannot be read becomes a problem, and gives None.

        A temporary error is raised instead, since the dates would be incomplete.
        """
        failures: list[str] = []

        def attempt(item: str) -> _Result | None:
            try:
                return function(remote, item)
            except SquashproxyError as error:
                if error.temporary:
                    raise
                failures.append(f"{remote.name}: {item} has no date: {error}")
                return None

        found = side_by_side(attempt, items)
        self._tell_first(failures)
        return found

    def _tell_first(self, sentences: Sequence[object]) -> None:
        """Report the first of many similar problems, with their number: there may be thousands."""
        more = f" (and {len(sentences) - 1:,} more)" if len(sentences) > 1 else ""
        for sentence in sentences[:1]:
            self._tell(f"{sentence}{more}")

    def _tell(self, problem: object) -> None:
        self.problems.append(f"{self.rule.name}: {problem}")


def _find(remote: RemoteRepository, tag: str) -> Digest | None:
    found = remote.find_manifest(tag)
    return None if found is None else found.digest


def _vain(rule: PromoteRule, seen: Sequence[Sighting], pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield a sentence for each rule or pattern that matches nothing, often a typing error."""
    names = sorted({tag for sighting in seen for tag in sighting.tags})
    if not names:
        if seen:
            yield f"{rule.name}: there is no tag in {rule.source}"
        return
    for sentence in unmatched((*rule.tags.include, *rule.tags.exclude), names):
        yield f"{rule.name}: {sentence}"
    if not pairs:
        yield f"{rule.name}: none of {len(names)} tags in {rule.source} passes every condition"


def _ahead(repository: Repository, tags: Sequence[str]) -> str:
    more = f" and {len(tags) - 1:,} more" if len(tags) > 1 else ""
    return (
        f"{repository}:{tags[0]}{more}: the date lies in the future, so it counts as unknown; set "
        "the clock of the machine that builds it"
    )
