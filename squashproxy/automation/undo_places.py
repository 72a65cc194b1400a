"""The repositories that an undo may write to: those that a rule of the configuration may change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from squashproxy.catalog.repositories import RepositoryPattern, parse_repository_pattern
from squashproxy.cleanup.apply.audit_log import Entry
from squashproxy.config.configuration import Configuration
from squashproxy.errors import UsageError

_WORD = re.compile(r"\{[a-z]*\}")


def check_places(entries: Sequence[Entry], configuration: Configuration, log: Path) -> None:
    """Raise UsageError where a log names a repository that no rule may change."""
    patterns = list(_patterns(configuration))
    for repository in dict.fromkeys(entry.repository for entry in entries):
        if not any(pattern.matches(repository) for pattern in patterns):
            raise UsageError(
                f"{log} is about {repository}, which no rule of this configuration cleans up or "
                "promotes to",
                advice="name the configuration that the log was written with",
            )


def _patterns(configuration: Configuration) -> Iterator[RepositoryPattern]:
    for rule in configuration.cleanup:
        yield from map(parse_repository_pattern, rule.repositories)
    for promotion in configuration.promote:
        target = promotion.target.removeprefix("docker://")
        head, colon, tail = target.rpartition(":")
        name = head if colon and "/" not in tail else target
        yield parse_repository_pattern(_WORD.sub("*", name))
