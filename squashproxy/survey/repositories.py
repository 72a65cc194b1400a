"""The repositories that a rule names: one by its name, or those that a glob matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.reference import Repository
from squashproxy.registry.client import RegistryClient
from squashproxy.selection.patterns import meant
from squashproxy.selection.repositories import RepositoryPattern, parse_repository_pattern

__all__ = ["Found", "RepositoryPattern", "find_repositories", "parse_repository_pattern"]


@dataclass(frozen=True, slots=True)
class Found:
    """The repositories, and a sentence for each pattern that matched none."""

    repositories: tuple[Repository, ...]
    warnings: tuple[str, ...]


def find_repositories(client: RegistryClient, patterns: Sequence[RepositoryPattern]) -> Found:
    """Those that any of the patterns means, each once. Raises RegistryError."""
    found: dict[Repository, None] = {}
    warnings: list[str] = []
    catalogs: dict[str, list[str]] = {}
    for pattern in patterns:
        if not pattern.path.is_wild:
            found[Repository(pattern.host, pattern.path.text)] = None
            continue
        if pattern.host not in catalogs:
            catalogs[pattern.host] = list(client.iter_repositories(pattern.host))
        there = catalogs[pattern.host]
        matching = [path for path in there if pattern.path.matches(path)]
        found.update((Repository(pattern.host, path), None) for path in matching)
        if not matching:
            warnings.append(f"{pattern} matches no repository; {_near(pattern, there)}")
    return Found(tuple(found), tuple(warnings))


def _near(pattern: RepositoryPattern, there: list[str]) -> str:
    return meant(pattern.path, there, f"{pattern.host} lists {len(there) or 'none'}")
