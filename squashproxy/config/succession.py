"""Succession: whether promotion rules promote their own results forever, found by names alone.

If the targets of a rule lie in its own source, the next run promotes them again. That is harmless
if the new name is the old one (squashing in place), or one that no rule chooses. Otherwise every
run makes more images. Two rules of a file can do this to each other, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from string import ascii_lowercase, ascii_uppercase, digits

from squashproxy.config.promote import OnExisting, PromoteRule, Signed
from squashproxy.host import host_key
from squashproxy.pipeline.mode import Mode
from squashproxy.reference import Reference, Repository
from squashproxy.rules.patterns import Pattern, parse_glob
from squashproxy.rules.repository_patterns import RepositoryPattern, parse_repository_pattern
from squashproxy.rules.target_template import TargetTemplate
from squashproxy.template import fill

_MOST_ROUNDS = 8
"""The most names that one rule may make in a row, each from the one before it."""
_MOST_NAMES = 1000
_ANY_DIGEST = "0" * 12
_CLASS = re.compile(r"\[!?\]?[^\]]*\]")
_NAMED = "1" + ascii_lowercase + digits + ascii_uppercase + "._-"
_FILLINGS = ("x", "1", "1.0.0")
_COMMON_TAGS = ("latest", "1.0.0", "2.0.0", "9.9.9", "v9.9.9")

Key = tuple[str, str, str | None]
"""An image's name in a form that can be compared."""


class Use(Enum):
    """Why a rule needs a tag at its target."""

    TARGET = "target"
    BACKUP = "backup"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class Made:
    """A target name that a rule gives to an image with another name."""

    rule: PromoteRule
    use: Use
    name: Reference


def key_of(name: Reference) -> Key:
    """The comparable form of a name: one host can be written in several ways."""
    return host_key(name.repository.host), name.repository.path, name.tag


class Route:
    """The mapping of one rule from source names to target names.

    Raises ValueError for an invalid rule. No configuration that was read has one.
    """

    def __init__(self, rule: PromoteRule) -> None:
        self.rule = rule
        self.pattern: RepositoryPattern | None = None
        if rule.source is not None:
            self.pattern = parse_repository_pattern(rule.source)
        self._fixed = self.pattern.fixed if self.pattern else ""
        self.template = TargetTemplate(rule.target, self._fixed)
        self._matched: dict[Repository, bool] = {}

    def chooses(self, name: Reference) -> bool:
        """Whether the rule promotes an image with that name, whatever its date; pins do not."""
        if self.pattern is None or name.tag is None:
            return False
        if not name.repository.path.startswith(self._fixed):
            return False
        if name.repository not in self._matched:
            self._matched[name.repository] = self.pattern.matches(name.repository)
        return self._matched[name.repository] and self.rule.tags.names(name.tag)

    def leads(self, source: Reference, target: Reference) -> bool:
        """Whether the rule, as it is now, promotes this source to this target."""
        if self.pattern is not None:
            return self.chooses(source) and key_of(self._target(source)) == key_of(target)
        return any(
            (key_of(pin), pin.digest) == (key_of(source), source.digest)
            and any(
                key_of(self.template.guess(pin.repository, tag)) == key_of(target) for tag in tags
            )
            for pin, tags in self.rule.pins.items()
        )

    def makes(self, name: Reference) -> Iterator[Made]:
        """The names that the rule makes of an image that it chooses, the target first.

        A backup counts only where an image is squashed in place: elsewhere nothing promotes it
        again.
        """
        rule, target = self.rule, self._target(name)
        yield Made(rule, Use.TARGET, target)
        if rule.signed is Signed.COPY:
            yield Made(rule, Use.ORIGINAL, _beside(target, rule.originals))
        if rule.on_existing is OnExisting.BACKUP and key_of(target) == key_of(name):
            yield Made(rule, Use.BACKUP, _beside(target, rule.backup))

    def _target(self, source: Reference) -> Reference:
        return self.template.guess(source.repository, source.tag or "")


def _beside(target: Reference, template: str) -> Reference:
    """A name beside a target, of any length."""
    tag = fill(template, {"tag": target.tag or "", "digest": _ANY_DIGEST})
    return Reference(target.repository, tag)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Rules that never settle, as a sentence."""

    rules: frozenset[str]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Succession:
    """All rules of a file, and the names that an image gets as they run again and again.

    Names that are known to be harmless are not examined again.
    """

    routes: tuple[Route, ...]
    _at_rest: set[Key] = field(default_factory=set)

    def trouble_with(self, name: Reference) -> Trouble | None:
        """The trouble if a name leads to ever more names, or to endless replacing; else None."""
        if key_of(name) in self._at_rest:
            return None
        path: list[Made] = []
        names = [name]
        seen = {key_of(name)}
        waiting = [self._following(name)]
        while waiting:
            made = next(waiting[-1], None)
            if made is None:
                waiting.pop()
                del path[-1:], names[-1:]
                continue
            key = key_of(made.name)
            if key in self._at_rest:
                continue
            if key in seen:
                circle = _circle(names, path, made)
                if circle is not None and _disagree(circle[1]):
                    return _replacing(*circle)
                continue
            if len(seen) > _MOST_NAMES:
                return None
            path.append(made)
            names.append(made.name)
            seen.add(key)
            if sum(each.rule is made.rule for each in path) > _MOST_ROUNDS:
                return _growing(name, path)
            waiting.append(self._following(made.name))
        self._at_rest.update(seen)
        return None

    def _following(self, name: Reference) -> Iterator[Made]:
        """The other names that the rules make of a name."""
        key = key_of(name)
        for route in self.routes:
            if route.chooses(name):
                yield from (made for made in route.makes(name) if key_of(made.name) != key)


def _circle(
    names: Sequence[Reference], path: Sequence[Made], last: Made
) -> tuple[Reference, list[Made]] | None:
    """The name to which `last` leads back, with all steps from there; None if its name is new."""
    keys = [key_of(name) for name in names]
    key = key_of(last.name)
    return (names[keys.index(key)], [*path[keys.index(key) :], last]) if key in keys else None


def _disagree(loop: Sequence[Made]) -> bool:
    """Whether rules that promote in a circle would replace each other's image forever."""
    if any(each.rule.on_existing is OnExisting.KEEP for each in loop):
        return False
    shapes = [_shape_of(each.rule) for each in loop]
    return all(each.use is Use.TARGET for each in loop) and any(
        shape != shapes[0] for shape in shapes
    )


def _shape_of(rule: PromoteRule) -> tuple[object, ...]:
    """What of a rule shapes the images that it makes."""
    threshold = rule.prune_over if rule.mode is Mode.PRUNE else None
    return (
        rule.mode,
        threshold,
        rule.max_layer_size,
        rule.base,
        rule.platforms,
        rule.compression,
    )


def _growing(start: Reference, path: Sequence[Made]) -> Trouble:
    names = list(dict.fromkeys(each.rule.name for each in path))
    who = (
        f"{names[0]} promotes what it made itself"
        if len(names) == 1
        else f"{' and '.join(names)} promote what the other made"
    )
    steps = ", that ".join(f"{_verb(each)} {each.name}" for each in path[: max(2, len(names))])
    return Trouble(
        frozenset(names),
        f"{who}, and so more with each run: {start} {steps}, and so on; let 'to' lead out of "
        "'from', or leave such names out in 'tags'",
    )


def _replacing(start: Reference, loop: Sequence[Made]) -> Trouble:
    names = list(dict.fromkeys(each.rule.name for each in loop))
    steps = ", that ".join(f"{_verb(each)} {each.name}" for each in loop)
    return Trouble(
        frozenset(names),
        f"{' and '.join(names)} replace each other's images in every run: {start} {steps}; give "
        "them the same mode, layer size, base, platforms and compression, or write on_existing: "
        "keep",
    )


def _verb(made: Made) -> str:
    return "becomes" if made.use is Use.TARGET else "is kept as"


def samples_of(route: Route) -> Iterator[Reference]:
    """Invented images that a rule would choose; none if its patterns allow no guess."""
    if route.pattern is None:
        return
    tags = [*_COMMON_TAGS]
    for pattern in route.rule.tags.include:
        tags += _matching(pattern)
    for path in _matching(route.pattern.path):
        for tag in dict.fromkeys(tags):
            name = Reference(Repository(route.pattern.host, path), tag)
            if route.chooses(name):
                yield name


def _matching(pattern: Pattern) -> list[str]:
    """Some names that a glob matches."""
    if pattern.is_expression:
        return []
    classes = _CLASS.sub(lambda match: _member(match[0]), pattern.text)
    filled = [classes.replace("*", text).replace("?", "1") for text in _FILLINGS]
    return [text for text in filled if pattern.matches(text)]


def _member(characters: str) -> str:
    """A character of a class; `1` if the class has none that names may have."""
    found = parse_glob(characters)
    return next((each for each in _NAMED if found.matches(each)), "1")
