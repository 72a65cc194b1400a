"""A plan as a JSON file that people can read, keep and apply.

A checksum in the file catches accidental edits. It is no protection against a forged plan, so each
name is checked, and applying a plan deletes nothing that its rule would not delete now.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from squashproxy.atomic_file import write_whole
from squashproxy.cleanup.plan import CleanupPlan, RepositoryPlan
from squashproxy.digest import digest_of, parse_digest
from squashproxy.errors import FormatError, UsageError, advice_of, reason_of
from squashproxy.reference import check_tag, parse_repository

_FORMAT = "squashproxy cleanup plan"
_VERSION = 2


def plan_document(plan: CleanupPlan) -> dict[str, Any]:
    """The plan as JSON values."""
    document = {"format": _FORMAT, "version": _VERSION, **asdict(plan)}
    return {**document, "checksum": _checksum(document)}


def write_plan(plan: CleanupPlan, path: Path) -> None:
    """Write the plan atomically. Raises UsageError where the file cannot be written."""
    try:
        write_whole(path, json.dumps(plan_document(plan), indent=1) + "\n")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {reason_of(error)}", advice=advice_of(error, "name another")
        ) from error


def read_plan(path: Path) -> CleanupPlan:
    """Read a plan. Raises UsageError for a file that is not a plan, was edited, or has another
    version.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is no plan: it is not valid JSON", advice="write one anew"
        ) from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise UsageError(f"{path} is no plan", advice="a cleanup that only plans writes one")
    if document.get("version") != _VERSION:
        raise UsageError(
            f"{path} was written by another version of this command", advice="write it anew"
        )
    stated = {key: value for key, value in document.items() if key != "checksum"}
    if document.get("checksum") != _checksum(stated):
        raise UsageError(
            f"{path} was edited, or is not whole: its checksum is wrong",
            advice="change the rule instead, and write the plan anew",
        )
    plan = _plan(stated, path)
    if plan_document(plan)["checksum"] != document["checksum"]:
        raise UsageError(f"{path} is no plan: it holds more than one does", advice="write it anew")
    return plan


def _plan(document: dict[str, Any], path: Path) -> CleanupPlan:
    try:
        plan = TypeAdapter(CleanupPlan).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UsageError(f"{path} is no plan: {where} is wrong", advice="write it anew") from error
    try:
        _check_names(plan)
    except (ValueError, FormatError) as error:
        raise UsageError(f"{path} is no plan: {error}", advice="write it anew") from error
    return plan


def _check_names(plan: CleanupPlan) -> None:
    for rule in plan.rules:
        if not math.isfinite(rule.made):
            raise ValueError("`made` is no date")
        for each in rule.repositories:
            check_names(each)


def check_names(plan: RepositoryPlan) -> None:
    """Raise ValueError or FormatError for names that would change the path of a URL."""
    if plan.problem is None:
        parse_repository(plan.repository)
    for tag in _tags(plan):
        check_tag(tag)
    for digest in _digests(plan):
        parse_digest(digest)


def _tags(plan: RepositoryPlan) -> Iterator[str]:
    yield from plan.tags
    yield from (each.tag for each in (*plan.kept, *plan.left))
    yield from (each.tag for each in plan.untag)
    yield from chain(*(each.tags for each in plan.remove), *(each.tags for each in plan.squash))


def _digests(plan: RepositoryPlan) -> Iterator[str]:
    yield from plan.tags.values()
    yield from (each.digest for each in (*plan.kept, *plan.left))
    yield from (each.digest for each in plan.untag)
    yield from (each.digest for each in plan.remove)
    yield from (each.digest for each in plan.squash)


def _checksum(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return digest_of(text.encode())
