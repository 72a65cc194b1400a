"""The repositories that an undo may write to: those that a rule of the configuration may change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from squashproxy.cleanup.apply.audit_log import Entry
from squashproxy.config.configuration import Configuration
from squashproxy.config.succession import Route
from squashproxy.errors import UsageError


def check_places(entries: Sequence[Entry], configuration: Configuration, log: Path) -> None:
    """Raise UsageError where a log names a repository that no rule may change."""
    rules = [
        *(pattern.matches for rule in configuration.cleanup for pattern in rule.repositories),
        *(Route(rule).template.may_lead_to for rule in configuration.promote),
    ]
    for repository in dict.fromkeys(entry.repository for entry in entries):
        if not any(may_change(repository) for may_change in rules):
            raise UsageError(
                f"{log} is about {repository}, which no rule of this configuration cleans up or "
                "promotes to",
                advice="name the configuration that the log was written with",
            )
