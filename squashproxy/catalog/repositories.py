"""The repositories that a rule names: one by name, or those that a glob matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.errors import FormatError, RegistryError, SquashproxyError
from squashproxy.printable import quoted
from squashproxy.reference import Repository, is_repository_path
from squashproxy.registry.client import RegistryClient
from squashproxy.rules.patterns import meant
from squashproxy.rules.repository_patterns import RepositoryPattern

_MOST_NAMED = 3
_MOST_COMPARED = 5000


@dataclass(frozen=True, slots=True)
class Found:
    """The repositories, and a sentence for each pattern that matches none.

    `listed` are those that the registry itself lists: one without tags exists all the same.
    """

    repositories: tuple[Repository, ...]
    warnings: tuple[str, ...]
    listed: frozenset[Repository] = frozenset()


def find_repositories(client: RegistryClient, patterns: Sequence[RepositoryPattern]) -> Found:
    """The repositories that match any of the patterns, each once. Raises RegistryError.

    A listed name that is no valid repository name is left out, with a warning where a pattern
    matches it.
    """
    found: dict[Repository, None] = {}
    listed: set[Repository] = set()
    warnings: list[str] = []
    catalogs: dict[str, list[str]] = {}
    for pattern in patterns:
        if not pattern.path.is_wild:
            found[Repository(pattern.host, pattern.path.text)] = None
            continue
        if pattern.host not in catalogs:
            catalogs[pattern.host] = _listed(client, pattern.host)
        there = catalogs[pattern.host]
        matching = [path for path in there if pattern.path.matches(path)]
        sound = [path for path in matching if is_repository_path(path)]
        matched = [Repository(pattern.host, path) for path in sound]
        found.update(dict.fromkeys(matched))
        listed.update(matched)
        wrong = [path for path in matching if not is_repository_path(path)]
        if wrong:
            warnings.append(_unsound(pattern, wrong))
        if not matching:
            warnings.append(f"{pattern} matches no repository; {_near(pattern, there)}")
    return Found(tuple(found), tuple(warnings), frozenset(listed))


def is_listed(client: RegistryClient, repository: Repository) -> bool:
    """Whether a registry lists a repository; False as well where it lists none, or fails.

    The list is read up to the repository.
    """
    try:
        return repository.path in client.iter_repositories(repository.host)
    except SquashproxyError:
        return False


def _listed(client: RegistryClient, host: str) -> list[str]:
    """The repositories that a registry lists. An unusable list is an error, as a refusal is."""
    try:
        return list(client.iter_repositories(host))
    except FormatError as error:
        raise RegistryError(str(error)) from error


def _unsound(pattern: RepositoryPattern, wrong: list[str]) -> str:
    names = ", ".join(quoted(path) for path in wrong[:_MOST_NAMED])
    more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
    return (
        f"{pattern.host} lists {names}{more}, which no repository can be called, so {pattern} "
        "leaves that out; see what the registry, or a proxy before it, answers"
    )


def _near(pattern: RepositoryPattern, there: list[str]) -> str:
    compared = [path for path in there[:_MOST_COMPARED] if is_repository_path(path)]
    return meant(pattern.path, compared, f"{pattern.host} lists {len(there) or 'none'}")
