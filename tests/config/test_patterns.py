"""Every pattern that a configuration holds is read by one engine, which cannot hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.config.configuration import Configuration
from squashproxy.config.read import parse_configuration
from squashproxy.errors import UsageError
from squashproxy.reference import Repository
from squashproxy.server.jobs.rules import Rules

SERVE = "serve:\n  upstreams: {a.example.com: {}}\n  store: {directory: c}\n"
PROMOTE = "promote:\n  - name: a\n    from: h.example/a\n    to: h.example/b\n"
CLEANUP = "cleanup:\n  - name: a\n    repositories: [h.example/a]\n    action: squash\n"
NAMES = {
    "promoted": PROMOTE + "    tags: {include: [PATTERN]}",
    "not promoted": PROMOTE + "    tags: {exclude: [PATTERN]}",
    "cleaned up": CLEANUP + "    tags: {include: [PATTERN]}",
    "not cleaned up": CLEANUP + "    tags: {exclude: [PATTERN]}",
    "kept": CLEANUP + "    keep: {tags: [PATTERN]}",
}
GLOBS = {
    "served": SERVE + "  rules: [{match: PATTERN}]",
    "read": SERVE + "  auth: {htpasswd: u, read: {alice: [PATTERN]}}",
}
GROUPS = {"sorted": CLEANUP + "    keep: {newest: 1, group: PATTERN}"}
EXPRESSIONS = {**NAMES, **GROUPS}
EVERYWHERE = {**NAMES, **GLOBS, **GROUPS}


def parse(text: str, pattern: str) -> Configuration:
    return parse_configuration(text.replace("PATTERN", f"'{pattern}'"), "sp.yml", Path(), {})


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES)
def test_what_never_ended_is_read_and_does_not_match(text: str) -> None:
    found = parse(text, "/(a+)+/")
    patterns = [p for rule in found.promote for p in (*rule.tags.include, *rule.tags.exclude)]
    patterns += [p for rule in found.cleanup for p in (*rule.tags.include, *rule.tags.exclude)]
    patterns += [pattern for rule in found.cleanup for pattern in rule.keep.tags]
    [pattern] = [each for each in patterns if each.text != "*"]
    assert pattern.matches("a" * 40)
    assert not pattern.matches("a" * 40 + "!")


def test_a_glob_of_serve_that_matches_late_ends() -> None:
    found = parse(GLOBS["served"], "*a" * 60 + "b").serve
    assert found is not None
    rules = Rules(found.rules, found.limits)
    assert rules.find(Repository("a.example.com", "a" * 50_000)) is None
    assert rules.find(Repository("a.example.com", "a" * 50_000 + "b")) is not None


def test_a_group_that_never_ended_sorts() -> None:
    [rule] = parse(GROUPS["sorted"], "^((a+)+)-[0-9]+$").cleanup
    assert rule.keep.group is not None
    found = rule.keep.group.search("a" * 40 + "-7")
    assert found is not None
    assert found[1] == "a" * 40
    assert rule.keep.group.search("a" * 40 + "!") is None


@pytest.mark.parametrize("text", EXPRESSIONS.values(), ids=EXPRESSIONS)
@pytest.mark.parametrize(
    ("expression", "words"),
    {
        "a lookahead": ("(?!b)(a)", "looks around with (?!, which is not read here"),
        "a back reference": (r"(a)\1", "refers back to a group, which is not read here"),
        "what multiplies": ("(x{1000}){1000}", "repeats something more than 1,000 times"),
    }.values(),
)
def test_what_cannot_be_bounded_is_a_sentence_with_its_line(
    text: str, expression: str, words: str
) -> None:
    pattern = expression if text in GROUPS.values() else f"/{expression}/"
    with pytest.raises(UsageError, match=r"^sp\.yml:[0-9]+: ") as caught:
        parse(text, pattern)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", EVERYWHERE.values(), ids=EVERYWHERE)
def test_a_pattern_that_is_too_long_is_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="characters"):
        parse(text, f"({'a' * 2000})")


@pytest.mark.parametrize("text", GLOBS.values(), ids=GLOBS)
def test_an_empty_glob_is_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="an empty pattern matches nothing; write"):
        parse(text, "")
