"""Promotion rules that would promote their own results without end, found in the file alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from squashproxy.config.promote import PromoteRule
from squashproxy.config.read import parse_configuration
from squashproxy.config.succession import Route, Succession
from squashproxy.errors import BadConfiguration
from squashproxy.reference import parse_reference


def parse(*rules: str) -> tuple[PromoteRule, ...]:
    lines = [f"  - name: r{number}\n    {rule}\n" for number, rule in enumerate(rules, 1)]
    text = "promote:\n" + "".join(lines).replace("; ", "\n    ")
    return parse_configuration(text, "sp.yml", Path(), {}).promote


GROWING = {
    "repositories in a folder of the source": ["from: h.io/apps/*; to: h.io/apps/p/{repo}"],
    "by their whole path": ["from: h.io/*; to: h.io/p/{path}"],
    "by their last name": ["from: h.io/apps/*; to: h.io/apps/{name}-small"],
    "tags of the same repository": ["from: h.io/app; to: 'h.io/app:{tag}-small'"],
    "tags of a glob": ["from: h.io/apps/*; to: 'h.io/apps/{repo}:{tag}-s'"],
    "tags that a pattern chooses": [
        "from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {include: ['v*']}"
    ],
    "tags of a class": ["from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {include: ['[!a-uw-z]?*']}"],
    "tags of an expression": [
        "from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {include: ['/[a-z].*/']}"
    ],
    "whatever their dates": [
        "from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {newest: 1, older_than: 9d}"
    ],
    "a host in capitals": ["from: H.Io:5000/apps/*; to: h.io:5000/apps/p/{repo}"],
    "a host with its port": ["from: h.io:443/apps/*; to: h.io/apps/p/{repo}"],
    "localhost in capitals": ["from: LOCALHOST:5000/apps/*; to: localhost:5000/apps/p/{repo}"],
    "Docker Hub by two names": ["from: docker.io/me/*; to: index.docker.io/me/{name}-s"],
    "the target's tag in its repository": ["from: h.io/a/*; to: 'h.io/a/{tag}:{name}{tag}'"],
    "originals beside them": ["from: h.io/app; to: h.io/app; signed: copy"],
    "backups in place": ["from: h.io/app; to: h.io/app; on_existing: backup"],
    "two rules in a circle": [
        "from: h.io/a/*; to: h.io/b/{path}",
        "from: h.io/b/*; to: h.io/a/{repo}",
    ],
    "three rules in a circle": [
        "from: h.io/a/*; to: i.io/{path}",
        "from: i.io/*; to: 'j.io/{path}:{tag}-j'",
        "from: j.io/*; to: h.io/{path}",
    ],
    "a rule that begins it, and one that goes on": [
        "from: h.io/app; to: 'i.io/x:{tag}'",
        "from: i.io/*; to: i.io/y/{path}",
    ],
}


@pytest.mark.parametrize("rules", GROWING.values(), ids=GROWING)
def test_rules_that_grow_without_end_are_refused(rules: list[str]) -> None:
    with pytest.raises(
        BadConfiguration, match=r"so more with each run: \S+ (becomes|is kept) "
    ) as e:
        parse(*rules)
    for sentence in e.value.sentences():
        assert sentence.startswith("sp.yml:")
        assert "let 'to' lead out of 'from', or leave such names out in 'tags'" in sentence


RESTING = {
    "another registry": ["from: h.io/apps/*; to: i.io/apps/{repo}"],
    "another port": ["from: h.io:5000/apps/*; to: h.io:5001/apps/p/{repo}"],
    "another folder": ["from: h.io/apps/*; to: h.io/prod/{repo}"],
    "in place": ["from: h.io/apps/*; to: h.io/{path}"],
    "in place by its tag": ["from: h.io/app; to: 'h.io/app:{tag}'"],
    "in place with backups left out": [
        "from: h.io/app; to: h.io/app; on_existing: backup; tags: {exclude: ['*-*']}"
    ],
    "a folder of the source that ends there": ["from: h.io/apps/*; to: h.io/apps/p/{name}"],
    "one tag for all": ["from: h.io/app; to: 'h.io/app:stable'"],
    "results that are left out": [
        "from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {exclude: ['*-s']}"
    ],
    "results that are no versions": [
        "from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {semver: '>=1'}"
    ],
    "names that are written out": [
        "from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {include: [v1, v1-s]}"
    ],
    "originals elsewhere": ["from: h.io/app; to: h.io/other; signed: copy"],
    "a chain": [
        "from: dev.example/*; to: stage.example/{path}",
        "from: stage.example/*; to: prod.example/{path}",
    ],
    "two rules that mirror each other": [
        "from: h.io/*; to: i.io/{path}",
        "from: i.io/*; to: h.io/{path}",
    ],
    "an expression over repositories": ["from: h.io//apps/[^/]+/; to: h.io/apps/p/{name}"],
    "pins": [f"to: 'h.io/app:x-{{tag}}'; pins: {{'h.io/app@sha256:{'a' * 64}': [v1]}}"],
}


@pytest.mark.parametrize("rules", RESTING.values(), ids=RESTING)
def test_rules_that_come_to_rest_are_read(rules: list[str]) -> None:
    assert len(parse(*rules)) == len(rules)


def test_rules_that_replace_each_others_images_for_ever_are_refused() -> None:
    there, back = (
        "from: h.io/*; to: i.io/{path}",
        "from: i.io/*; to: h.io/{path}",
    )
    with pytest.raises(BadConfiguration, match="r1 and r2 replace each other's images in every"):
        parse(there, f"{back}; base: none")
    assert parse(there, f"{back}; base: none; on_existing: keep")


def test_a_circle_is_told_once() -> None:
    with pytest.raises(BadConfiguration) as caught:
        parse(*GROWING["two rules in a circle"])
    assert caught.value.sentences()[1:] == ()
    assert str(caught.value) == (
        "sp.yml:2: r1 and r2 promote what the other made, and so more with each run: "
        "h.io/a/x:latest becomes h.io/b/a/x:latest, that becomes h.io/a/a/x:latest, "
        "and so on; let 'to' lead out of 'from', or leave such names out in 'tags'"
    )


def test_what_no_sample_shows_is_found_for_the_name_that_is_there() -> None:
    """`/rel-.*/` is not to be guessed."""
    [rule] = parse("from: h.io/app; to: 'h.io/app:{tag}-s'; tags: {include: ['/rel-.*/']}")
    succession = Succession((Route(rule),))
    found = succession.trouble_with(parse_reference("h.io/app:rel-1"))
    assert found is not None
    assert "h.io/app:rel-1 becomes h.io/app:rel-1-s, that becomes" in str(found)
    assert succession.trouble_with(parse_reference("h.io/app:other")) is None
    long = parse_reference(f"h.io/app:rel-{'1' * 120}")
    assert succession.trouble_with(long) is not None, "although no tag may be that long"


STRANGE = {
    "a word that is not there": ("from: h.io/a; to: 'h.io/{rep}'", "r1: to: 'h.io/{"),
    "a width": ("from: h.io/a; to: 'h.io/{name:>9}'", "nothing else in braces"),
    "capitals": ("from: h.io/a; to: h.io/B", "names are lower case"),
    "no host for a glob": ("from: apps/*; to: h.io/b", "a glob needs a host before it"),
    "an endless pattern": ("from: h.io//(?=a)/; to: h.io/b", "looks around with (?="),
    "a base that is none": ("from: h.io/a; to: h.io/b; base_repos: [B]", "r1: '"),
    "a backup of no tag": ("from: h.io/a; to: h.io/b; backup: '{date}'", "{tag} and {dig"),
    "a backup of the tag": ("from: h.io/a; to: h.io/b; backup: '{tag}'", "the very tag"),
    "an original of no tag": ("from: h.io/a; to: h.io/b; originals: 'a/b'", "not a tag"),
    "an original of the tag": ("from: h.io/a; to: h.io/b; originals: '{tag}'", "very tag"),
    "one template for both": (
        "from: h.io/a; to: h.io/b; originals: x; backup: x; on_existing: backup; signed: copy",
        "r1 has one template for originals and backups, 'x'; write another one for either",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "words"), STRANGE.values(), ids=STRANGE)
def test_what_cannot_work_is_a_sentence(rule: str, words: str) -> None:
    with pytest.raises(BadConfiguration, match=r"^sp\.yml:") as caught:
        parse(rule)
    assert words in str(caught.value)


def test_a_pin_by_two_names_keeps_all_its_tags() -> None:
    digest = f"sha256:{'a' * 64}"
    pins = (
        f"{{'debian@{digest}': [a, b], 'docker.io/library/debian@{digest}': [b, c], "
        f"'docker://debian@sha256:{'b' * 64}': [d]}}"
    )
    [rule] = parse(f"to: h.io/{{name}}; pins: {pins}")
    assert [tags for _, tags in rule.pins.items()] == [("a", "b", "b", "c"), ("d",)]
