"""Which repositories a rule means, by what a registry lists."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from squashproxy.catalog.repositories import Found, find_repositories
from squashproxy.errors import RegistryError
from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.rules.repository_patterns import parse_repository_pattern
from squashproxy.testing import FakeRegistry, Fault, FaultKind


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def find(registry: FakeRegistry, glob: str, listed: object) -> Found:
    body = json.dumps({"repositories": listed}).encode()
    registry.arm(Fault("GET", "/_catalog", FaultKind.ANSWER, status=200, body=body))
    with RegistryClient(environ={}, sleep=lambda _seconds: None) as client:
        return find_repositories(client, [parse_repository_pattern(f"{registry.host}/{glob}")])


NO_NAMES: dict[str, str] = {
    "a way out": "apps/../../x",
    "a query": "apps/web?x=1",
    "capitals": "apps/Web",
    "an empty folder": "apps//web",
    "a line feed": "apps/web\n",
    "ESC": "apps/\x1b[2J",
    "right to left": "apps/\u202eweb",
    "256 letters": "apps/" + "a" * 251,
    "letters beyond ASCII": "apps/w\u00e9b",
    "half a surrogate pair": "apps/\ud800",
}


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_a_name_that_is_none_is_left_out_with_a_warning(registry: FakeRegistry, name: str) -> None:
    found = find(registry, "apps/*", ["apps/web", name, "other"])
    assert found.repositories == (Repository(registry.host, "apps/web"),)
    (warning,) = found.warnings
    assert warning.startswith(f"{registry.host} lists 'apps/")
    assert "which no repository can be called" in warning
    assert warning.isprintable()
    assert len(warning) < 500


def test_a_name_that_no_glob_matches_is_ignored(registry: FakeRegistry) -> None:
    assert find(registry, "apps/*", ["apps/web", "../x"]).warnings == ()


def test_many_wrong_names_are_one_warning(registry: FakeRegistry) -> None:
    (warning,) = find(registry, "*", ["ok", *[f"No{number}" for number in range(9)]]).warnings
    assert "'No0', 'No1', 'No2' and 6 more" in warning


def test_near_names_are_looked_for_among_those_that_can_be_right(registry: FakeRegistry) -> None:
    (warning,) = find(registry, "aps/*", ["apps/web", "aps\x1b"]).warnings
    assert warning.endswith("did you mean apps/web?")


@pytest.mark.timeout(60)
def test_a_long_catalogue_without_a_match_is_soon_told(registry: FakeRegistry) -> None:
    listed = [f"team{number}/app-with-a-long-name-{number}" for number in range(100_000)]
    found = find(registry, "tema/*", listed)
    assert found.repositories == ()


@pytest.mark.parametrize("listed", [5, "abc", [5], {"a": 1}])
def test_what_is_no_list_is_our_error(registry: FakeRegistry, listed: object) -> None:
    with pytest.raises(RegistryError, match=f"the list of repositories of {registry.host}"):
        find(registry, "apps/*", listed)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_registry_without_a_catalogue_says_so(registry: FakeRegistry, status: int) -> None:
    registry.arm(Fault("GET", "/_catalog", status=status))
    with pytest.raises(RegistryError, match="does not list its repositories"):
        find(registry, "apps/*", [])
