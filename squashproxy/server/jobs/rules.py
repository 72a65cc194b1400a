"""The rules of the configuration: how each repository's images are squashed (`serve.rules`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squashproxy.config.serve import Rule, ServeLimits
from squashproxy.layer_memory.base import LayerMemory, Nothing
from squashproxy.limits import Limits
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import options_hash
from squashproxy.reference import Repository
from squashproxy.rules.patterns import parse_glob


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options for squashing an image, and their hash."""

    options: CopyOptions
    hash: str


class Rules:
    """The rules in their order; the first one that matches a repository decides."""

    def __init__(
        self, rules: Sequence[Rule], limits: ServeLimits, memory: LayerMemory | None = None
    ) -> None:
        known = memory or Nothing()
        self._rules = [(parse_glob(rule.match), _recipe_of(rule, limits, known)) for rule in rules]

    def find(self, repository: Repository) -> Recipe | None:
        """The options for the images of a repository, or None if they are not squashed."""
        name = str(repository)
        for glob, recipe in self._rules:
            if glob.matches(name):
                return recipe
        return None


def _recipe_of(rule: Rule, limits: ServeLimits, memory: LayerMemory) -> Recipe | None:
    if not rule.squash or rule.mode is Mode.COPY:
        return None
    options = CopyOptions(
        mode=rule.mode,
        prune_over=rule.prune_over,
        max_layer_size=rule.max_layer_size,
        base=rule.base,
        platforms=rule.platforms,
        compression=rule.compression,
        memory=memory,
        limits=Limits(
            memory=limits.memory,
            unpacked=limits.max_unpacked,
            entries=limits.max_entries,
            ratio=limits.max_ratio,
        ),
    )
    return Recipe(options, options_hash(options))
