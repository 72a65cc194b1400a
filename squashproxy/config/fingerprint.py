"""Fingerprints of rules, by which two machines see whether they have the same one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from squashproxy.config.cleanup import CleanupRule
from squashproxy.config.promote import PromoteRule
from squashproxy.digest import digest_of

_TIMES = frozenset({"schedule", "every", "timezone", "jitter", "max_plan_age"})
"""Keys that say when a rule runs, and not what it does."""


def fingerprint(rule: PromoteRule | CleanupRule) -> str:
    """A digest of all that a rule does.

    Secrets are left out: passwords and addresses of webhooks could be guessed by it. So are the
    files with images in use: they lie on one machine, and what they say travels with each job.
    """
    values = {
        each.name: _plain(getattr(rule, each.name))
        for each in fields(rule)
        if each.name not in _TIMES
    }
    return digest_of(json.dumps(values, sort_keys=True).encode())


def _plain(value: Any) -> Any:
    """A value of a rule as JSON. Raises TypeError for one of another kind than rules have."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return sorted([str(key), _plain(each)] for key, each in value.items())
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.repr}
    if isinstance(value, PurePath):
        return None
    raise TypeError(f"a rule has no {type(value).__name__}")
