"""Which repositories a rule names, and where its images go."""

from __future__ import annotations

import pytest

from squashproxy.reference import Repository
from squashproxy.rules.repository_patterns import parse_repository_pattern
from squashproxy.rules.target_template import TargetTemplate, base_repository

FIXED = [
    ("h.io/apps/*", "apps/"),
    ("h.io/a/b/c*", "a/b/"),
    ("h.io/*", ""),
    ("h.io/a*/b/*", ""),
    ("h.io/apps/web", "apps/"),
    ("h.io//apps/[^/]+/", ""),
]


@pytest.mark.parametrize(("text", "fixed"), FIXED)
def test_the_folders_before_the_first_that_is_wild_are_fixed(text: str, fixed: str) -> None:
    assert parse_repository_pattern(text).fixed == fixed


MATCHES = [
    ("h.io/apps/*", "H.IO/apps/a/b", True),
    ("h.io/apps/*", "h.io:443/apps/a", True),
    ("h.io/apps/*", "i.io/apps/a", False),
    ("h.io//apps/[^/]+/", "h.io/apps/a", True),
    ("h.io//apps/[^/]+/", "h.io/apps/a/b", False),
    ("debian", "docker.io/library/debian", True),
]


@pytest.mark.parametrize(("text", "name", "expected"), MATCHES)
def test_repositories_are_matched_with_their_host(text: str, name: str, expected: bool) -> None:
    host, _, path = name.partition("/")
    assert parse_repository_pattern(text).matches(Repository(host, path)) is expected


TARGETS = [
    ("i.io/p/{repo}", "i.io/p/a/web:v1"),
    ("i.io/p/{path}", "i.io/p/apps/a/web:v1"),
    ("i.io/p/{name}:{tag}-small", "i.io/p/web:v1-small"),
    ("i.io:5000/{tag}/{name}", "i.io:5000/v1/web:v1"),
    ("docker://i.io/x:y", "i.io/x:y"),
    ("app", "docker.io/library/app:v1"),
]


@pytest.mark.parametrize(("text", "target"), TARGETS)
def test_targets_are_filled_in(text: str, target: str) -> None:
    template = TargetTemplate(text, "apps/")
    source = Repository("h.io", "apps/a/web")
    assert str(template.target(source, "v1")) == target
    assert str(template.guess(source, "v1")) == target


def test_a_target_that_is_too_long_is_an_error_but_can_be_guessed() -> None:
    template = TargetTemplate("i.io/{path}:{tag}-s", "")
    source = Repository("h.io", "apps/web")
    with pytest.raises(ValueError, match=r"is no target for h\.io/apps/web:1+: .* is not a tag"):
        template.target(source, "1" * 127)
    guessed = template.guess(source, "1" * 127)
    assert (str(guessed.repository), guessed.tag) == ("i.io/apps/web", "1" * 127 + "-s")


@pytest.mark.parametrize("text", ["i.io/{rep}", "i.io/{}", "i.io/{0}", "i.io/{name.x}", "i.io/{"])
def test_what_cannot_be_filled_in_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"may hold \{repo\}, \{path\}, \{name\} and \{tag\}"):
        TargetTemplate(text, "")


MAY_LEAD_TO = {
    "the same name": ("i.io/app", "i.io/app", True),
    "another host": ("i.io/app", "j.io/app", False),
    "the host with its port": ("i.io/app", "i.io:443/app", True),
    "a tag of its own": ("i.io:5000/p/{name}:{tag}-small", "i.io:5000/p/web", True),
    "a word for folders": ("i.io/p/{repo}", "i.io/p/a/b", True),
    "beside the folder": ("i.io/p/{repo}", "i.io/q/a", False),
    "Docker Hub by name": ("docker://docker.io/ann/{name}", "docker.io/ann/web", True),
    "Docker Hub without its name": ("ann/{name}", "docker.io/ann/web", True),
    "another name of Docker Hub": ("index.docker.io/ann/{name}", "docker.io/ann/web", True),
    "an official image": ("app", "docker.io/library/app", True),
    "an official image by a word": ("x{path}", "docker.io/library/xweb", True),
    "folders of Docker Hub by a word": ("{path}", "docker.io/a/b", True),
    "somebody else's on Docker Hub": ("ann/{name}", "docker.io/bob/web", False),
}


@pytest.mark.parametrize(("text", "name", "expected"), MAY_LEAD_TO.values(), ids=MAY_LEAD_TO)
def test_a_template_knows_where_its_targets_may_be(text: str, name: str, expected: bool) -> None:
    host, _, path = name.partition("/")
    assert TargetTemplate(text, "apps/").may_lead_to(Repository(host, path)) is expected


@pytest.mark.parametrize(
    ("text", "repository"),
    [("prod/base", "i.io/prod/base"), ("h.io/base", "h.io/base"), ("base", "i.io/base")],
)
def test_bases_are_of_the_target_registry_where_no_host_is_named(
    text: str, repository: str
) -> None:
    assert str(base_repository(text, "i.io")) == repository
