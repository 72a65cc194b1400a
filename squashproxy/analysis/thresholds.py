"""Thresholds that an image must not exceed, for pipelines that fail on waste or leaks."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from squashproxy.pipeline.results import PlatformPlan

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_EXPRESSION = re.compile(r"\s*([a-z]+)\s*(>=|<=|>|<)\s*(\S.*?)\s*")


class Figure(Enum):
    """The figures that can be compared: bytes of tar, a share from 0 to 1, a number of files."""

    HIDDEN = "hidden"
    EFFICIENCY = "efficiency"
    SECRETS = "secrets"

    def of(self, plan: PlatformPlan) -> float:
        """The figure of one platform."""
        match self:
            case Figure.HIDDEN:
                return plan.total_hidden
            case Figure.EFFICIENCY:
                return plan.efficiency
            case Figure.SECRETS:
                return plan.secrets


@dataclass(frozen=True, slots=True)
class Threshold:
    """A comparison that fails the plan if it is true; `text` is how the user wrote it."""

    text: str
    figure: Figure
    comparison: str
    limit: float

    def is_passed_by(self, plan: PlatformPlan) -> bool:
        """Whether the comparison is true for the platform, so that the plan fails."""
        return _COMPARISONS[self.comparison](self.figure.of(plan), self.limit)


def parse_threshold(text: str, parse_size: Callable[[str], int]) -> Threshold:
    """Parse `hidden>20MB`, `efficiency<0.9` or `secrets>0`; `parse_size` parses sizes above 0.

    Raises ValueError, as `parse_size` must.
    """
    match = _EXPRESSION.fullmatch(text)
    figures = {figure.value: figure for figure in Figure}
    if match is None or match[1] not in figures:
        raise ValueError(
            f"{text!r} cannot be read: write hidden, efficiency or secrets, then >, "
            ">=, < or <=, then a size, a share or a number, as in 'hidden>20MB', "
            "'efficiency<0.9' or 'secrets>0'"
        )
    figure = figures[match[1]]
    return Threshold(text.strip(), figure, match[2], _parse_limit(figure, match[3], parse_size))


def _parse_limit(figure: Figure, text: str, parse_size: Callable[[str], int]) -> float:
    match figure:
        case Figure.HIDDEN:
            return 0 if text == "0" else parse_size(text)
        case Figure.EFFICIENCY:
            return _parse_share(text)
        case Figure.SECRETS:
            if not (text.isascii() and text.isdigit()):
                raise ValueError(
                    f"{text!r} is not a number of secrets; write a whole number, as in 'secrets>0'"
                )
            return int(text)


def _parse_share(text: str) -> float:
    if re.fullmatch(r"[01]|[01]?\.[0-9]+|[01]\.", text, re.ASCII) and float(text) <= 1:
        return float(text)
    raise ValueError(
        f"{text!r} is not an efficiency; write a share from 0 to 1, as in 'efficiency<0.9'"
    )
