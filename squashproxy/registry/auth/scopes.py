"""Scopes: the actions that a token allows (distribution's token specification)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

Scopes = frozenset[tuple[str, str]]
"""Pairs of a repository's path and an action; `registry:catalog` is the list of repositories."""

_ORDER = ("pull", "push", "delete")
_CATALOG = "registry:catalog"


def pull(path: str) -> Scopes:
    """Reading from a repository."""
    return frozenset({(path, "pull")})


def push(path: str) -> Scopes:
    """Writing to a repository, which includes reading from it."""
    return frozenset({(path, "pull"), (path, "push")})


def delete(path: str) -> Scopes:
    """Deleting from a repository, and reading from it."""
    return frozenset({(path, "pull"), (path, "delete")})


def catalog() -> Scopes:
    """NameList the repositories of a registry (distribution's token specification)."""
    return frozenset({(_CATALOG, "*")})


def parse_scopes(text: str) -> Scopes:
    """Read scopes `repository:PATH:ACTION[,ACTION]` separated by spaces; skip other kinds."""
    pairs: set[tuple[str, str]] = set()
    for word in text.split():
        if word == f"{_CATALOG}:*":
            pairs |= catalog()
        kind, _, rest = word.partition(":")
        path, _, actions = rest.rpartition(":")
        if kind == "repository" and path:
            pairs.update((path, action) for action in actions.split(",") if action)
    return frozenset(pairs)


def render_scopes(scopes: Scopes) -> list[str]:
    """One `repository:PATH:ACTION[,ACTION]` per repository, in a fixed order."""
    actions: defaultdict[str, set[str]] = defaultdict(set)
    for path, action in scopes:
        actions[path].add(action)
    return [f"{_kinded(path)}:{','.join(_ordered(actions[path]))}" for path in sorted(actions)]


def _kinded(path: str) -> str:
    return path if path == _CATALOG else f"repository:{path}"


def _ordered(actions: Iterable[str]) -> list[str]:
    rank = {action: number for number, action in enumerate(_ORDER)}
    return sorted(actions, key=lambda action: (rank.get(action, len(_ORDER)), action))
