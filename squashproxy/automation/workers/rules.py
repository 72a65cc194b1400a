"""Rules by name: a job names its rule, and the worker takes it from its own configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.configuration import Configuration
from squashproxy.config.fingerprint import fingerprint
from squashproxy.config.promote import PromoteRule
from squashproxy.errors import SquashproxyError
from squashproxy.json_form import Form, read_form, to_form

_Rule = TypeVar("_Rule", PromoteRule, CleanupRule)


class RuleDiffers(SquashproxyError):
    """The worker has another version of a job's rule, or none."""

    @property
    def temporary(self) -> bool:
        """Always true: another worker may have it, and this one after it was started again."""
        return True


@dataclass(frozen=True, slots=True)
class Errand:
    """The body of a job: a rule by its name and fingerprint, and what to do by it.

    `run` names the run that asks: what one job of a run finds out may serve the next.
    """

    rule: str
    fingerprint: str
    run: str
    task: dict[str, Any]


def errand(rule: PromoteRule | CleanupRule, run: str, task: dict[str, Any]) -> dict[str, Any]:
    """The body of a job as JSON."""
    return to_form(Errand(rule.name, fingerprint(rule), run, task))


def read_errand(body: Form) -> Errand:
    """The inverse of `errand`. Raises FormatError."""
    return read_form(Errand, body, "the body of a job")


def promote_rule(configuration: Configuration, job: Errand) -> PromoteRule:
    """The promotion rule of a job. Raises RuleDiffers."""
    return _find(configuration.promote, job)


def cleanup_rule(configuration: Configuration, job: Errand) -> CleanupRule:
    """The cleanup rule of a job. Raises RuleDiffers."""
    return _find(configuration.cleanup, job)


def _find(rules: Sequence[_Rule], job: Errand) -> _Rule:
    for rule in rules:
        if rule.name == job.rule and fingerprint(rule) == job.fingerprint:
            return rule
    raise RuleDiffers(
        f"a worker has another version of the rule {job.rule}, or none",
        advice="start the workers again with the configuration of those who ask",
    )
