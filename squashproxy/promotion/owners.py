"""Owners: the rule that wrote the image at a target, as far as the state knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

from squashproxy.config.succession import Key, Route, key_of
from squashproxy.digest import Digest
from squashproxy.reference import Reference
from squashproxy.state.promotions import Promoted, PromotionMemory


class Owners:
    """Finds the owners of images, for the rule `name`; `routes` are those of all rules."""

    def __init__(self, name: str, routes: Sequence[Route], memory: PromotionMemory) -> None:
        self._name = name
        self._routes = routes
        self._memory = memory

    def of_this_rule(self, place: Reference, digest: Digest) -> Promoted | None:
        """The record of this rule's promotion to a place, if the image there is still the same."""
        return next((each for each in self._own[key_of(place)] if each.digest == digest), None)

    def of_another(self, place: Reference, digest: Digest) -> tuple[str, Promoted] | None:
        """Another rule that promoted the image at a place, and would again; with its record."""
        return next(
            (
                (route.rule.name, each)
                for route, each in self._others[key_of(place)]
                if each.digest == digest and route.leads(each.source, each.target)
            ),
            None,
        )

    @cached_property
    def _own(self) -> defaultdict[Key, list[Promoted]]:
        found: defaultdict[Key, list[Promoted]] = defaultdict(list)
        for promoted in self._memory.all_of(self._name):
            found[key_of(promoted.target)].append(promoted)
        return found

    @cached_property
    def _others(self) -> defaultdict[Key, list[tuple[Route, Promoted]]]:
        found: defaultdict[Key, list[tuple[Route, Promoted]]] = defaultdict(list)
        for route in self._routes:
            if route.rule.name == self._name:
                continue
            for promoted in self._memory.all_of(route.rule.name):
                found[key_of(promoted.target)].append((route, promoted))
        return found
