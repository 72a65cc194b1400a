"""The repositories that a rule names: one by its name, or those that a glob matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.errors import BadReference, FormatError, RegistryError, UsageError
from squashproxy.printable import quoted
from squashproxy.reference import Repository, is_repository_path, parse_repository
from squashproxy.registry.client import RegistryClient
from squashproxy.selection.patterns import Pattern, meant, parse_pattern

_PLAIN = "x"
_MOST_NAMED = 3
_MOST_COMPARED = 5000


@dataclass(frozen=True, slots=True)
class RepositoryPattern:
    """`HOST/REPO`, or `HOST/GLOB` where the registry lists its repositories."""

    host: str
    path: Pattern

    @property
    def fixed(self) -> str:
        """The folders before the first one that is no plain name, with a slash at the end."""
        folders = self.path.text.split("/")
        plain = 0
        while plain < len(folders) - 1 and not parse_pattern(folders[plain]).is_wild:
            plain += 1
        return "".join(f"{folder}/" for folder in folders[:plain])

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def parse_repository_pattern(text: str) -> RepositoryPattern:
    """Read `HOST/REPO` or `HOST/GLOB`; raise UsageError."""
    host, slash, glob = text.removeprefix("docker://").partition("/")
    if slash and glob and ("." in host or ":" in host or host == "localhost"):
        path = parse_pattern(glob)
        if path.is_wild:
            return RepositoryPattern(parse_repository(f"{host}/{_PLAIN}").host, path)
    try:
        name = parse_repository(text)
    except BadReference as error:
        raise UsageError(f"{error}; a glob needs a host before it, as in HOST/apps/*") from error
    return RepositoryPattern(name.host, parse_pattern(name.path))


@dataclass(frozen=True, slots=True)
class Found:
    """The repositories, and a sentence for each pattern that matched none."""

    repositories: tuple[Repository, ...]
    warnings: tuple[str, ...]


def find_repositories(client: RegistryClient, patterns: Sequence[RepositoryPattern]) -> Found:
    """Those that any of the patterns means, each once. Raises RegistryError.

    A listed name that no repository can have is left out, with a warning where it is meant.
    """
    found: dict[Repository, None] = {}
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
        found.update((Repository(pattern.host, path), None) for path in sound)
        wrong = [path for path in matching if not is_repository_path(path)]
        if wrong:
            warnings.append(_unsound(pattern, wrong))
        if not matching:
            warnings.append(f"{pattern} matches no repository; {_near(pattern, there)}")
    return Found(tuple(found), tuple(warnings))


def _listed(client: RegistryClient, host: str) -> list[str]:
    """What a registry lists; a list that is none is its fault, as one that it refuses is."""
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
