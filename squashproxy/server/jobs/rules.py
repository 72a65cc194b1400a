"""The rules of the configuration: how each repository's images are squashed (`serve.rules`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from squashproxy.config.serve import Rule, ServeLimits
from squashproxy.layer_memory.base import LayerMemory, Nothing
from squashproxy.limits import Limits
from squashproxy.pipeline.mode import Mode
from squashproxy.pipeline.options import CopyOptions
from squashproxy.pipeline.stamp import options_hash
from squashproxy.reference import Repository
from squashproxy.rules.patterns import Pattern, parse_glob
from squashproxy.server.jobs.keys import ServeKeys
from squashproxy.server.jobs.policy import SignaturePolicy


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options for squashing an image, and their hash."""

    options: CopyOptions
    hash: str


@dataclass(frozen=True, slots=True)
class _Ruling:
    """A rule: the repositories that it is for, and what it says of them."""

    glob: Pattern
    recipe: Recipe | None
    policy: SignaturePolicy | None


_NO_KEYS = ServeKeys()


class Rules:
    """The rules in their order; the first one that matches a repository decides.

    With `provenance`, a statement is kept about each image that is squashed.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        limits: ServeLimits,
        memory: LayerMemory | None = None,
        keys: ServeKeys = _NO_KEYS,
        *,
        provenance: bool = False,
    ) -> None:
        known = memory or Nothing()
        required = keys.required or ((),) * len(rules)
        common = CopyOptions(provenance=provenance, signing=keys.signing)
        self._rulings = []
        for rule, wanted in zip(rules, required, strict=True):
            policy = SignaturePolicy(wanted, rule.signed_as) if wanted else None
            options = replace(common, required_keys=wanted, signed_as=rule.signed_as)
            recipe = _recipe_of(rule, limits, known, options)
            self._rulings.append(_Ruling(parse_glob(rule.match), recipe, policy))

    def find(self, repository: Repository) -> Recipe | None:
        """The options for the images of a repository, or None if they are not squashed."""
        ruling = self._ruling(repository)
        return None if ruling is None else ruling.recipe

    def policy(self, repository: Repository) -> SignaturePolicy | None:
        """The signatures that images of a repository need, squashed or not; None for none."""
        ruling = self._ruling(repository)
        return None if ruling is None else ruling.policy

    def _ruling(self, repository: Repository) -> _Ruling | None:
        name = str(repository)
        return next((each for each in self._rulings if each.glob.matches(name)), None)


def _recipe_of(
    rule: Rule, limits: ServeLimits, memory: LayerMemory, common: CopyOptions
) -> Recipe | None:
    if not rule.squash or rule.mode is Mode.COPY:
        return None
    options = replace(
        common,
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
