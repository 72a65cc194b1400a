"""Patterns for repositories: a name, or a glob."""

from __future__ import annotations

from dataclasses import dataclass

from squashproxy.errors import BadReference
from squashproxy.host import host_key
from squashproxy.reference import Repository, parse_repository
from squashproxy.rules.globs import WILD
from squashproxy.rules.patterns import Pattern, parse_pattern

_PLAIN = "x"


@dataclass(frozen=True, slots=True)
class RepositoryPattern:
    """`HOST/REPO`, or `HOST/GLOB` where the registry lists its repositories."""

    host: str
    path: Pattern

    @property
    def fixed(self) -> str:
        """The folders before the first one that holds a wildcard, with a slash at the end."""
        if self.path.is_expression:
            return ""
        folders = self.path.text.split("/")
        plain = 0
        while plain < len(folders) - 1 and WILD.isdisjoint(folders[plain]):
            plain += 1
        return "".join(f"{folder}/" for folder in folders[:plain])

    def matches(self, repository: Repository) -> bool:
        """Whether a repository matches, however its host is written."""
        return host_key(repository.host) == host_key(self.host) and self.path.matches(
            repository.path
        )

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def parse_repository_pattern(text: str) -> RepositoryPattern:
    """Parse `HOST/REPO` or `HOST/GLOB`. Raises ValueError."""
    host, slash, glob = text.removeprefix("docker://").partition("/")
    if slash and glob and ("." in host or ":" in host or host == "localhost"):
        path = parse_pattern(glob)
        if path.is_wild:
            return RepositoryPattern(parse_repository(f"{host}/{_PLAIN}").host, path)
    try:
        name = parse_repository(text)
    except BadReference as error:
        raise ValueError(f"{error}; a glob needs a host before it, as in HOST/apps/*") from error
    return RepositoryPattern(name.host, parse_pattern(name.path))
