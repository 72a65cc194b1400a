"""Results as JSON: the fields of the result's dataclass, in their order."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_json(result: DataclassInstance) -> str:
    """One indented JSON document in ASCII; other characters are escaped, so any pipe carries it."""
    return json.dumps(asdict(result), indent=2)
