"""A plan as a file, to be read by people, kept, and applied."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from squashproxy.cleanup.plans import CleanupPlan
from squashproxy.errors import UsageError, reason_of

_FORMAT = "squashproxy cleanup plan"
_VERSION = 1


def plan_document(plan: CleanupPlan) -> dict[str, Any]:
    """The plan as JSON has it."""
    return {"format": _FORMAT, "version": _VERSION, **asdict(plan)}


def write_plan(plan: CleanupPlan, path: Path) -> None:
    """Write the plan, whole or not at all. Raises UsageError where that cannot be."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_text(json.dumps(plan_document(plan), indent=1) + "\n", "utf-8")
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason_of(error)}; name another") from error


def read_plan(path: Path) -> CleanupPlan:
    """Read a plan. Raises UsageError where it is none, or was made by another version."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no plan: it is not valid JSON; write one anew") from error
    if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
        raise UsageError(f"{path} is no plan; `squashproxy cleanup --plan {path}` writes one")
    if document.pop("version", None) != _VERSION:
        raise UsageError(f"{path} is of another version of squashproxy; write it anew")
    try:
        return TypeAdapter(CleanupPlan).validate_python(document)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UsageError(f"{path} is no plan: {where} is wrong; write it anew") from error
