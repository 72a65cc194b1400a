"""Which images are squashed, and how (`serve.rules`)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from squashproxy.config.serve import Rule, ServeLimits
from squashproxy.pipeline.options import CopyOptions, Limits
from squashproxy.pipeline.stamp import options_hash
from squashproxy.reference import Repository


class Rules:
    """The first rule that matches decides; where none does, images are handed out as they are."""

    def __init__(self, rules: Sequence[Rule], limits: ServeLimits) -> None:
        self._rules = [(rule.match, _options_of(rule, limits)) for rule in rules]
        self._hashes = {id(options): options_hash(options) for _, options in self._rules if options}
        self._found: dict[Repository, CopyOptions | None] = {}

    def find(self, repository: Repository) -> CopyOptions | None:
        """How the images of a repository are squashed, None where they are not."""
        if repository not in self._found:
            if len(self._found) > 10_000:
                self._found.clear()
            self._found[repository] = self._look_up(repository)
        return self._found[repository]

    def hash_of(self, options: CopyOptions) -> str:
        """The hash of the options of a rule; see `options_hash`."""
        return self._hashes[id(options)]

    def _look_up(self, repository: Repository) -> CopyOptions | None:
        name = str(repository)
        for glob, options in self._rules:
            if fnmatchcase(name, glob):
                return options
        return None


def _options_of(rule: Rule, limits: ServeLimits) -> CopyOptions | None:
    if not rule.squash:
        return None
    usual = Limits()
    return CopyOptions(
        base=rule.base,
        platforms=rule.platforms,
        compression=rule.compression,
        limits=Limits(
            memory=usual.memory,
            unpacked=limits.max_unpacked,
            entries=limits.max_entries,
            ratio=limits.max_ratio,
        ),
    )
