"""What a rule would do: for each image one HEAD on each side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from squashproxy.config.promote import OnExisting, PromoteRule, Signed
from squashproxy.digest import Digest
from squashproxy.errors import SquashproxyError
from squashproxy.pipeline.copy import compare_image
from squashproxy.pipeline.options import CopyOptions
from squashproxy.progress import Tally, untold
from squashproxy.promotion.choosing import choose_tags
from squashproxy.promotion.signatures import Attached, find_attached
from squashproxy.reference import Reference, Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.selection.patterns import unmatched
from squashproxy.selection.targets import TargetTemplate, base_repository
from squashproxy.state.manifests import ManifestMemory
from squashproxy.survey.dates import created_at
from squashproxy.survey.repositories import (
    RepositoryPattern,
    find_repositories,
    parse_repository_pattern,
)
from squashproxy.survey.tags import side_by_side
from squashproxy.transports.registry import RegistrySink, RegistrySource


@dataclass(frozen=True, slots=True)
class Step:
    """One image: from where to where, with which options, and what is to be done.

    `outcome` is `copy`, or how it ended already: `current`, `kept`, `refused` or `failed`.
    """

    rule: PromoteRule
    source: Reference
    target: Reference
    options: CopyOptions
    outcome: str
    source_digest: Digest | None = None
    existing: Digest | None = None
    attached: Attached = field(default_factory=Attached)
    error: SquashproxyError | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A repository of the source, and all its tags when it was looked at."""

    repository: Repository
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleSteps:
    """What a rule would do; `seen` are the repositories that it looked through."""

    rule: PromoteRule
    steps: tuple[Step, ...]
    seen: tuple[Sighting, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    source: Reference
    target: Reference
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans rules; `now` gives unix seconds, `options` holds what no rule says, `tally` counts."""

    client: RegistryClient
    manifests: ManifestMemory
    options: CopyOptions
    now: Callable[[], float]
    tally: Tally = untold

    def plan(self, rule: PromoteRule) -> RuleSteps:
        """All that a rule is about. An image that cannot be looked at has failed already.

        Raises UsageError for a rule that cannot work, RegistryError where repositories cannot be
        listed.
        """
        warnings: list[str] = []
        problems: list[str] = []
        seen: list[Sighting] = []
        pattern = None if rule.source is None else parse_repository_pattern(rule.source)
        template = TargetTemplate(rule.target, "" if pattern is None else pattern.fixed)
        if pattern is None:
            pairs = list(_pinned(rule, template))
        else:
            seen, warnings, problems = self._look_through(rule, pattern)
            pairs = self._choose(rule, template, seen, problems)
            warnings += _vain(rule, seen, pairs)
        options = self._options_of(rule, template.host)
        steps = side_by_side(
            lambda pair: self._step(rule, pair, options),
            pairs,
            tally=self.tally,
            label=f"{rule.name}: compared",
        )
        warnings += _clashes(steps)
        return RuleSteps(rule, tuple(steps), tuple(seen), tuple(warnings), tuple(problems))

    def _look_through(
        self, rule: PromoteRule, pattern: RepositoryPattern
    ) -> tuple[list[Sighting], list[str], list[str]]:
        """The repositories with their tags; one that cannot be listed stops only itself."""
        found = find_repositories(self.client, [pattern])
        problems: list[str] = []

        def look(repository: Repository) -> Sighting | None:
            try:
                tags = tuple(self.client.repository(repository).iter_tags())
            except SquashproxyError as error:
                problems.append(f"{rule.name}: {error}")
                return None
            return Sighting(repository, tags)

        sightings = side_by_side(look, found.repositories)
        seen = [each for each in sightings if each is not None]
        return seen, [f"{rule.name}: {text}" for text in found.warnings], problems

    def _choose(
        self,
        rule: PromoteRule,
        template: TargetTemplate,
        seen: Sequence[Sighting],
        problems: list[str],
    ) -> list[_Pair]:
        pairs: list[_Pair] = []
        for sighting in seen:
            try:
                tags = self._tags(rule, sighting)
            except SquashproxyError as error:
                problems.append(f"{rule.name}: {error}")
                continue
            known = frozenset(sighting.tags)
            pairs += [
                _Pair(
                    Reference(sighting.repository, tag),
                    template.target(sighting.repository, tag),
                    known,
                )
                for tag in tags
            ]
        return pairs

    def _tags(self, rule: PromoteRule, sighting: Sighting) -> list[str]:
        remote = self.client.repository(sighting.repository)

        def dates(tags: Sequence[str]) -> dict[str, float | None]:
            there = zip(tags, side_by_side(remote.find_manifest, tags), strict=True)
            digests = {tag: each.digest for tag, each in there if each is not None}
            wanted = list(dict.fromkeys(digests.values()))
            found = side_by_side(lambda each: created_at(remote, each, self.manifests), wanted)
            by_digest = dict(zip(wanted, found, strict=True))
            return {tag: by_digest[digest] for tag, digest in digests.items()}

        return choose_tags(sighting.tags, rule.tags, dates, self.now())

    def _options_of(self, rule: PromoteRule, host: str) -> CopyOptions:
        return replace(
            self.options,
            base=rule.base,
            base_repos=tuple(base_repository(text, host) for text in rule.base_repos),
            platforms=rule.platforms,
            compression=rule.compression,
            strict=rule.strict,
            verify=rule.verify,
            provenance=rule.provenance,
            backup=rule.backup if rule.on_existing is OnExisting.BACKUP else None,
        )

    def _step(self, rule: PromoteRule, pair: _Pair, options: CopyOptions) -> Step:
        step = Step(rule, pair.source, pair.target, options, "copy")
        try:
            return self._compared(step, pair.tags)
        except SquashproxyError as error:
            return replace(step, outcome="failed", error=error)

    def _compared(self, step: Step, tags: frozenset[str]) -> Step:
        source = RegistrySource(self.client, step.source)
        sink = RegistrySink(self.client, step.target)
        standing = compare_image(source, sink, step.options)
        step = replace(step, source_digest=standing.source_digest, existing=standing.existing)
        if standing.up_to_date:
            return replace(step, outcome="current")
        if standing.existing is not None and step.rule.on_existing is OnExisting.KEEP:
            return replace(step, outcome="kept")
        remote = self.client.repository(step.source.repository)
        attached = find_attached(remote, standing.source_digest, tags)
        step = replace(step, attached=attached)
        if attached and step.rule.signed is Signed.REFUSE:
            return replace(step, outcome="refused", error=SignedImage(step.source, attached))
        return step


class SignedImage(SquashproxyError):
    """An image that squashing would take its signatures from, and the rule refuses that."""

    def __init__(self, source: Reference, attached: Attached) -> None:
        super().__init__(
            f"{source} has {attached}, which would not be true of a squashed image; let the rule "
            "say signed: copy or signed: warn"
        )


def _pinned(rule: PromoteRule, template: TargetTemplate) -> Iterator[_Pair]:
    for source, tags in rule.pins.items():
        for tag in tags:
            yield _Pair(source, template.target(source.repository, tag), frozenset())


def _vain(rule: PromoteRule, seen: Sequence[Sighting], pairs: Sequence[_Pair]) -> Iterator[str]:
    """Rules and patterns that match nothing are often slips of the pen."""
    names = sorted({tag for sighting in seen for tag in sighting.tags})
    if not names:
        if seen:
            yield f"{rule.name}: there is no tag in {rule.source}"
        return
    for sentence in unmatched((*rule.tags.include, *rule.tags.exclude), names):
        yield f"{rule.name}: {sentence}"
    if not pairs:
        yield f"{rule.name}: none of {len(names)} tags in {rule.source} passes every condition"


def _clashes(steps: Sequence[Step]) -> Iterator[str]:
    """Two sources for one target: the last would win, and each run would copy both."""
    seen: dict[Reference, Step] = {}
    for step in steps:
        other = seen.setdefault(step.target, step)
        if other is not step:
            yield (
                f"{step.rule.name}: {other.source} and {step.source} both go to {step.target}; "
                "write {path} or {tag} into `to`"
            )
