"""How token services call the right to delete.

Distribution calls it `delete`. Some services do not know that action: Quay answers 400 and wants
`push`, which its challenge names, or `*`. Others issue a token that lacks the right.
"""

from __future__ import annotations

from squashproxy.registry.auth.scopes import Scopes, parse_scopes

_DELETE = "delete"
Actions = frozenset[str]
"""The actions to ask for in place of `delete`."""

_FIRST: Actions = frozenset({_DELETE})
_LAST: Actions = frozenset({"*"})


def may_delete(scopes: Scopes) -> bool:
    """Whether scopes include the right to delete."""
    return any(action == _DELETE for _, action in scopes)


def spelled(scopes: Scopes, actions: Actions) -> Scopes:
    """The scopes with `actions` in place of `delete`."""
    deleting = {path for path, action in scopes if action == _DELETE}
    kept = {pair for pair in scopes if pair[1] != _DELETE}
    if actions == _LAST:
        kept = {pair for pair in kept if pair[0] not in deleting}
    return frozenset(kept | {(path, action) for path in deleting for action in actions})


class DeleteActions:
    """What each registry's token service calls the right to delete, once that is known."""

    def __init__(self) -> None:
        self._known: dict[str, Actions] = {}

    def note(self, host: str, actions: Actions) -> None:
        """Record the actions that a token service granted."""
        self._known[host] = actions

    def candidates(
        self, host: str, scopes: Scopes, challenge: str | None, spent: frozenset[Actions]
    ) -> list[Actions]:
        """The actions to try in turn, without `spent`, which were refused.

        `challenge` holds the scopes that the registry named when it refused this very request; it
        is None before that, and then what the challenge would name is not skipped for `*`.
        """
        if not may_delete(scopes):
            return [_FIRST]
        wanted = [_FIRST]
        if (known := self._known.get(host)) is not None:
            wanted.insert(0, known)
        if challenge is not None:
            paths = {path for path, action in scopes if action == _DELETE}
            named = frozenset(action for path, action in parse_scopes(challenge) if path in paths)
            wanted += [named, _LAST] if named else [_LAST]
        return [actions for actions in dict.fromkeys(wanted) if actions not in spent]
