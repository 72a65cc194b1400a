"""Retention: the tags that a rule keeps, and why. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from squashproxy.cleanup.graph import Graph
from squashproxy.config.cleanup import Candidates, CleanupRule, Keep
from squashproxy.digest import Digest
from squashproxy.rules.dates import believable, is_ahead
from squashproxy.rules.patterns import matches_any


@dataclass(frozen=True, slots=True)
class InUse:
    """The images of one repository that are in use, by tag or digest, with the file that names
    them.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[Digest, str] = field(default_factory=dict)


NOTHING_IN_USE = InUse()


@dataclass(frozen=True, slots=True)
class Decision:
    """The tags to keep, with reasons, and the candidates for deletion."""

    kept: Mapping[str, str]
    candidates: tuple[str, ...]


def decide(graph: Graph, rule: CleanupRule, in_use: InUse, now: float) -> Decision:
    """Decide on each tag: one reason to keep it is enough. An image without a date is never too
    old.

    A companion tag is kept if a pattern names it, and otherwise with the manifest it belongs to.
    """
    companions = graph.companions
    reasons = _Reasons(graph, rule, in_use, now)
    kept: dict[str, str] = {}
    candidates: list[str] = []
    for tag in sorted(graph.tags):
        of = reasons.by_name if tag in companions else reasons.of
        reason = next(of(tag), None)
        if reason is not None:
            kept[tag] = reason
        elif tag not in companions:
            candidates.append(tag)
    return Decision(kept, tuple(candidates))


class _Reasons:
    def __init__(self, graph: Graph, rule: CleanupRule, in_use: InUse, now: float) -> None:
        self._graph = graph
        self._rule = rule
        self._in_use = in_use
        self._now = now
        self._newest = _newest(graph, rule.tags, rule.keep, now)

    def of(self, tag: str) -> Iterator[str]:
        """The reasons to keep a tag, the simplest one first."""
        keep, digest = self._rule.keep, self._graph.tags[tag]
        if not is_about(self._rule.tags, tag):
            yield "the rule is not about it"
        yield from self.by_name(tag)
        if keep.semver is not None and keep.semver.holds(tag):
            yield f"it is within {keep.semver}"
        if digest in self._in_use.digests:
            yield f"its image is in use ({self._in_use.digests[digest]})"
        if tag in self._newest:
            yield self._newest[tag]
        yield from self._ages(digest)

    def by_name(self, tag: str) -> Iterator[str]:
        """The reasons to keep a tag that follow from its name alone."""
        for pattern in self._rule.keep.tags:
            if pattern.matches(tag):
                yield f"it matches {pattern}"
        if tag in self._in_use.tags:
            yield f"it is in use ({self._in_use.tags[tag]})"

    def _ages(self, digest: Digest) -> Iterator[str]:
        keep, graph = self._rule.keep, self._graph
        looks: tuple[tuple[str, float | None, Callable[[Digest], float | None]], ...] = (
            ("made", keep.younger_than, lambda each: made_at(graph, each, self._now)),
            ("pushed", keep.pushed_within, graph.pushed.get),
            ("pulled", keep.pulled_within, graph.pulled.get),
        )
        for word, within, find in looks:
            if within is None:
                continue
            moment = find(digest)
            if moment is None and word != "pulled":
                yield f"nobody knows when it was {word}"
            elif moment is not None and self._now - moment < within:
                yield f"it was {word} within {within:g} s"


def made_at(graph: Graph, digest: Digest, now: float) -> float | None:
    """When an image was made, in unix seconds; None where that is unknown."""
    return believable(graph.created.get(digest), now)


def dated_ahead(graph: Graph, now: float) -> list[str]:
    """The tags whose images are dated in the future."""
    return sorted(
        tag for tag, digest in graph.tags.items() if is_ahead(graph.created.get(digest), now)
    )


def is_about(candidates: Candidates, tag: str) -> bool:
    """Whether a rule applies to a tag at all."""
    return matches_any(candidates.include, tag) and not matches_any(candidates.exclude, tag)


def _newest(graph: Graph, candidates: Candidates, keep: Keep, now: float) -> dict[str, str]:
    """The newest tags of each group; tags without a date are kept in addition."""
    if keep.newest is None:
        return {}
    groups: defaultdict[str | None, list[tuple[float, str]]] = defaultdict(list)
    found: dict[str, str] = {}
    companions = graph.companions
    for tag, digest in graph.tags.items():
        if tag in companions or not is_about(candidates, tag):
            continue
        moment = made_at(graph, digest, now)
        if moment is None:
            found[tag] = "nobody knows when it was made"
            continue
        groups[_group(keep, tag)].append((moment, tag))
    for group, dated in groups.items():
        among = f" of {group}" if group else ""
        for _, tag in sorted(dated, reverse=True)[: keep.newest]:
            found[tag] = f"it is among the newest {keep.newest}{among}"
    return found


def _group(keep: Keep, tag: str) -> str | None:
    match = keep.group.search(tag) if keep.group is not None else None
    return None if match is None else match[1]
